"""The live worker: an epoch comes by, its stage goes out, database or no database."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray
from prometheus_client import Counter, Gauge, Histogram

from inference.contexts import Contexts, Known, Past
from inference.recall import Recall
from inference.stage import Staged, is_stageable, payload
from inference.trials import Trials
from noctis import ages, faults, topics, trace
from noctis.epoch import EPOCH_SECONDS, Frame, decode_frames
from noctis.errors import FrameError, TopicError
from noctis.identity import DeviceId
from noctis.mqtt import BrokerError, Link, Message, Session
from noctis.storage.runs import verdict

__all__ = ["EXPIRES_S", "Live", "Seen"]

EXPIRES_S: Final = 120
BATCH: Final = 32  # frames a turn of the event loop, some 50 ms of work
SWEEP_S: Final = 600.0
PUBLISH_WINDOW: Final = 64

Seen = Callable[[DeviceId, int, int], None]
"""Is told (device, stream, seq) of an epoch that went by."""

_log = structlog.get_logger(__name__)
_received = Counter("noctis_live_received_total", "Messages with epochs received.")
_ignored = Counter("noctis_live_bad_frames_total", "Messages that hold no frame.", ["reason"])
_published = Counter("noctis_live_published_total", "Live stages published.")
_unpublished = Counter("noctis_live_unpublished_total", "Stages that the broker did not take.")
_last_published = Gauge(
    "noctis_live_published_timestamp_seconds", "When the broker last took a stage."
)
_last_unpublished = Gauge(
    "noctis_live_unpublished_timestamp_seconds", "When the broker last did not take a stage."
)
_ready_seconds = Histogram(
    "noctis_live_prediction_seconds",
    "Time from receipt of an epoch to its stage being handed to the broker.",
    buckets=(0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
_age_seconds = Histogram(
    "noctis_live_age_seconds",
    "From the end of an epoch, by its device's clock, to its stage at the apps' broker.",
    buckets=ages.AGES,
)
_devices = Gauge("noctis_live_devices", "Devices whose context is in memory.")


@dataclass(slots=True, eq=False)
class _Arrival:
    """A message on its way through the worker; ``stage`` is what is to be published."""

    device: DeviceId
    payload: bytes
    stage: asyncio.Future[Staged | None]
    at: float = field(default_factory=time.perf_counter)

    def answer(self, staged: Staged | None) -> None:
        """Hand the stage to whoever waits for it; None: there is nothing to publish."""
        if not self.stage.done():
            self.stage.set_result(staged)


@dataclass(frozen=True, slots=True)
class _Question:
    """What to ask the model for an arrival; no epoch where nothing new came."""

    arrival: _Arrival
    stream: int
    epoch: Past | None
    session: NDArray[np.int16] | None


class Live:
    """Turns each live epoch into a retained stage on the app's topic.

    What arrived together is decoded and predicted together; nothing waits for a batch to
    fill. A message is acknowledged once its stage is published, or will not be: an epoch that
    came before, one with another behind it, and bytes that are no frame (the ingestor keeps
    those) have no stage of their own.
    """

    def __init__(
        self,
        link: Link,
        shards: frozenset[int],
        trials: Trials,
        recall: Recall,
        seen: Seen,
        *,
        apps: Link | None,
    ) -> None:
        self.session = Session(
            link,
            subscriptions=[topics.ups(shard, "epochs") for shard in sorted(shards)],
            handler=self._handle,
            publish_window=PUBLISH_WINDOW,
        )
        self._apps = (
            self.session if apps is None else Session(apps, publish_window=PUBLISH_WINDOW)
        )
        self._trials = trials
        self._recall = recall
        self._seen = seen
        self._contexts = Contexts()
        self._waiting: dict[Known, list[tuple[_Arrival, Frame]]] = {}
        self._arrivals: deque[_Arrival] = deque()
        self._arrived = asyncio.Event()

    @property
    def ready(self) -> bool:
        """True while epochs can arrive and their stages can go out."""
        return self.session.ready and self._apps.ready

    @property
    def trouble(self) -> str:
        """Why it is not ready; else empty."""
        return self.session.trouble or self._apps.trouble

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for session in {self.session, self._apps}:
                group.create_task(session.run())
            group.create_task(self._sweep())
            while True:
                await self._arrived.wait()
                self._answer(self._next_batch(), group)
                await asyncio.sleep(0)  # so that what was answered is published first

    async def drain(self, *, within_s: float) -> None:
        """Publish the stages in hand, take no more epochs, leave the brokers."""
        await self.session.stop(within_s=within_s)
        await self._apps.stop(within_s=within_s)

    async def _handle(self, message: Message) -> None:
        _received.inc()
        try:
            device = topics.parse_up(message.topic).device
        except TopicError:
            _ignored.labels("topic").inc()
            return
        stage = asyncio.get_running_loop().create_future()
        arrival = _Arrival(device, message.payload, stage)
        self._arrivals.append(arrival)
        self._arrived.set()
        staged = await stage
        if staged is None:
            return
        _ready_seconds.observe(time.perf_counter() - arrival.at)
        await self._publish(device, staged)

    async def _publish(self, device: DeviceId, staged: Staged) -> None:
        topic, moment = topics.stage(device), staged.moment
        try:
            if await faults.apoint("inference.publish"):
                return
            await self._apps.publish(topic, payload(staged), retain=True, expires_s=EXPIRES_S)
        except (BrokerError, faults.InjectedError) as error:
            _unpublished.inc()
            _last_unpublished.set_to_current_time()
            _log.warning("stage_not_published", error=str(error))
        else:
            _published.inc()
            _last_published.set_to_current_time()
            if moment.boot is None:
                ages.observe(_age_seconds, [moment.time_s + EPOCH_SECONDS])
            _trace(device, staged)

    def _next_batch(self) -> list[_Arrival]:
        batch = [self._arrivals.popleft() for _ in range(min(BATCH, len(self._arrivals)))]
        if not self._arrivals:
            self._arrived.clear()
        return batch

    def _answer(self, batch: list[_Arrival], group: asyncio.TaskGroup) -> None:
        questions = []
        frames = decode_frames([arrival.payload for arrival in batch])
        for arrival, frame in zip(batch, frames, strict=True):
            if isinstance(frame, FrameError):
                _ignored.labels(frame.reason).inc()
                arrival.answer(None)
                continue
            known = self._contexts.hear(arrival.device, frame.stream, time.monotonic())
            self._seen(arrival.device, frame.stream, int(frame.seqs[-1]))
            if not self._must_wait(known, arrival, frame, group):
                questions.append(self._take(known, arrival, frame))
        _devices.set(len(self._contexts))
        self._tell(questions)

    def _must_wait(
        self, known: Known, arrival: _Arrival, frame: Frame, group: asyncio.TaskGroup
    ) -> bool:
        """Tell whether a frame waits until its stream's past is recalled; start that."""
        if known in self._waiting:
            self._waiting[known].append((arrival, frame))
            return True
        known.note_hole(frame)
        if not self._recall.is_due(known):
            return False
        if known.context.last_seq is not None:
            group.create_task(self._recall.look(known))
            return False
        self._waiting[known] = [(arrival, frame)]
        group.create_task(self._begin(known))
        return True

    async def _begin(self, known: Known) -> None:
        """Recall a stream's past, as after a restart, then answer what waits for it."""
        await self._recall.look(known)
        waiting = self._waiting.pop(known)
        self._tell([self._take(known, arrival, frame) for arrival, frame in waiting])

    def _take(self, known: Known, arrival: _Arrival, frame: Frame) -> _Question:
        """Take a frame into its context, and keep what the model is to be asked."""
        clock_known = verdict(frame.run, datetime.now(UTC)) is not None
        epoch = known.take(frame, clock_known=clock_known)
        session = None
        if epoch is not None and is_stageable(epoch.row):
            session = known.context.session()
        return _Question(arrival, frame.stream, epoch, session)

    def _tell(self, questions: Sequence[_Question]) -> None:
        """Predict all at once, and hand each stage to whoever waits for it."""
        verdicts = self._trials.judge(
            [question.arrival.device for question in questions],
            [question.session for question in questions],
        )
        for question, said in zip(questions, verdicts, strict=True):
            staged, epoch = None, question.epoch
            if epoch is not None:
                name = said.model.full_name
                staged = Staged(question.stream, epoch.moment, epoch.row, said.judged, name)
            question.arrival.answer(staged)

    async def _sweep(self) -> None:
        while True:
            self._contexts.forget_idle(time.monotonic())
            _devices.set(len(self._contexts))
            await asyncio.sleep(SWEEP_S)


def _trace(device: DeviceId, staged: Staged) -> None:
    stage = None if staged.judged.stage is None else staged.judged.stage.label
    seqs = [staged.moment.seq]
    trace.tell("stage_published", device, staged.stream, seqs, stage=stage, model=staged.model)
