"""The settler: every stored epoch gets one prediction of each version that serves its device.

It reads what is stored, so it misses nothing that is stored, however an epoch came. Hints of
the live worker lead it to new epochs within a second; looks into the database, each minute and
whenever the ingestor notes a late frame, to all others.

A prediction rests on the session's last epochs by sequence number, as they are stored at that
moment. Epochs that come late and fill a gap before epochs that are settled are settled
themselves; those behind them keep the prediction that they have, as the app showed it.

Versions that are watched as shadows say here, off the live path, what they would have shown; it
is stored in the same transaction as what is served.
"""

import asyncio
import time
from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import anyio.to_thread
import structlog
from prometheus_client import Counter, Gauge, Histogram

from inference.agenda import Agenda, Hint, Job
from inference.context import Context
from inference.model import Model
from inference.questions import Loaded, ask, load, row
from inference.trials import Trials
from noctis import pauses, trace
from noctis.errors import StorageError
from noctis.identity import DeviceId
from noctis.storage import devices, outbox, predictions
from noctis.storage.database import Connection, Database
from noctis.storage.errors import NotFoundError
from noctis.storage.predictions import Origin, Prediction, Stretch

__all__ = ["Settler"]

TICK_S: Final = 0.2
PORTION: Final = 256  # epochs a turn, under half a second of work: hints wait no longer
HINTS: Final = 32
JOBS: Final = 16  # at most: fewer while the database does not answer so many in time
CONTEXTS: Final = 4096
LOOK_S: Final = 60.0
LOOK_AGAIN_S: Final = 5.0
LOOK_DEADLINE_S: Final = 60.0
NOTES_S: Final = 1.0
MANY: Final = 1000
FIRST_PAUSE_S: Final = 0.5
LAST_PAUSE_S: Final = 15.0

_log = structlog.get_logger(__name__)
_settled = Counter("noctis_settler_settled_total", "Predictions stored that people see.")
_watched = Counter("noctis_settler_watched_total", "Predictions of shadows stored.")
_failures = Counter("noctis_settler_failures_total", "Turns that failed and are tried again.")
_waiting = Gauge("noctis_settler_waiting_epochs", "Epochs found without a prediction.")
_last_success = Gauge(
    "noctis_settler_success_timestamp_seconds", "When a turn last came to its end."
)
_hint_seconds = Histogram(
    "noctis_settler_hint_seconds",
    "Time from an epoch's live way to its stored prediction.",
    buckets=(0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30),
)


@dataclass(frozen=True, slots=True)
class _Said:
    """What a version said, and whether people see it."""

    model: Model
    origin: Origin
    rows: list[Prediction]


