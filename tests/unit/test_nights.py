from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.nights import ABSENCE, evening_of, find
from noctis.hypnogram import MISSING, OUT_OF_BED, UNSTAGED
from noctis.stages import Stage
from noctis.storage.recordings import Night
from noctis.storage.timeline import NO_STAGE, Timeline

BERLIN = ZoneInfo("Europe/Berlin")
LATER = datetime(2027, 1, 1, tzinfo=UTC)
EVENING = datetime(2026, 11, 21, 22, tzinfo=BERLIN)
HOUR = 120
"""Epochs."""


def timeline(
    begin: datetime,
    *parts: tuple[str, int],
    received: datetime | None = None,
    offset: timedelta = timedelta(0),
) -> Timeline:
    """Return epochs: parts of (what, how many): in bed, away, or lost, from ``begin`` on."""
    starts, in_bed = [], []
    at = begin.astimezone(UTC) + offset
    for what, count in parts:
        for _ in range(count):
            if what != "lost":
                starts.append(round(at.timestamp() * 1e6))
                in_bed.append(what == "bed")
            at += timedelta(seconds=30)
    size = len(starts)
    heard = np.array(starts, np.int64)
    if received is not None:
        heard[:] = round(received.timestamp() * 1e6)
    occupied = np.array(in_bed, np.bool_)
    stages = np.where(occupied, int(Stage.LIGHT), NO_STAGE).astype(np.int8)
    return Timeline(
        np.array(starts, np.int64),
        occupied,
        stages,
        occupied.astype(np.int32),
        heard,
        np.zeros(size, np.bool_),
    )


def both(*parts: Timeline) -> Timeline:
    """Return the epochs of several timelines in their order."""
    start = np.concatenate([part.start for part in parts])
    order = np.argsort(start, kind="stable")
    columns = [
        np.concatenate([getattr(part, name) for part in parts])[order]
        for name in ("start", "in_bed", "stage", "model", "received", "is_moved")
    ]
    return Timeline(*columns)


def nights(
    *parts: tuple[str, int],
    begin: datetime = EVENING,
    zone: ZoneInfo = BERLIN,
    now: datetime = LATER,
) -> list[Night]:
    return find(timeline(begin, *parts), zone, now)


def hours(night: Night) -> float:
    return (night.ended_at - night.started_at) / timedelta(hours=1)


def test_a_night_lasts_from_the_first_epoch_in_bed_to_the_last() -> None:
    [night] = nights(("away", 10), ("bed", 8 * HOUR), ("away", 200))
    assert night.started_at == EVENING + timedelta(minutes=5)
    assert night.ended_at == EVENING + timedelta(hours=8, minutes=5)
    assert night.evening == date(2026, 11, 21)
    assert night.time_zone == "Europe/Berlin"
    assert night.codes.tolist() == [Stage.LIGHT] * 8 * HOUR


def test_nobody_in_bed_is_no_night() -> None:
    assert nights(("away", 500)) == []
    assert nights(("lost", 500)) == []


@pytest.mark.parametrize("what", ["away", "lost"])
def test_an_absence_of_45_minutes_is_part_of_the_night_and_a_longer_one_is_not(
    what: str,
) -> None:
    assert len(nights(("bed", HOUR), (what, 90), ("bed", HOUR))) == 1
    assert len(nights(("bed", HOUR), (what, 91), ("bed", HOUR))) == 2


def test_an_absence_stands_in_the_hypnogram_as_what_it_was() -> None:
    [night] = nights(("bed", 60), ("away", 4), ("lost", 3), ("bed", 60))
    assert night.codes[60:67].tolist() == [OUT_OF_BED] * 4 + [MISSING] * 3
    assert len(night.codes) == 127


def test_an_epoch_in_bed_without_a_stage_stands_in_the_hypnogram() -> None:
    epochs = timeline(EVENING, ("bed", 60))
    epochs.stage[[10, 59]] = NO_STAGE
    [night] = find(epochs, BERLIN, LATER)
    assert np.flatnonzero(night.codes == UNSTAGED).tolist() == [10, 59]


def test_who_sat_down_for_less_than_five_minutes_begins_no_night() -> None:
    [night] = nights(("bed", 9), ("away", 40), ("bed", HOUR))
    assert night.started_at == EVENING + timedelta(minutes=24.5)
    [night] = nights(("bed", 10), ("away", 40), ("bed", HOUR))
    assert night.started_at == EVENING


