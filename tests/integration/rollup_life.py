"""A random life of some devices, and what their hours must be, made from the epochs alone."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, Engine, text

from noctis.epoch import Frame, Run
from noctis.features import COUNT, FEATURES, NAMES, dequantise
from noctis.identity import DeviceId
from noctis.storage import devices, rollup_notes, rollups, tenants
from noctis.storage.engine import transaction
from noctis.storage.ingest import Received, ingest
from noctis.storage.rolling import step
from noctis.storage.rollup_schema import COLUMNS, FIGURES

__all__ = ["Killed", "Life", "before", "catch_up", "compare", "direct_hours", "stored_hours"]

START: Final = datetime(2026, 3, 1, tzinfo=UTC)
CODES: Final = ", ".join(NAMES)
SHIFTS: Final = (timedelta(hours=-30), timedelta(minutes=17), timedelta(days=2))

Row = tuple[float | int | None, ...]
Hours = Mapping[int, Mapping[datetime, Row]]


class Killed(Exception):  # noqa: N818 - not an error: what a kill -9 looks like to a transaction
    """The process ended before the commit."""


@dataclass
class Stream:
    """A stream of a device: its next free sequence number."""

    device: DeviceId
    number: int
    next_seq: int = 0
    boot: int = 0


class Life:
    """Devices that send live, late, twice and without a clock; whose runs are corrected."""

    def __init__(self, engine: Engine, seed: int, *, copies: bool = True) -> None:
        self._engine = engine
        self._random = Random(seed)  # noqa: S311 - not a secret
        self._codes = np.random.default_rng(seed)
        self._copies = copies
        self.now = START + timedelta(days=30)
        self.devices = [
            DeviceId("home", "bed"),
            DeviceId("home", "cot"),
            DeviceId("inn", "bed"),
        ]
        self._sent: list[tuple[DeviceId, Frame]] = []
        with transaction(engine, 60) as connection:
            for tenant in ("home", "inn"):
                tenants.add(connection, tenant)
            for device in self.devices:
                devices.add(device.tenant, connection, device.device)
        self._streams = [
            Stream(device, self._random.getrandbits(64)) for device in self.devices
        ]

    def turn(self) -> None:
        """Let something happen."""
        self.now += timedelta(minutes=self._random.choice((0, 1, 20, 90, 600)))
        happening = self._random.choices(
            (self._send, self._send_again, self._correct, self._erase, self._roll),
            (8, 2, 1, 1, 3),
        )[0]
        happening()

    def _send(self) -> None:
        stream = self._random.choice(self._streams)
        count = self._random.randint(1, 64)
        age = timedelta(
            minutes=self._random.choice((0, 0, 50, 61, 95, 120, 60 * 26, 60 * 24 * 12)),
            seconds=self._random.randrange(3600),
        )
        start = self.now - timedelta(seconds=30 * count) - age
        utc_s = 0 if self._random.random() < 0.15 else int(start.timestamp())
        stream.boot += self._random.random() < 0.5
        tick_s = 100_000 + int((start - START).total_seconds())
        run = Run(0, 0, stream.boot, tick_s, utc_s)
        codes = np.stack([self._codes.integers(0, 1 << f.bits, count) for f in FEATURES], 1)
        in_bed = self._codes.random(count) < 0.7
        frame = Frame(
            stream.number,
            stream.next_seq + 1,
            stream.next_seq,
            run,
            codes.astype(np.int16),
            in_bed,
        )
        stream.next_seq += count + 1
        self._sent.append((stream.device, frame))
        self._ingest(stream.device, frame)

    def _send_again(self) -> None:
        if self._sent:
            self._ingest(*self._random.choice(self._sent))

    def _ingest(self, device: DeviceId, frame: Frame) -> None:
        backlog = not self._copies or self._random.random() < 0.3
        with transaction(self._engine, 60) as connection:
            [verdict] = ingest(connection, [Received(device, frame, backlog)], now=self.now)
        assert verdict.reason == ""

    def _correct(self) -> None:
        """Correct the time of a run, or take a correction back."""
        shift = self._random.choice((timedelta(), *SHIFTS))
        with transaction(self._engine, 60) as connection:
            runs = connection.execute(
                text("SELECT device_id, stream, run_seq FROM runs ORDER BY 1, 2, 3")
            ).all()
            if runs:
                run = self._random.choice(runs)._mapping
                connection.execute(
                    text(
                        "UPDATE runs SET shift = :shift WHERE device_id = :device_id "
                        "AND stream = :stream AND run_seq = :run_seq"
                    ),
                    {"shift": shift, **run},
                )

    def _erase(self) -> None:
        """Take a run's epochs away, and say so as whoever erases must."""
        with transaction(self._engine, 60) as connection:
            runs = connection.execute(
                text(
                    "SELECT device_id, stream, run_seq, min(epoch_start), max(epoch_start) "
                    "FROM epochs GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
                )
            ).all()
            if not runs:
                return
            device, stream, run_seq, first, last = self._random.choice(runs)
            connection.execute(
                text(
                    "DELETE FROM epochs WHERE device_id = :device AND stream = :stream "
                    "AND run_seq = :run_seq AND epoch_start BETWEEN :first AND :last"
                ),
                {
                    "device": device,
                    "stream": stream,
                    "run_seq": run_seq,
                    "first": first,
                    "last": last,
                },
            )
            rollup_notes.note(connection, [(device, _us(first), _us(last))])
        self._sent = [
            (name, frame)
            for name, frame in self._sent
            if frame.run_seq != run_seq or frame.stream & (2**64 - 1) != stream & (2**64 - 1)
        ]

    def _roll(self) -> None:
        """Run the job to its end, or a step that may be killed before it commits."""
        if self._random.random() < 0.5:
            catch_up(self._engine, self.now)
            return
        with suppress(Killed), transaction(self._engine, 60) as connection:
            step(connection, now=self.now)
            if self._random.random() < 0.5:
                raise Killed

    def check_reading(self) -> None:
        """Compare what is read of each device with its epochs on the time line."""
        for device in self.devices:
            with transaction(self._engine, 60) as connection:
                key = devices.get(device.tenant, connection, device.device).id
                wanted = direct_hours(connection, "epoch_timeline").get(key, {})
                since, until = self.now - timedelta(days=50), self.now + timedelta(days=9)
                found = rollups.read(device.tenant, connection, device.device, since, until)
            _compare({it.hour: _row(it) for it in found}, wanted)


