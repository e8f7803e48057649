"""A worker follows the experiments that the database names, within seconds.

While the database is away the last ones that were known run on. A version that cannot be loaded
is refused and tried again a minute later; the champion serves its devices meanwhile.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import structlog

from inference.model import Model
from inference.trials import Trial, Trials
from inference.versions import folder_of
from noctis.errors import ModelError, StorageError
from noctis.storage import experiments
from noctis.storage.database import Connection, Database
from noctis.storage.experiments import Experiment

__all__ = ["Experiments"]

LOOK_S: Final = 2.0
FIRST_LOOK_S: Final = 1.0
AGAIN_S: Final = 60.0

_log = structlog.get_logger(__name__)


class Experiments:
    """Keeps ``Trials`` as the database says; ``root``: the folder of the registry."""

    def __init__(self, trials: Trials, database: Database, root: Path) -> None:
        self._trials = trials
        self._database = database
        self._root = root
        self._loaded: dict[int, Trial] = {}
        self._again_at: dict[int, float] = {}
        self._told: dict[int, str | None] = {}

    async def begin(self) -> None:
        """Look once before the first epoch; the live path waits no longer than a second."""
        await self._try(within_s=FIRST_LOOK_S)

    async def run(self) -> None:
        """Look every other second until cancelled."""
        while True:
            await anyio.sleep(LOOK_S)
            await self._try(within_s=self._database.seconds)

    async def _try(self, *, within_s: float) -> None:
        try:
            await self._look(within_s)
        except (StorageError, TimeoutError) as error:
            _log.debug("experiments_not_read", error=str(error))

    async def _look(self, within_s: float) -> None:
        running = await self._database.call(experiments.running, within_s=within_s)
        if any(it.id not in self._loaded for it in running):
            await anyio.to_thread.run_sync(self._load, running)
        known = {it.id for it in running}
        self._loaded = {key: it for key, it in self._loaded.items() if key in known}
        self._trials.assign(list(self._loaded.values()))
        await self._tell(running)

    def _load(self, running: Sequence[Experiment]) -> None:
        """Load the versions that are new, or that failed a while ago."""
        for it in running:
            if it.id in self._loaded or time.monotonic() < self._again_at.get(it.id, 0.0):
                continue
            try:
                model = Model.load(folder_of(self._root, it.model_name, it.version))
            except (ModelError, OSError) as error:
                self._again_at[it.id] = time.monotonic() + AGAIN_S
                self._trials.failed[it.id] = str(error)
                _log.error("experiment_refused", experiment=it.name, error=str(error))
            else:
                self._trials.failed.pop(it.id, None)
                self._loaded[it.id] = Trial(it, model)
                _log.info("experiment_runs", experiment=it.name, kind=it.kind, model=it.model)

    async def _tell(self, running: Sequence[Experiment]) -> None:
        """Write down what this worker refuses, and what it refuses no more."""
        failed = self._trials.failed
        news = {
            it.id: failed.get(it.id)
            for it in running
            if failed.get(it.id) != self._told.get(it.id)
        }
        if not news:
            return

        def note(connection: Connection) -> None:
            for key, why in news.items():
                experiments.refuse(connection, key, why)

        await self._database.call(note)
        self._told.update(news)
