"""What the companion hears from devices: their status, and their answers to commands."""

from typing import Final

import structlog
from prometheus_client import Counter

from companion.commands import Commands
from companion.configs import Configs
from companion.reports import Reports
from noctis.errors import FrameError, StorageError, TopicError
from noctis.mqtt import Message
from noctis.status import decode_result, decode_status
from noctis.topics import parse_up, ups

__all__ = ["Ear", "filters"]

CHANNELS: Final = ("status", "result")

_log = structlog.get_logger(__name__)
_refused = Counter(
    "noctis_companion_refused_messages_total", "Messages of devices that make no sense."
)


def filters(shards: frozenset[int]) -> list[str]:
    """Return the topic filters of the shards."""
    return [ups(shard, channel) for shard in sorted(shards) for channel in CHANNELS]


class Ear:
    """Hands what devices say to whom it concerns."""

    def __init__(self, commands: Commands, configs: Configs, reports: Reports) -> None:
        self._commands = commands
        self._configs = configs
        self._reports = reports

    async def hear(self, message: Message) -> None:
        """Take a message; what makes no sense is counted and forgotten.

        An answer that the database does not take now is not lost: the command goes out again,
        and the device answers again.
        """
        if not message.payload:
            return  # a retained status was cleared
        try:
            sent = parse_up(message.topic)
            if sent.channel == "result":
                await self._commands.answered(sent.device, decode_result(message.payload))
                return
            status = decode_status(message.payload)
        except (FrameError, TopicError) as error:
            _refused.inc()
            _log.warning("message_refused", topic=message.topic, error=str(error))
        except (StorageError, TimeoutError) as error:
            _log.warning("answer_not_stored", topic=message.topic, error=str(error))
        else:
            self._reports.note(sent.device, status)
            if status.state == "online" and not message.retain:
                self._commands.is_here(sent.device)
                self._configs.is_here(sent.device)