def _us(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def _row(hour: rollups.Hour) -> Row:
    figures = (hour.figures[name] for name in FIGURES)
    parts = (
        (
            it.count,
            None if it.mean is None else it.mean * it.count,
            it.minimum,
            it.maximum,
        )
        for it in figures
    )
    return (hour.epochs, hour.in_bed, *(value for part in parts for value in part))


def catch_up(engine: Engine, now: datetime) -> datetime | None:
    """Run the job until nothing is left to do; return its mark."""
    for _ in range(1000):
        with transaction(engine, 60) as connection:
            done = step(connection, now=now)
        if not done.busy:
            return done.until
    raise AssertionError


def stored_hours(connection: Connection) -> dict[int, dict[datetime, Row]]:
    """Return the rollup as it is stored: device -> hour -> columns from ``epochs`` on."""
    names = ", ".join(COLUMNS)
    found: dict[int, dict[datetime, Row]] = defaultdict(dict)
    for row in connection.execute(text(f"SELECT {names} FROM epochs_hourly")):  # noqa: S608
        assert row.hour not in found[row.device_id]
        found[row.device_id][row.hour] = tuple(row[3:])
    return dict(found)


def direct_hours(connection: Connection, table: str) -> dict[int, dict[datetime, Row]]:
    """Return the same, computed here from the epochs of a table or view."""
    rows = connection.execute(
        text(f"SELECT device_id, epoch_start, in_bed, {CODES} FROM {table}")  # noqa: S608
    ).all()
    groups: dict[tuple[int, datetime], list[Any]] = defaultdict(list)
    for row in rows:
        hour = row.epoch_start.replace(minute=0, second=0, microsecond=0)
        groups[row.device_id, hour].append(row)
    found: dict[int, dict[datetime, Row]] = defaultdict(dict)
    for (device, hour), group in groups.items():
        found[device][hour] = _aggregate(group)
    return dict(found)


def _aggregate(rows: Sequence[Any]) -> Row:
    codes = np.array([row[-COUNT:] for row in rows], np.int16)
    in_bed = np.array([row.in_bed for row in rows])
    values = dequantise(codes)[in_bed]
    parts: list[float | int | None] = [len(rows), int(in_bed.sum())]
    for feature in FIGURES.values():
        known = values[:, NAMES.index(feature)]
        known = known[~np.isnan(known)]
        some = len(known) > 0
        parts += [
            len(known),
            float(known.sum()) if some else None,
            float(known.min()) if some else None,
            float(known.max()) if some else None,
        ]
    return tuple(parts)


def before(hours: Hours, mark: datetime) -> Hours:
    """Return the hours that begin before a moment."""
    return {
        device: {hour: row for hour, row in rows.items() if hour < mark}
        for device, rows in hours.items()
    }


def _compare(found: Mapping[datetime, Row], wanted: Mapping[datetime, Row]) -> None:
    assert sorted(found) == sorted(wanted)
    for hour, row in found.items():
        for one, other in zip(row, wanted[hour], strict=True):
            assert (one is None) == (other is None), (hour, row, wanted[hour])
            if one is not None and other is not None:
                assert abs(one - other) <= 1e-9 * max(1.0, abs(other)), (hour, row)


def compare(found: Hours, wanted: Hours) -> None:
    """Compare two sets of devices' hours."""
    keys = {key for key, hours in found.items() if hours}
    assert keys == {key for key, hours in wanted.items() if hours}
    for key in keys:
        _compare(found[key], wanted[key])
