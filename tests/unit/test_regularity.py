from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noctis.regularity import ASLEEP, AWAKE, DAY, DAYS_LEAST, KNOWN, UNKNOWN, Days, index

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = DAY // 24
SEEDS = st.integers(0, 2**32 - 1)


def day(asleep: int, begin: int = 11 * HOUR) -> np.ndarray:
    """Return a day from noon on with so many epochs of sleep."""
    states = np.zeros(DAY, np.int8)
    states[begin : begin + asleep] = ASLEEP
    return states


def by_the_paper(days: np.ndarray) -> float | None:
    """Return the index as the paper's double sum has it, epoch by epoch."""
    same = pairs = counted = 0
    for before, after in zip(days.tolist(), days.tolist()[1:], strict=False):
        known = [(a, b) for a, b in zip(before, after, strict=True) if UNKNOWN not in (a, b)]
        if len(known) < KNOWN * DAY:
            continue
        counted += 1
        pairs += len(known)
        same += sum(a == b for a, b in known)
    return None if counted < DAYS_LEAST else -100 + 200 * same / pairs


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, count=st.integers(0, 9), unknown=st.floats(0, 0.3))
def test_the_index_is_the_papers_sum(seed: int, count: int, unknown: float) -> None:
    random = np.random.default_rng(seed)
    days = np.stack([day(int(n)) for n in random.integers(0, 9 * HOUR, count)] or [day(0)])
    days[random.random(days.shape) < unknown] = UNKNOWN
    expected = by_the_paper(days)
    found = index(days)
    assert found == (None if expected is None else pytest.approx(expected))


def test_the_same_day_again_and_again_is_a_hundred_and_its_opposite_less_a_hundred() -> None:
    same = np.tile(day(8 * HOUR), (7, 1))
    assert index(same) == 100
    same[1::2] = 1 - same[1::2]
    assert index(same) == -100


def test_a_night_that_moves_by_an_hour_each_day_costs_two_hours_of_each_pair() -> None:
    days = np.stack([day(8 * HOUR, (9 + it % 2) * HOUR) for it in range(6)])
    assert index(days) == pytest.approx(100 - 200 * 2 / 24)


def test_sleep_by_chance_is_nothing() -> None:
    days = np.random.default_rng(1).integers(0, 2, (60, DAY)).astype(np.int8)
    assert index(days) == pytest.approx(0, abs=1)


@pytest.mark.parametrize(("known", "is_told"), [(DAYS_LEAST, False), (DAYS_LEAST + 1, True)])
def test_too_few_days_have_no_index(known: int, is_told: bool) -> None:  # noqa: FBT001
    days = np.full((9, DAY), UNKNOWN, np.int8)
    days[:known] = day(8 * HOUR)
    assert (index(days) is not None) == is_told


def test_a_day_that_is_hardly_known_does_not_count() -> None:
    days = np.tile(day(8 * HOUR), (7, 1))
    days[3, : DAY // 2] = UNKNOWN
    days[3, DAY // 2 :] = ASLEEP
    assert index(days) == 100


@pytest.mark.parametrize("evening", ["2026-03-28", "2026-10-24", "2026-11-21"])
def test_nights_stand_where_the_clock_on_the_wall_has_them(evening: str) -> None:
    first = date.fromisoformat(evening) - timedelta(days=2)
    days = Days(first, 5, BERLIN)
    for it in range(5):
        noon = datetime(first.year, first.month, first.day, 12) + timedelta(days=it)  # noqa: DTZ001
        midday = noon.replace(tzinfo=BERLIN).astimezone(UTC)
        days.watched([midday + timedelta(hours=hour) for hour in range(24)])
        began = (noon + timedelta(hours=11)).replace(tzinfo=BERLIN)
        end = (noon + timedelta(hours=19)).replace(tzinfo=BERLIN)
        length = int((end.astimezone(UTC) - began.astimezone(UTC)).total_seconds()) // 30
        days.night(began.astimezone(UTC), np.ones(length, np.uint8))
    known = days.states[:-1] != UNKNOWN
    assert (days.states[:-1][known] == np.tile(day(8 * HOUR), (4, 1))[known]).all()
    assert known.mean() > 1 - 1.1 / (4 * 24)
    assert index(days.states) == 100


def test_what_a_hypnogram_does_not_know_is_unknown() -> None:
    days = Days(date(2026, 3, 1), 1, ZoneInfo("UTC"))
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    days.watched([noon])
    days.night(noon + timedelta(seconds=30), np.array([0, 1, 2, 3, 4, 5, 6], np.uint8))
    told = [AWAKE, AWAKE, ASLEEP, ASLEEP, ASLEEP, AWAKE, UNKNOWN, UNKNOWN, AWAKE]
    assert days.states[0, :9].tolist() == told
    assert (days.states[0, HOUR:] == UNKNOWN).all()


def test_what_lies_outside_the_days_is_passed_over() -> None:
    days = Days(date(2026, 3, 1), 1, ZoneInfo("UTC"))
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    days.watched([noon + timedelta(hours=it) for it in (-100, -1, 0, 24, 1000)])
    assert (days.states != UNKNOWN).sum() == HOUR