def test_a_visit_is_not_ended_by_two_minutes_without_presence() -> None:
    [night] = nights(("bed", 5), ("away", 4), ("bed", 5), ("away", 60), ("bed", HOUR))
    assert night.started_at == EVENING
    [night] = nights(("bed", 5), ("away", 5), ("bed", 5), ("away", 60), ("bed", HOUR))
    assert night.started_at == EVENING + timedelta(minutes=37.5)


def test_less_than_twenty_minutes_in_bed_are_no_night() -> None:
    assert nights(("bed", 39)) == []
    assert len(nights(("bed", 40))) == 1
    assert len(nights(("bed", 20), ("away", 30), ("bed", 20))) == 1
    assert nights(("bed", 20), ("away", 30), ("bed", 19)) == []


def test_a_nap_is_a_night_of_its_own() -> None:
    nap, night = nights(("bed", 60), ("away", 4 * HOUR), ("bed", 7 * HOUR))
    assert (hours(nap), hours(night)) == (0.5, 7.0)


@pytest.mark.parametrize(
    ("start", "evening"),
    [
        (datetime(2026, 11, 21, 12, 0, tzinfo=BERLIN), date(2026, 11, 21)),
        (datetime(2026, 11, 21, 23, 59, tzinfo=BERLIN), date(2026, 11, 21)),
        (datetime(2026, 11, 22, 0, 1, tzinfo=BERLIN), date(2026, 11, 21)),
        (datetime(2026, 11, 22, 11, 59, 59, tzinfo=BERLIN), date(2026, 11, 21)),
        (datetime(2026, 11, 21, 11, 30, tzinfo=UTC), date(2026, 11, 21)),
        (datetime(2026, 11, 21, 10, 30, tzinfo=UTC), date(2026, 11, 20)),
    ],
)
def test_days_go_from_noon_to_noon_where_the_device_is(start: datetime, evening: date) -> None:
    assert evening_of(start.astimezone(UTC), BERLIN) == evening


@pytest.mark.parametrize(
    ("begin", "wall_clock_hours"),
    [
        (datetime(2026, 3, 28, 22, 30, tzinfo=BERLIN), 9),  # the clocks go forward at 2
        (datetime(2026, 10, 24, 22, 30, tzinfo=BERLIN), 7),  # and back at 3
    ],
)
def test_a_night_in_which_the_clocks_change_has_its_true_length(
    begin: datetime, wall_clock_hours: int
) -> None:
    [night] = nights(("bed", 8 * HOUR), ("away", 100), begin=begin)
    assert len(night.codes) == 8 * HOUR
    assert night.evening == begin.date()
    assert night.started_at == begin.astimezone(UTC)
    end = night.ended_at.astimezone(BERLIN).replace(tzinfo=None)
    assert end == begin.replace(tzinfo=None) + timedelta(hours=wall_clock_hours)


@pytest.mark.parametrize("day", [(2026, 3, 28), (2026, 10, 24), (2026, 11, 21)])
def test_who_never_leaves_the_bed_has_a_night_from_noon_to_noon(
    day: tuple[int, int, int],
) -> None:
    begin = datetime(*day, 20, tzinfo=BERLIN)
    found = nights(("bed", 74 * HOUR), ("away", 100), begin=begin)
    cuts = [night.started_at.astimezone(BERLIN) for night in found[1:]]
    noons = [begin.replace(hour=12) + timedelta(days=days) for days in (1, 2, 3)]
    assert cuts == noons
    assert [night.ended_at for night in found[:-1]] == [it.astimezone(UTC) for it in noons]
    assert [night.evening for night in found] == [
        begin.date() + timedelta(days=days) for days in range(4)
    ]


@pytest.mark.parametrize(
    ("epochs", "lengths"),
    [(9 * HOUR, [9.0]), (16 * HOUR - 1, [16 - 1 / HOUR]), (16 * HOUR, [8, 8])],
)
def test_only_who_lies_eight_hours_before_and_after_noon_has_two_nights(
    epochs: int, lengths: list[float]
) -> None:
    found = nights(("bed", epochs), begin=datetime(2026, 11, 21, 4, tzinfo=BERLIN))
    assert [hours(night) for night in found] == lengths
    assert found[0].evening == date(2026, 11, 20)


