"""Commands on their way: sent until the device answers, one of each device at a time."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from prometheus_client import Counter, Gauge

from companion.turns import endlessly
from noctis import topics
from noctis.identity import DeviceId
from noctis.mqtt import Session
from noctis.status import Result
from noctis.storage import commands
from noctis.storage.commands import Open
from noctis.storage.database import Connection, Database
from noctis.topics import shard_of

__all__ = ["Commands", "pause_after"]

LOOK_S: Final = 1.0
FIRST_PAUSE: Final = timedelta(seconds=30)
LAST_PAUSE: Final = timedelta(minutes=15)
AT_ONCE: Final = 64
"""Commands published in one turn; the others have the next one."""

_log = structlog.get_logger(__name__)
_sent = Counter("noctis_commands_sent_total", "Commands given to the broker, repeats included.")
_answers = Counter("noctis_commands_answered_total", "Answers taken.", ["state"])
_open = Gauge("noctis_commands_open", "Devices that have not answered their command yet.")


def pause_after(attempts: int) -> timedelta:
    """Return how long to wait for an answer after so many attempts: doubling, capped."""
    return min(LAST_PAUSE, FIRST_PAUSE * (1 << min(max(attempts - 1, 0), 16)))


class Commands:
    """Brings commands to the devices of some shards, and their answers into the database.

    A device keeps no session at the broker, so what is sent while it is away is lost: a
    command is due again when its pause is over, and as soon as the device comes online.
    """

    def __init__(self, database: Database, session: Session, shards: frozenset[int]) -> None:
        self._database = database
        self._session = session
        self._shards = shards
        self._here: set[DeviceId] = set()

    async def run(self) -> None:
        """Send what is due, for ever."""
        await endlessly("commands", self._turn, pause_s=LOOK_S)

    def is_here(self, device: DeviceId) -> None:
        """Say that a device has come online: what it is to do can reach it now."""
        self._here.add(device)

    async def answered(self, device: DeviceId, result: Result) -> None:
        """Note a device's answer; one that fits no open command is passed over."""
        is_known = await self._database.call(
            lambda it: commands.answer(device.tenant, it, device.device, result)
        )
        if is_known:
            _answers.labels(result.state).inc()
            self._here.add(device)  # the next one has not to wait

    async def _turn(self) -> bool:
        if not self._session.ready:
            return False
        here, self._here = self._here, set()
        known = await self._database.call(_look)
        mine = [one for one in known if shard_of(one.device) in self._shards]
        _open.set(len(mine))
        now = datetime.now(UTC)
        due = [one for one in mine if one.device in here or _is_due(one, now)]
        await self._send(due[:AT_ONCE])
        self._here.update(one.device for one in due[AT_ONCE:])
        return len(due) > AT_ONCE

    async def _send(self, due: Sequence[Open]) -> None:
        if not due:
            return
        # Written down first: a command that a crash keeps from the broker is only late.
        await self._database.call(lambda it: commands.sent(it, [one.id for one in due]))
        for one in due:
            body = json.dumps({"id": str(one.id), **one.body}, separators=(",", ":"))
            await self._session.publish(topics.command(one.device), body.encode("ascii"))
            _sent.inc()
            _log.info("command_sent", device=str(one.device), command=str(one.id))


def _look(connection: Connection) -> list[Open]:
    commands.expire(connection)
    return commands.open_commands(connection)


def _is_due(one: Open, now: datetime) -> bool:
    return one.sent_at is None or now - one.sent_at >= pause_after(one.attempts)
