"""What the companion hears from devices: their status, answers, settings and lines."""

import asyncio
from typing import Final
from weakref import WeakValueDictionary

import structlog
from prometheus_client import Counter

from companion.announcing import Announcing
from companion.commands import Commands
from companion.configs import Configs
from companion.logs import Logs
from companion.reports import Reports
from companion.rollouts import Rollouts
from noctis.errors import FrameError, StorageError, TopicError
from noctis.mqtt import Message
from noctis.status import (
    decode_config,
    decode_log,
    decode_result,
    decode_status,
    decode_update,
)
from noctis.topics import UpTopic, parse_up, ups

__all__ = ["Ear", "filters"]

CHANNELS: Final = ("status", "result", "ota", "config", "log")

_log = structlog.get_logger(__name__)
_refused = Counter(
    "noctis_companion_refused_messages_total", "Messages of devices that make no sense."
)


def filters(shards: frozenset[int]) -> list[str]:
    """Return the topic filters of the shards."""
    return [ups(shard, channel) for shard in sorted(shards) for channel in CHANNELS]


class Ear:
    """Hands what devices say to whom it concerns, each topic's messages one after the other.

    Else the earlier of two reports could be stored as the newest.
    """

    def __init__(
        self,
        commands: Commands,
        configs: Configs,
        reports: Reports,
        rollouts: Rollouts,
        logs: Logs,
        *,
        announcing: Announcing,
    ) -> None:
        self._commands = commands
        self._configs = configs
        self._reports = reports
        self._rollouts = rollouts
        self._logs = logs
        self._announcing = announcing
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def hear(self, message: Message) -> None:
        """Take a message; what makes no sense is counted and forgotten.

        An answer that the database does not take now is not lost: the command goes out again,
        and the device answers again.
        """
        if not message.payload:
            return  # a retained status was cleared
        turn = self._turns.setdefault(message.topic, asyncio.Lock())
        try:
            async with turn:
                await self._take(parse_up(message.topic), message)
        except (FrameError, TopicError) as error:
            _refused.inc()
            _log.warning("message_refused", topic=message.topic, error=str(error))
        except (StorageError, TimeoutError) as error:
            _log.warning("message_not_stored", topic=message.topic, error=str(error))

    async def _take(self, sent: UpTopic, message: Message) -> None:
        match sent.channel:
            case "result":
                await self._commands.answered(sent.device, decode_result(message.payload))
            case "ota":
                await self._rollouts.reported(sent.device, decode_update(message.payload))
            case "log":
                await self._logs.take(sent.device, decode_log(message.payload))
            case "config":
                self._configs.reported(sent.device, decode_config(message.payload))
            case _:
                self._heard_status(sent, message)

    def _heard_status(self, sent: UpTopic, message: Message) -> None:
        status = decode_status(message.payload)
        self._reports.note(sent.device, status, is_repeated=message.retain)
        self._announcing.status(sent.device, status)
        if status.state == "online" and not message.retain:
            self._commands.is_here(sent.device)
            self._configs.is_here(sent.device)
            self._rollouts.is_here(sent.device)