@pytest.mark.parametrize(("off_s", "lost"), [(13, [100, 101]), (20, [100, 101, 102])])
def test_a_device_that_restarted_is_off_the_grid_and_keeps_the_nearest_place(
    off_s: int, lost: list[int]
) -> None:
    first = timeline(EVENING, ("bed", 100))
    second = timeline(EVENING, ("lost", 102), ("bed", 100), offset=timedelta(seconds=off_s))
    [night] = find(both(first, second), BERLIN, LATER)
    assert np.flatnonzero(night.codes == MISSING).tolist() == lost
    assert len(night.codes) == 200 + len(lost)
    assert night.ended_at == EVENING + timedelta(minutes=101, seconds=off_s)


def test_two_epochs_in_one_place_count_once() -> None:
    epochs = timeline(EVENING, ("bed", 100))
    [night] = find(both(epochs, epochs), BERLIN, LATER)
    [alone] = find(epochs, BERLIN, LATER)
    assert night == alone


def test_the_model_of_its_last_stage_is_the_nights() -> None:
    epochs = timeline(EVENING, ("bed", 100), ("away", 10), ("bed", 100))
    epochs.model[:] = 5
    epochs.model[150:] = 3
    epochs.model[105] = 7
    [night] = find(epochs, BERLIN, LATER)
    assert night.model_id == 3


def test_a_night_closes_when_the_bed_was_seen_empty() -> None:
    now = EVENING + timedelta(hours=2)
    [night] = nights(("bed", 2 * HOUR), ("away", 89), now=now)
    assert night.state == "open"
    [night] = nights(("bed", 2 * HOUR), ("away", 90), now=now)
    assert (night.state, night.closes_at) == ("closed", None)


def test_a_bed_that_was_not_seen_all_the_time_does_not_close_the_night() -> None:
    parts = (("bed", 2 * HOUR), ("away", 50), ("lost", 1), ("away", 60))
    received = EVENING + timedelta(hours=3)
    epochs = timeline(EVENING, *parts, received=received)
    now = received + timedelta(minutes=1)
    [night] = find(epochs, BERLIN, now)
    assert night.state == "open"
    [night] = find(epochs, BERLIN, now + timedelta(minutes=15))
    assert night.state == "closed"


def test_a_night_closes_by_time_alone_when_nothing_more_comes() -> None:
    end = EVENING + timedelta(hours=2)
    epochs = timeline(EVENING, ("bed", 2 * HOUR))
    [night] = find(epochs, BERLIN, end)
    assert (night.state, night.closes_at) == ("open", end + ABSENCE)
    [night] = find(epochs, BERLIN, end + ABSENCE - timedelta(seconds=1))
    assert night.state == "open"
    [night] = find(epochs, BERLIN, end + ABSENCE)
    assert night.state == "closed"


def test_a_night_of_the_past_stays_open_while_it_arrives() -> None:
    received = EVENING + timedelta(days=3)
    epochs = timeline(EVENING, ("bed", 2 * HOUR), received=received)
    [night] = find(epochs, BERLIN, received + timedelta(minutes=14))
    assert night.closes_at == received + timedelta(minutes=15)
    [night] = find(epochs, BERLIN, received + timedelta(minutes=15))
    assert night.state == "closed"


def test_a_night_is_the_same_for_everybody_who_cannot_see_when_it_closes() -> None:
    epochs = timeline(EVENING, ("bed", HOUR))
    [one] = find(epochs, BERLIN, EVENING + timedelta(hours=1))
    epochs.received[-1] += 3_600_000_000
    [other] = find(epochs, BERLIN, EVENING + timedelta(hours=1))
    assert one.closes_at != other.closes_at
    assert one == other


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["bed", "bed", "away", "lost"]),
            st.sampled_from([1, 4, 5, 9, 10, 40, 90, 91, 200, 1000, 3000]),
        ),
        max_size=12,
    ),
    st.integers(0, 23),
)
def test_nights_begin_and_end_in_bed_apart_from_each_other_and_never_last_for_days(
    parts: list[tuple[str, int]], hour: int
) -> None:
    begin = EVENING.replace(hour=hour)
    epochs = timeline(begin, *parts)
    found = find(epochs, BERLIN, LATER)
    occupied = {int(it) for it in epochs.start[epochs.in_bed]}
    for night in found:
        assert timedelta(minutes=20) <= night.ended_at - night.started_at
        assert night.ended_at - night.started_at <= timedelta(hours=41)
        assert round(night.started_at.timestamp() * 1e6) in occupied
        assert round((night.ended_at.timestamp() - 30) * 1e6) in occupied
        assert len(night.codes) == (night.ended_at - night.started_at) // timedelta(seconds=30)
        assert (night.codes == Stage.LIGHT).sum() >= 40
    for one, other in pairwise(found):
        assert one.ended_at <= other.started_at
