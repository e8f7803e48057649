"""Carry erasures out: rows of every table, retained messages, and in the end the names."""

from typing import Final

import structlog
from prometheus_client import Counter

from companion.turns import endlessly
from noctis import topics
from noctis.identity import DeviceId
from noctis.mqtt import Session
from noctis.storage import erasing, erasures
from noctis.storage.database import Database
from noctis.storage.erasing import Subject
from noctis.storage.erasures import Erasure
from noctis.topics import shard_of

__all__ = ["Erasing"]

LOOK_S: Final = 2.0
STEP_S: Final = 60.0
AGAIN_S: Final = 300.0
"""Longer than any transaction, or any work on rows that were read before, lasts."""

_log = structlog.get_logger(__name__)
_rows = Counter("noctis_erasure_rows_total", "Rows deleted by erasures.", ["table"])
_done = Counter("noctis_erasures_done_total", "Erasures that came to their end.")


class Erasing:
    """Carries out the erasures of some shards' devices; of a tenant, that of its name's shard.

    ``devices`` and ``apps`` are the sessions with the brokers that keep retained messages;
    they may be one. ``again_s``: seconds between all rows being gone and the second look.
    """

    def __init__(
        self,
        database: Database,
        devices: Session,
        apps: Session,
        shards: frozenset[int],
        *,
        again_s: float = AGAIN_S,
    ) -> None:
        self._database = database
        self._devices = devices
        self._apps = apps
        self._shards = shards
        self._again_s = again_s

    async def run(self) -> None:
        """Work until cancelled."""
        await endlessly("erasures", self._turn, pause_s=LOOK_S)

    async def _turn(self) -> bool:
        running = await self._database.call(lambda it: erasures.list_all(it, running=True))
        for erasure in reversed(running):
            if _shard(erasure) in self._shards:
                await self._carry_out(erasure)
        return False

    async def _carry_out(self, erasure: Erasure) -> None:
        call = self._database.call
        if erasure.erased_at is not None and not await call(
            lambda it: erasing.is_ripe(it, erasure, self._again_s)
        ):
            return
        found = await call(lambda it: erasing.subjects(it, erasure))
        for subject in found:
            await self._clear(erasure, subject)
        if erasure.kind == "tenant" and erasure.subject is not None:
            await self._apps.publish(topics.tenant_status(erasure.subject), b"", retain=True)
        if erasure.erased_at is None:
            await call(lambda it: erasing.look_again(it, erasure))
            _log.info("erased", erasure=erasure.id, devices=len(found))
        else:
            await call(lambda it: erasing.finish(it, erasure, found), within_s=STEP_S)
            _done.inc()
            _log.info("erasure_done", erasure=erasure.id)

    async def _clear(self, erasure: Erasure, subject: Subject) -> None:
        """Delete all rows of a device, a step at a time, and its retained messages."""
        while gone := await self._database.call(
            lambda it: erasing.step(it, erasure, subject), within_s=STEP_S
        ):
            for table, count in gone.items():
                _rows.labels(table).inc(count)
        device = subject.device
        # An empty message takes the place of the last one, and is kept by nobody.
        for topic in topics.retained_of_device(device):
            await self._devices.publish(topic, b"", retain=True)
        for topic in topics.retained_for_apps(device):
            await self._apps.publish(topic, b"", retain=True)


def _shard(erasure: Erasure) -> int:
    tenant, _, device = (erasure.subject or "").partition("/")
    return shard_of(DeviceId(tenant, device or "all"))
