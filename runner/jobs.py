"""What a runner does: replays, evaluations, reports on experiments, loads."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any, Final

from evaluation import experiment as evaluated
from evaluation import replayed, stored
from inference import replay as replaying
from inference.replay import Done, Order
from inference.versions import folder_of
from noctis.settings import Settings
from noctis.storage import experiments, operation_queue, predictions, replays
from noctis.storage.engine import Engine, transaction
from noctis.storage.operation_queue import Work
from noctis.storage.replays import Part, Replay
from runner.stress.job import StressJob

__all__ = ["GivenUp", "Jobs"]

PLAN_S: Final = 600.0
CALL_S: Final = 60.0
TOLD_EVERY_S: Final = 1.0


class GivenUp(Exception):  # noqa: N818 - nothing went wrong
    """The operation was cancelled, or the process is to end."""


class Jobs:
    """Does operations; ``stopping`` ends them early."""

    def __init__(
        self, engine: Engine, settings: Settings, stopping: Callable[[], bool]
    ) -> None:
        self._engine = engine
        self._url = settings.database_url.get_secret_value()
        self._models = settings.models
        self._stopping = stopping
        self.stress = StressJob(engine, settings, stopping)

    def do(self, work: Work) -> dict[str, Any]:
        """Return what came of an operation; raise GivenUp when it is not to be finished now.

        Raises NoctisError where it cannot be done.
        """
        match work.kind:
            case "replay":
                return self._replay(work)
            case "evaluation":
                return self._evaluate(work)
            case "experiment":
                return self._report(work)
            case "stress":
                return self._stress(work)

    def _replay(self, work: Work) -> dict[str, Any]:
        """Run stored epochs through a version; cut off anywhere, it goes on from there."""
        wanted = work.request
        folder = folder_of(self._models, wanted["model"], wanted["version"])
        number = work.replay_id or self._plan(work)
        with replays.held(self._engine, number) as is_mine:
            if not is_mine:  # somebody resumed it by hand
                raise GivenUp
            with transaction(self._engine, CALL_S) as connection:
                if not operation_queue.is_wanted(connection, work.number):
                    raise GivenUp
                found = replays.reopen(connection, number)
                todo = replays.parts(connection, number, is_open=True)
            order = Order(self._url, folder, number)
            meter = _Meter(found, lambda done, total: self._tell(work, done, total))
            replaying.run(order, self._until_stopped(todo), jobs=1, told=meter)
        with transaction(self._engine, CALL_S) as connection:
            ended = replays.settle(connection, number)
        if ended.state != "done":
            raise GivenUp
        self._tell(work, ended.epochs, ended.epochs)
        return {
            "replay": number,
            "epochs": ended.epochs,
            "stored": ended.stored,
            "comparison": replayed.compare(self._engine, ended, None),
        }

    def _plan(self, work: Work) -> int:
        """Write a replay down with its parts, once."""
        wanted = work.request
        with transaction(self._engine, PLAN_S) as connection:
            number = replays.add(
                work.tenant,
                connection,
                wanted["device"],
                predictions.model_id(connection, wanted["model"], wanted["version"]),
                since=datetime.fromisoformat(wanted["since"]),
                until=datetime.fromisoformat(wanted["until"]),
            )
            operation_queue.link(connection, work.number, number)
        return number

    def _until_stopped(self, parts: Sequence[Part]) -> Iterator[Part]:
        return takewhile(lambda _: not self._stopping(), parts)

    def _evaluate(self, work: Work) -> dict[str, Any]:
        """Hold a version's stored stages of a tenant's devices against their labels."""
        wanted = work.request
        since, until = (
            None if wanted[name] is None else datetime.fromisoformat(wanted[name])
            for name in ("since", "until")
        )
        return stored.evaluate(
            work.tenant,
            self._engine,
            wanted["device"],
            model=f"{wanted['model']}@{wanted['version']}",
            source=wanted["source"],
            span=(since, until),
            progress=lambda _, done, total: self._tell(work, done, total),
        )

    def _report(self, work: Work) -> dict[str, Any]:
        """Return what an experiment has shown so far."""
        wanted = work.request
        with transaction(self._engine, CALL_S) as connection:
            found = experiments.get(connection, wanted["experiment"])
        report = evaluated.report(self._engine, found)
        if wanted["source"] is not None:
            report["labels"] = evaluated.against_labels(
                self._engine, found, wanted["source"], wanted["against"]
            )
        return report

    def _stress(self, work: Work) -> dict[str, Any]:
        """Put the platform under a load; return its report."""
        report = self.stress.do(work)
        if report is None:
            raise GivenUp
        return report

    def _tell(self, work: Work, done: int, total: int) -> None:
        """Note how far an operation is; raise GivenUp where it is to end."""
        with transaction(self._engine, CALL_S) as connection:
            is_wanted = operation_queue.progress(connection, work.number, done, total)
        if not is_wanted or self._stopping():
            raise GivenUp


class _Meter:
    """Tells how far a replay is, once a second."""

    def __init__(self, replay: Replay, tell: Callable[[int, int], None]) -> None:
        self._done, self._total = replay.epochs_done, replay.epochs
        self._tell = tell
        self._told_at = 0.0

    def __call__(self, done: Done) -> None:
        self._done += done.epochs
        now = time.monotonic()
        if now - self._told_at >= TOLD_EVERY_S:
            self._told_at = now
            self._tell(self._done, self._total)