class Settler:
    """Settles the stored epochs of some shards; runs for ever, whatever the database does."""

    def __init__(self, database: Database, trials: Trials, shards: frozenset[int]) -> None:
        self._database = database
        self._trials = trials
        self._shards = shards
        self._agenda = Agenda()
        self._jobs = JOBS
        self._contexts = OrderedDict[tuple[int, int], Context]()
        self._devices: dict[DeviceId, int] = {}
        self._names: dict[int, DeviceId] = {}
        self._model_keys: dict[str, int] = {}
        self._look_at = 0.0
        self._notes_at = 0.0
        self._newest_note = 0

    def hint(self, device: DeviceId, stream: int, seq: int) -> None:
        """Say that an epoch went by on its live way: it is stored by now, or soon."""
        self._agenda.note(device, stream, seq)

    async def run(self) -> None:
        """Work until cancelled; what fails is tried again, after a pause that grows."""
        failures = 0
        while True:
            try:
                busy = await self._turn()
            except Exception as error:  # noqa: BLE001 - nothing may end it, nor the live worker
                self._contexts.clear()
                self._look_at = 0.0
                _failures.inc()
                if isinstance(error, TimeoutError):  # the same turn would fail for ever
                    self._jobs = max(1, self._jobs // 2)
                known = isinstance(error, StorageError | TimeoutError)
                _log.warning("settling_failed", error=repr(error), exc_info=not known)
                await asyncio.sleep(
                    pauses.after(error, failures, first_s=FIRST_PAUSE_S, last_s=LAST_PAUSE_S)
                )
                failures += 1
            else:
                failures = 0
                self._jobs = min(JOBS, self._jobs + 1)
                await asyncio.sleep(0 if busy else TICK_S)

    async def _turn(self) -> bool:
        """Follow hints, then do a portion of what waits, or look; tell whether more waits."""
        hints = self._agenda.hints(HINTS * self._jobs // JOBS, epochs=PORTION)
        if hints:
            await self._follow(hints)
        jobs = self._agenda.portion(epochs=PORTION, jobs=self._jobs)
        if jobs:
            try:
                await self._settle(jobs, history=True)
            except BaseException:
                self._agenda.put_back(jobs)
                raise
        elif await self._is_look_due():
            await self._look()
        waiting = self._agenda.waiting
        _waiting.set(waiting)
        _last_success.set_to_current_time()
        return waiting > 0

    async def _follow(self, hints: Sequence[Hint]) -> None:
        """Settle what hints lead to."""
        known = await self._database.call(lambda it: [self._key(it, h.device) for h in hints])
        paired = [
            (hint, Job(key, hint.stream, hint.seqs))
            for hint, key in zip(hints, known, strict=True)
            if key is not None
        ]
        lasts = await self._settle([job for _, job in paired], history=False)
        found = {id(hint): last for (hint, _), last in zip(paired, lasts, strict=True)}
        for hint in hints:
            last = found.get(id(hint), -1)
            is_stored = last >= hint.first
            if is_stored:
                _hint_seconds.observe(time.monotonic() - hint.at)
            self._agenda.follow(hint, last if is_stored else None)

    def _key(self, connection: Connection, device: DeviceId) -> int | None:
        """Return a device's surrogate key, None for a stranger."""
        known = self._devices.get(device)
        if known is None:
            try:
                known = devices.get(device.tenant, connection, device.device).id
            except NotFoundError:
                return None
            self._devices[device] = known
        return known

    async def _is_look_due(self) -> bool:
        now = time.monotonic()
        if now >= self._look_at:
            return True
        if now < self._notes_at:
            return False
        self._notes_at = now + NOTES_S
        return await self._database.call(outbox.newest) > self._newest_note

    async def _look(self) -> None:
        """Ask for all that no prediction is stored of."""
        key = await self._model_key(self._trials.champion)

        def work(connection: Connection) -> tuple[int, list[Stretch]]:
            newest = outbox.newest(connection)
            found = predictions.unsettled(
                connection,
                key,
                shards=self._shards,
                others=lambda device: self._trials.picked(device) is not None,
            )
            return newest, found

        self._newest_note, found = await self._database.call(work, within_s=LOOK_DEADLINE_S)
        self._agenda.add(found)
        epochs = sum(len(stretch) for stretch in found)
        pause = LOOK_S if not epochs else LOOK_AGAIN_S if epochs < MANY else NOTES_S
        self._look_at = time.monotonic() + pause

    async def _settle(self, jobs: Sequence[Job], *, history: bool) -> list[int]:
        """Settle jobs; return for each the last sequence number that is stored, -1: none.

        ``history``: nobody waits for them, and a stream of them is gone through at speed.
        """
        loaded, names = await self._database.call(lambda it: self._load(it, jobs))
        judge = partial(self._judge, loaded, names, history=history)
        said = await anyio.to_thread.run_sync(judge)
        if said:
            keyed = [(await self._model_key(it.model), it) for it in said]
            await self._database.call(lambda connection: _store(connection, keyed))
            _trace(said, names)
        for each in loaded:
            self._remember(each)
        return [
            -1 if each.context.last_seq is None else each.context.last_seq for each in loaded
        ]

    def _load(
        self, connection: Connection, jobs: Sequence[Job]
    ) -> tuple[list[Loaded], Mapping[int, DeviceId]]:
        """Read what jobs need, and whose they are."""
        strangers = {job.device_id for job in jobs} - self._names.keys()
        if strangers:
            self._names.update(devices.identities(connection, strangers))
        loaded = [
            load(connection, job, self._contexts.pop((job.device_id, job.stream), None))
            for job in jobs
        ]
        return loaded, self._names

    def _judge(
        self, loaded: Sequence[Loaded], names: Mapping[int, DeviceId], *, history: bool
    ) -> list[_Said]:
        """Return what versions say of all jobs' epochs, each by one call of the model."""
        questions = [question for each in loaded for question in ask(each)]
        whose = [names[question.device_id] for question in questions]
        sessions = [question.session for question in questions]
        served = defaultdict[Model, list[Prediction]](list)
        verdicts = self._trials.judge(whose, sessions, history=history)
        for question, verdict in zip(questions, verdicts, strict=True):
            served[verdict.model].append(row(question, verdict.judged))
        said = [_Said(model, Origin.SERVED, rows) for model, rows in served.items()]
        for model, seen in self._trials.watch(whose, sessions, history=history):
            rows = [row(questions[at], judged) for at, judged in seen.items()]
            said.append(_Said(model, Origin.SHADOW, rows))
        return said

    def _remember(self, loaded: Loaded) -> None:
        self._contexts[loaded.job.device_id, loaded.job.stream] = loaded.context
        if len(self._contexts) > CONTEXTS:
            self._contexts.popitem(last=False)

    async def _model_key(self, model: Model) -> int:
        known = self._model_keys.get(model.full_name)
        if known is None:
            known = await self._database.call(
                lambda it: predictions.model_id(it, model.name, model.version)
            )
            self._model_keys[model.full_name] = known
        return known


def _store(connection: Connection, said: Sequence[tuple[int, _Said]]) -> None:
    """Store what versions said, by their keys; what is served first, should they be one."""
    for key, it in said:
        stored = predictions.store(connection, key, it.rows, origin=it.origin)
        (_settled if it.origin is Origin.SERVED else _watched).inc(stored)


def _trace(said: Sequence[_Said], names: Mapping[int, DeviceId]) -> None:
    for it in said:
        told = {"origin": it.origin.name.lower(), "model": it.model.full_name}
        for one in it.rows:
            stage = None if one.stage is None else one.stage.label
            device = names[one.device_id]
            trace.tell("prediction_stored", device, one.stream, [one.seq], stage=stage, **told)
