"""The companion put together: one session with the broker, one database, its parts."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol

from companion.commands import Commands
from companion.configs import Configs
from companion.drift import Drift
from companion.erasure import Erasing
from companion.keeper import NightKeeper
from companion.listening import Ear, filters
from companion.reports import Reports
from companion.retention import Retention
from companion.revision import NightStager
from companion.rollups import Rollups
from noctis.mqtt import Link, Message, Session
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
    """Does its parts' duties for the devices of some shards."""

    def __init__(
        self,
        link: Link,
        database: Database,
        shards: frozenset[int],
        *,
        models: Path,
        apps: Link | None = None,
        kept: timedelta = KEPT,
        night_stager: bool = True,
    ) -> None:
        reports = Reports(database)
        self.session = Session(link, subscriptions=filters(shards), handler=self._hear)
        self.app_session = self.session if apps is None else Session(apps)
        commands = Commands(database, self.session, shards)
        configs = Configs(database, self.session, shards)
        self._ear = Ear(commands, configs, reports)
        self._parts: tuple[Part, ...] = (
            NightKeeper(database, shards, NightStager(models) if night_stager else None),
            Rollups(database),
            Retention(database, shards, kept=kept),
            Drift(database, models, shards),
            Erasing(database, self.session, self.app_session, shards),
            commands,
            configs,
            reports,
        )

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

    async def _hear(self, message: Message) -> None:
        await self._ear.hear(message)

    async def drain(self) -> None:
        """Finish what is in hand and leave the broker; what is undone waits in the database."""
        for session in {self.session, self.app_session}:
            await session.stop(within_s=DRAIN_S)
