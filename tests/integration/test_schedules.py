"""What became of random lives of devices: nothing lost, nothing twice, every time explained."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from typing import Final

import numpy as np
import pytest
from sqlalchemy import text

from noctis.features import NAMES
from noctis.slot import SLOT, decode_slots
from noctis.storage.engine import transaction
from noctis.storage.runs import unsigned
from tests.integration.schedules import DEVICES, Made, Played, played

__all__ = ["played"]

pytestmark = pytest.mark.postgres

Key = tuple[int, int, int]  # device, stream, seq

TOLERANCE: Final = timedelta(seconds=3.2)
"""Of a start: 2 s of the timekeeper's clock, 0.5 s of its grid, rounding."""
DRIFT: Final = timedelta(hours=3) * 50e-6  # of the worst crystal in the longest boot
RIGHT: Final = timedelta(seconds=1.5)
"""A clock is right within this: SNTP's jitter, or half of the longest round trip."""
EARLIEST: Final = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Run:
    boot: int
    utc: datetime | None
    said_s: int
    received: datetime


@dataclass(frozen=True)
class Placed:
    start: datetime
    placement: str
    run_seq: int


@dataclass(frozen=True)
class World:
    made: Mapping[Key, Made]
    runs: Mapping[tuple[int, int], Mapping[int, Run]]  # by device and stream, then run_seq
    placed: Mapping[Key, Placed]


@pytest.fixture(scope="module")
def world(played: Played) -> World:
    with transaction(played.engine, 60) as connection:
        number = {
            row.id: int(row.name[1:])
            for row in connection.execute(text("SELECT id, name FROM devices"))
        }
        runs = defaultdict[tuple[int, int], dict[int, Run]](dict)
        for row in connection.execute(text("SELECT * FROM runs")):
            known = runs[number[row.device_id], unsigned(row.stream)]
            known[row.run_seq] = Run(row.boot, row.utc, row.utc_s, row.received_at)
        rows = connection.execute(
            text(
                "SELECT device_id, stream, seq, epoch_start, placement, run_seq "
                "FROM epoch_timeline"
            )
        )
        placed = {
            (number[row.device_id], unsigned(row.stream), row.seq): Placed(
                row.epoch_start, row.placement, row.run_seq
            )
            for row in rows
        }
    return World({(it.device, it.stream, it.seq): it for it in played.made}, runs, placed)


def anchor_errors(world: World) -> dict[tuple[int, int, int], timedelta]:
    """Return how wrong the clock was at the start of each run that has one, by its run_seq."""
    errors: dict[tuple[int, int, int], timedelta] = {}
    for key in sorted(world.placed):
        run = (*key[:2], world.placed[key].run_seq)
        error = world.made[key].error
        if run not in errors and error is not None:
            errors[run] = error
    return errors


def anchor_of(world: World, key: Key) -> int | None:
    """Return the run that an untimed epoch hangs on; None: its boot never knew the time."""
    runs = world.runs[key[:2]]
    own = world.placed[key].run_seq
    timed = [it for it, run in runs.items() if run.boot == runs[own].boot and run.utc]
    later = [it for it in timed if it > own]
    return min(later) if later else max(timed, default=None)


def test_every_epoch_is_stored_once_with_its_bytes(played: Played) -> None:
    columns = ", ".join(("device_id", "stream", "seq", "in_bed", *NAMES))
    with transaction(played.engine, 60) as connection:
        names = dict(connection.execute(text("SELECT id, name FROM devices")).all())
        rows = connection.execute(
            text(f"SELECT {columns} FROM epochs UNION ALL SELECT {columns} FROM epochs_untimed")  # noqa: S608
        ).all()
    records = b"".join(it.record for it in played.made)
    codes, in_bed = decode_slots(np.frombuffer(records, np.uint8).reshape(-1, SLOT))
    made = Counter(
        (it.device, it.stream, it.seq, bed, *values)
        for it, bed, values in zip(played.made, in_bed.tolist(), codes.tolist(), strict=True)
    )
    stored = Counter((int(names[row[0]][1:]), unsigned(row[1]), *row[2:]) for row in rows)
    assert len(made) == len(played.made) > 100 * DEVICES
    assert stored == made


@pytest.mark.skipif(DEVICES < 30, reason="a few lives do not hold everything")
def test_the_schedules_hold_what_they_promise(played: Played, world: World) -> None:
    """Every kind of clock, refusals and every way of placing an epoch occur."""
    kinds = Counter(it.placement for it in world.placed.values())
    assert min(kinds[name] for name in ("device", "anchored", "estimated")) > 10 * DEVICES**0.5
    errors = [it.error for it in played.made if it.error is not None]
    assert sum(abs(it) < RIGHT for it in errors) > len(played.made) / 4
    for wrong in (timedelta(seconds=10), timedelta(hours=2), timedelta(days=200)):
        assert any(it > wrong for it in errors)
        assert any(it < -wrong for it in errors)
    assert any(it.error is None for it in played.made)
    assert played.refused > 0


def test_each_run_was_judged_once_by_the_moment_of_its_receipt(world: World) -> None:
    for (device, stream), runs in world.runs.items():
        for run_seq, run in runs.items():
            said = datetime.fromtimestamp(run.said_s, UTC)
            earliest = max(EARLIEST, run.received - timedelta(days=400))
            plausible = earliest <= said <= run.received + timedelta(days=1)
            assert run.utc == (said if plausible else None), (device, stream, run_seq)


def test_an_epoch_with_a_clock_starts_when_that_clock_said(world: World) -> None:
    """So where the clock was right, it starts when it truly began."""
    right = 0
    for key, place in world.placed.items():
        made = world.made[key]
        if place.placement == "device":
            assert made.error is not None, made
            assert abs(place.start - made.began - made.error) < TOLERANCE, made
            right += abs(made.error) < RIGHT
    assert right > len(world.made) / 4


def test_an_epoch_without_a_clock_is_placed_by_another_run_of_its_boot(world: World) -> None:
    errors = anchor_errors(world)
    for key, place in world.placed.items():
        if place.placement == "device":
            continue
        made = world.made[key]
        anchor = anchor_of(world, key)
        if anchor is None:
            assert place.placement == "estimated", made
            assert place.start > made.began - TOLERANCE, made  # never before it was made
        else:
            assert place.placement == "anchored", made
            error = errors[(*key[:2], anchor)]
            assert abs(place.start - made.began - error) < TOLERANCE + DRIFT, made


def test_within_a_stream_and_a_run_the_starts_follow_the_sequence(world: World) -> None:
    keys = sorted(world.placed)
    for _, group in groupby(keys, lambda it: (it[:2], world.placed[it].run_seq)):
        run = list(group)
        for before, after in pairwise(run):
            step = world.placed[after].start - world.placed[before].start
            assert step == timedelta(seconds=30) * (after[2] - before[2])
