"""Replays: stored epochs through a version of a model, by several processes, to be resumed.

Each part is a process's own: it reads the part and what lies before it, asks the model, stores.
No process holds more than a part, and none speaks to a broker.
"""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

import joblib  # type: ignore[import-untyped]

from inference.agenda import Job
from inference.model import Model
from inference.questions import answer, ask, load
from inference.trails import Trails
from noctis import pauses
from noctis.errors import StorageUnavailableError
from noctis.storage import replays
from noctis.storage.engine import Engine, create, transaction
from noctis.storage.replays import Part

__all__ = ["Done", "Order", "run"]

BATCH: Final = 256
CALL_S: Final = 60.0
PATIENCE_S: Final = 60.0
FIRST_PAUSE_S: Final = 0.5
LAST_PAUSE_S: Final = 10.0
IDLE_S: Final = 20


@dataclass(frozen=True, slots=True)
class Order:
    """What a process has to know; ``pid``: the process that asks for the parts."""

    database_url: str
    folder: Path
    replay: int
    pid: int = field(default_factory=os.getpid)


@dataclass(frozen=True, slots=True)
class Done:
    """A part that is done: so many epochs, so many new predictions."""

    epochs: int
    stored: int


def run(
    order: Order, open_parts: Iterable[Part], *, jobs: int, told: Callable[[Done], None]
) -> None:
    """Do parts of a replay, those of a stream in order of time; tell of each.

    Ends early, with no error, once the replay is cancelled. Raises StorageUnavailableError when
    the database is away for longer than a minute, ModelError when the model is damaged.
    """
    work = joblib.Parallel(
        n_jobs=jobs,
        return_as="generator_unordered",
        pre_dispatch="2*n_jobs",
        idle_worker_timeout=IDLE_S,
    )
    try:
        for done in work(joblib.delayed(_patiently)(order, part) for part in open_parts):
            if done is None:
                break
            told(done)
    finally:
        _engine(order.database_url).dispose()  # with one job this process did the work itself
        _engine.cache_clear()


def _patiently(order: Order, part: Part) -> Done | None:
    """Do a part; try again while the database is away, but not for ever.

    None when the replay is cancelled, or when the process that asked for the part is gone.
    """
    failures, give_up = 0, time.monotonic() + PATIENCE_S
    while True:
        if order.pid not in {os.getpid(), os.getppid()}:
            return None
        try:
            return _do(order, part)
        except StorageUnavailableError as error:
            if time.monotonic() > give_up:
                raise
            time.sleep(
                pauses.after(error, failures, first_s=FIRST_PAUSE_S, last_s=LAST_PAUSE_S)
            )
            failures += 1


def _do(order: Order, part: Part) -> Done | None:
    """Do a part in two transactions; None when the replay is cancelled."""
    engine = _engine(order.database_url)
    with transaction(engine, CALL_S) as connection:
        seqs = replays.unjudged(connection, order.replay, part)
        if seqs is None:
            return None
        job = Job(part.device_id, part.stream, tuple(seqs))
        loaded = [load(connection, job, None)] if seqs else []
    questions = [question for each in loaded for question in ask(each)]
    model, trails = _model(order.folder), Trails(most=1)
    rows = [
        row
        for begin in range(0, len(questions), BATCH)
        for row in answer(model, questions[begin : begin + BATCH], trails)
    ]
    with transaction(engine, CALL_S) as connection:
        return Done(part.epochs, replays.finish(connection, order.replay, part, rows))


@lru_cache(maxsize=1)
def _engine(url: str) -> Engine:
    return create(url, application="noctis-replay", connections=1)


@lru_cache(maxsize=1)
def _model(folder: Path) -> Model:
    return Model.load(folder)
