"""The companion put together: one session with the broker, one database, its parts."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol

from companion.alerts import Alerts, Tidings
from companion.announcing import OFFLINE, Announcing
from companion.commands import Commands
from companion.configs import Configs
from companion.drift import Drift
from companion.erasure import Erasing
from companion.keeper import NightKeeper
from companion.last_nights import LastNights
from companion.listening import Ear, filters
from companion.logs import Logs
from companion.purges import OPERATIONS_KEPT, Purges
from companion.reports import Reports
from companion.retention import Retention
from companion.revision import NightStager
from companion.revoking import Revoking
from companion.rollouts import Rollouts
from companion.rollups import Rollups
from companion.shelf import Shelf
from companion.standing import Standing
from noctis import topics
from noctis.errors import NoctisError
from noctis.mqtt import Link, Message, Session, Will
from noctis.replica import device_link
from noctis.settings import Settings
from noctis.storage.admission import KEPT
from noctis.storage.database import Database

__all__ = ["CONNECTIONS", "Companion", "Part", "link_of"]

CONNECTIONS: Final = 4
DRAIN_S: Final = 10.0


class Part(Protocol):
    """One of the companion's duties."""

    async def run(self) -> None:
        """Work until cancelled, whatever fails on the way (``companion.turns.endlessly``)."""


def link_of(settings: Settings) -> Link:
    """Return how a companion with these settings reaches the broker.

    The broker keeps nothing for one that is away: what the companion knows, it reads from the
    database, and devices repeat what was not answered.
    """
    return device_link(settings, "companion")


class Companion:
    """Does its parts' duties for the devices of some shards.

    ``ca``: folder of the CA; what is nobody's device's is done by the companion of shard 0.
    """

    def __init__(
        self,
        link: Link,
        database: Database,
        shards: frozenset[int],
        *,
        models: Path,
        apps: Link | None = None,
        kept: timedelta = KEPT,
        operations_kept: timedelta = OPERATIONS_KEPT,
        night_stager: bool = True,
        ca: Path | None = None,
    ) -> None:
        reports = Reports(database)
        self._make_sessions(link, apps, filters(shards))
        self._shelf = Shelf(self.app_session)
        self._announcing = Announcing(
            database,
            self._shelf,
            shards,
            service=topics.service_status((apps or link).username),
        )
        commands = Commands(database, self.session, shards)
        configs = Configs(database, self.session, shards)
        rollouts = Rollouts(database, self.session, shards)
        self._ear = Ear(
            commands, configs, reports, rollouts, Logs(database), announcing=self._announcing
        )
        self._parts: tuple[Part, ...] = (
            NightKeeper(database, shards, NightStager(models) if night_stager else None),
            LastNights(database, self.app_session, shards),
            Rollups(database),
            Retention(database, shards, kept=kept),
            Purges(database, shards, kept=operations_kept),
            Drift(database, models, shards),
            Erasing(database, self.session, self.app_session, shards),
            Alerts(database, self.session, shards),
            Tidings(database, self.app_session, shards),
            commands,
            configs,
            reports,
            rollouts,
            self._shelf,
            self._announcing,
        )
        if 0 in shards:
            self._parts += (Standing(database),)
        if ca is not None and 0 in shards:
            self._parts += (Revoking(database, ca),)

    @property
    def ready(self) -> bool:
        """True while it can publish; the database may be away."""
        return self.session.ready

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for session in {self.session, self.app_session}:
                group.create_task(session.run())
            for part in self._parts:
                group.create_task(part.run())

    def _make_sessions(self, devices: Link, apps: Link | None, heard: list[str]) -> None:
        """Make the sessions with the devices' broker and the apps'; they may be one."""
        link = apps or devices
        gone = topics.service_status(link.username)
        told = [*topics.of_all_devices(), topics.of_all_tenants(), gone]
        parting = replace(link, will=Will(gone, OFFLINE))
        if apps is None:
            self.session = Session(parting, subscriptions=heard + told, handler=self._hear)
            self.app_session = self.session
        else:
            self.session = Session(devices, subscriptions=heard, handler=self._hear)
            self.app_session = Session(parting, subscriptions=told, handler=self._hear)

    async def _hear(self, message: Message) -> None:
        if topics.is_up(message.topic):
            await self._ear.hear(message)
        else:
            self._announcing.hear(message)

    async def drain(self) -> None:
        """Finish what is in hand and leave the broker; what is undone waits in the database."""
        with suppress(NoctisError, TimeoutError):
            await self._announcing.farewell()
        for session in {self.session, self.app_session}:
            await session.stop(within_s=DRAIN_S)
