"""Configurations on their way, retained at the broker, and what devices say of them."""

import json
from collections.abc import Sequence
from typing import Final

import structlog
from prometheus_client import Counter

from companion.turns import endlessly
from noctis import topics
from noctis.identity import DeviceId
from noctis.mqtt import Session
from noctis.status import ConfigReport
from noctis.storage import config_reports, configs
from noctis.storage.configs import Desired
from noctis.storage.database import Database
from noctis.topics import shard_of

__all__ = ["Configs"]

LOOK_S: Final = 1.0
AT_ONCE: Final = 64
"""Configurations published in one turn; the others have the next one."""

_log = structlog.get_logger(__name__)
_told = Counter("noctis_configs_told_total", "Configurations given to the broker.")


class Configs:
    """Gives the broker what the devices of some shards are to be set to.

    The broker may lose what it retains, so a device that is online and does not report the
    version that is desired is told again; the same version once more changes nothing there.
    """

    def __init__(self, database: Database, session: Session, shards: frozenset[int]) -> None:
        self._database = database
        self._session = session
        self._shards = shards
        self._here: set[DeviceId] = set()
        self._reported: dict[DeviceId, ConfigReport] = {}

    async def run(self) -> None:
        """Tell what is new, for ever."""
        await endlessly("configs", self._turn, pause_s=LOOK_S)

    def is_here(self, device: DeviceId) -> None:
        """Say that a device has come online."""
        self._here.add(device)

    def reported(self, device: DeviceId, report: ConfigReport) -> None:
        """Take what a device says that it follows; only the newest counts."""
        self._reported[device] = report

    async def _turn(self) -> bool:
        await self._store()
        if not self._session.ready:
            return False
        here, self._here = self._here, set()
        found = await self._database.call(lambda it: configs.to_tell(it, here))
        mine = [one for one in found if shard_of(one.device) in self._shards]
        await self._tell(mine[:AT_ONCE])
        self._here.update(one.device for one in mine[AT_ONCE:])
        return len(mine) > AT_ONCE

    async def _store(self) -> None:
        taken = dict(list(self._reported.items())[:AT_ONCE])
        if taken:
            await self._database.call(lambda it: config_reports.store(it, taken))
        for device, report in taken.items():
            if self._reported.get(device) is report:
                del self._reported[device]

    async def _tell(self, desired: Sequence[Desired]) -> None:
        for one in desired:
            body = json.dumps({"version": one.version, **one.body}, separators=(",", ":"))
            payload = body.encode("ascii")
            await self._session.publish(topics.config(one.device), payload, retain=True)
            _told.inc()
            _log.info("config_told", device=str(one.device), version=one.version)
        if desired:
            await self._database.call(lambda it: configs.told(it, desired))
