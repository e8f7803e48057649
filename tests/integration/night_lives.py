"""Random lives of a bed: who lay in it when, in which runs and frames the device tells of it.

``Life.timeline`` says from the truth alone where each epoch stands and what was judged of it;
what the platform makes of the frames, in whatever order they come, must end in the same nights.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import Connection, text

from noctis.epoch import Frame, Run
from noctis.features import COUNT
from noctis.identity import DeviceId
from noctis.stages import Stage
from noctis.storage import predictions
from noctis.storage.ingest import Received, ingest
from noctis.storage.predictions import Prediction
from noctis.storage.runs import signed
from noctis.storage.timeline import NO_STAGE, Timeline

EVENING = datetime(2026, 3, 27, 18, tzinfo=UTC)
"""Two nights before the clocks of Berlin change."""

RECEIVED = EVENING + timedelta(days=9)
"""When frames come, if nobody says otherwise."""


@dataclass
class Stretch:
    """A RUN and the epochs behind it; ``utc`` None: the device did not know the time."""

    run_seq: int
    boot: int
    tick_s: int
    utc: datetime | None
    in_bed: Sequence[bool]
    shift: timedelta = timedelta(0)

    def frames(self, stream: int, size: int) -> list[Frame]:
        run = Run(0, 0, self.boot, self.tick_s, int(self.utc.timestamp()) if self.utc else 0)
        return [
            Frame(
                stream,
                self.run_seq + 1 + at,
                self.run_seq,
                run,
                np.zeros((len(self.in_bed[at : at + size]), COUNT), np.int16),
                np.array(self.in_bed[at : at + size]),
            )
            for at in range(0, len(self.in_bed), size)
        ]


@dataclass
class Life:
    """What a device made, and what has become of it in the database so far."""

    device: DeviceId
    key: int
    stretches: list[Stretch]
    stream: int
    models: tuple[int, ...]
    stored: dict[int, datetime | None] = field(default_factory=dict)
    judged: dict[int, int] = field(default_factory=dict)

    def frames(self, size: int = 64) -> list[Frame]:
        return [frame for it in self.stretches for frame in it.frames(self.stream, size)]

    def store(
        self, connection: Connection, frames: Sequence[Frame], now: datetime = RECEIVED
    ) -> None:
        """Ingest frames as they come, late or not."""
        letters = [Received(self.device, frame, backlog=True) for frame in frames]
        assert {verdict.code for verdict in ingest(connection, letters, now=now)} == {0}
        for frame in frames:
            run = self.run_of(frame)
            for seq in frame.seqs.tolist():
                behind = timedelta(seconds=30 * (seq - run.run_seq - 1))
                self.stored[seq] = None if run.utc is None else run.utc + behind

    def run_of(self, frame: Frame) -> Stretch:
        return next(it for it in self.stretches if it.run_seq == frame.run_seq)

    def judge(self, connection: Connection, seqs: Sequence[int], model: int) -> None:
        """Store a model's predictions of stored epochs, as the settler does."""
        rows = [
            Prediction(self.key, self.stream, seq, self.stored[seq], stage(seq, model), None)
            for seq in seqs
        ]
        predictions.store(connection, model, rows)
        for seq in seqs:
            self.judged[seq] = max(model, self.judged.get(seq, 0))

    def waiting(self) -> list[int]:
        """Return the stored epochs that no model has judged."""
        return [seq for seq in self.stored if seq not in self.judged]

    def shift(self, connection: Connection, run: Stretch, by: timedelta) -> None:
        """Correct a run's clock, as a person does."""
        run.shift = by
        connection.execute(
            text(
                "UPDATE runs SET shift = :by WHERE device_id = :device AND stream = :stream "
                "AND run_seq = :run"
            ),
            {
                "by": by,
                "device": self.key,
                "stream": signed(self.stream),
                "run": run.run_seq,
            },
        )

    def timeline(self) -> Timeline:
        """Return all epochs whose time is known, as the truth has them."""
        rows = []
        for run in self.stretches:
            begin = self._begin(run)
            if begin is None:
                continue
            for index, in_bed in enumerate(run.in_bed):
                seq, start = run.run_seq + 1 + index, begin + timedelta(seconds=30 * index)
                model = self.judged[seq]
                found = stage(seq, model)
                moved = run.utc is None or bool(run.shift)
                number = NO_STAGE if found is None else int(found)
                rows.append((start, seq, in_bed, number, model, moved))
        rows.sort(key=lambda row: row[:2])
        start_us = [round(row[0].timestamp() * 1e6) for row in rows]
        return Timeline(
            np.array(start_us, np.int64),
            np.array([row[2] for row in rows], np.bool_),
            np.array([row[3] for row in rows], np.int8),
            np.array([row[4] for row in rows], np.int32),
            np.array(start_us, np.int64),
            np.array([row[5] for row in rows], np.bool_),
        )

    def _begin(self, run: Stretch) -> datetime | None:
        """Return where the first epoch of a run stands."""
        if run.utc is not None:
            return run.utc + run.shift
        anchors = [it for it in self.stretches if it.boot == run.boot and it.utc is not None]
        if not anchors:
            return None
        anchor = min(
            anchors,
            key=lambda it: (it.run_seq < run.run_seq, abs(it.run_seq - run.run_seq)),
        )
        assert anchor.utc is not None
        since = timedelta(seconds=run.tick_s - anchor.tick_s)
        return anchor.utc + anchor.shift + since + run.shift


def stage(seq: int, model: int) -> Stage | None:
    """Return what a model makes of an epoch: mostly a stage."""
    number = (seq * 2654435761 + model * 40503) >> 7
    return None if number % 11 == 0 else Stage(number % 4)


def stretches(draw: random.Random) -> list[Stretch]:
    """Return a life: in and out of bed, lost from sight, the clock known or not."""
    if draw.random() < 0.2:
        return _never_up(draw)
    made: list[Stretch] = []
    now, seq, boot, booted = EVENING, 0, 1, EVENING - timedelta(seconds=5)
    for _ in range(draw.randint(1, 14)):
        what = draw.random()
        if what < 0.3:  # lost from sight, perhaps without power
            now += timedelta(seconds=draw.choice((30, 60, 200, 2640, 2730, 9000, 30000)))
            if draw.random() < 0.3:
                boot, booted = boot + 1, now - timedelta(seconds=draw.choice((5, 47)))
            continue
        in_bed: list[bool] = []
        for _ in range(draw.randint(1, 4)):
            epochs = draw.choice((1, 3, 5, 9, 10, 11, 39, 41, 60, 89, 90, 91, 240))
            in_bed += [draw.random() < 0.7] * epochs
        is_known = draw.random() < 0.7
        tick = int((now - booted).total_seconds())
        off = timedelta(seconds=draw.choice((0, 0, 0, 1, 13)))
        made.append(Stretch(seq, boot, tick, now + off if is_known else None, in_bed))
        seq += 1 + len(in_bed)
        now += timedelta(seconds=30 * len(in_bed))
    return made


def _never_up(draw: random.Random) -> list[Stretch]:
    """Return days in bed, of which little is seen: five minutes now and then."""
    made: list[Stretch] = []
    now, seq = EVENING + timedelta(hours=draw.randint(0, 23)), 0
    end = now + timedelta(hours=draw.randint(10, 110))
    while now < end:
        made.append(Stretch(seq, 1, int((now - EVENING).total_seconds()), now, [True] * 10))
        seq += 11
        now += timedelta(minutes=5 + draw.choice((20, 40, 45)))
    return made
