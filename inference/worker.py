"""The inference worker put together: live stages and settled ones, from the same versions."""

import asyncio
from pathlib import Path
from typing import Final

from inference.experiments import Experiments
from inference.history import reader
from inference.live import Live
from inference.recall import LOOK_S, Recall
from inference.serving import Serving
from inference.settler import Settler
from inference.trials import Trials
from noctis.mqtt import Link
from noctis.replica import device_link
from noctis.settings import Settings
from noctis.storage.database import Database

__all__ = ["CONNECTIONS", "KIND", "Worker", "link_of"]

KIND: Final = "live"
CONNECTIONS: Final = 4
DRAIN_S: Final = 10.0


def link_of(settings: Settings) -> Link:
    """Return how an inference worker with these settings reaches the broker.

    The broker keeps nothing for one that is away: stages of the past are the settler's.
    """
    return device_link(settings, KIND)


class Worker:
    """Publishes live stages and stores settled ones, of the devices of some shards.

    ``apps``: how to reach the apps' broker, None where it is the devices' one. ``models``: the
    folder of the registry, for the versions of experiments.
    """

    def __init__(
        self,
        link: Link,
        apps: Link | None,
        database: Database,
        serving: Serving,
        shards: frozenset[int],
        *,
        models: Path,
    ) -> None:
        self._serving = serving
        trials = Trials(serving)
        self._experiments = Experiments(trials, database, models)
        self._settler = Settler(database, trials, shards)
        recall = Recall(reader(database, within_s=LOOK_S))
        self._live = Live(link, shards, trials, recall, self._settler.hint, apps=apps)

    @property
    def ready(self) -> bool:
        """True while epochs can arrive; the database may be away."""
        return self._live.ready

    @property
    def trouble(self) -> str:
        """What keeps epochs from arriving, or stages from going out; else empty."""
        return self._live.trouble

    async def run(self) -> None:
        """Work until cancelled."""
        await self._experiments.begin()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._serving.run())
            group.create_task(self._experiments.run())
            group.create_task(self._settler.run())
            group.create_task(self._live.run())

    async def drain(self) -> None:
        """Publish the stages in hand and leave the broker; what is unsettled stays stored."""
        await self._live.drain(within_s=DRAIN_S)
