import statistics
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noctis.trends import Evening, begin_of, spread, weeks

MONDAY = date(2026, 3, 2)
VALUES = st.lists(st.none() | st.floats(0, 1440), max_size=40)


@given(VALUES)
def test_a_spread_is_that_of_the_nights_that_have_it(
    values: list[float | None],
) -> None:
    known = [it for it in values if it is not None]
    found = spread(values)
    if not known:
        assert found is None
        return
    assert found is not None
    assert found.nights == len(known)
    assert found.median == pytest.approx(statistics.median(known))
    assert found.mean == pytest.approx(statistics.fmean(known))
    if len(known) > 1:
        low, _, high = statistics.quantiles(known, method="inclusive")
        assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(1, 53))
def test_weeks_are_mondays_to_sundays_and_fill_the_window(until: date, count: int) -> None:
    since = begin_of(until, count)
    found = weeks([], since, until)
    assert len(found) == count
    assert all(it.monday.weekday() == 0 for it in found)
    assert [it.evenings for it in found[:-1]] == [7] * (count - 1)
    assert sum(it.evenings for it in found) == (until - since).days
    assert 1 <= found[-1].evenings <= 7
    assert all(it.missing == it.evenings for it in found)


def test_an_evening_counts_its_longest_night_and_none_is_missing_there() -> None:
    nights = [
        Evening(MONDAY, {"tib_min": 30.0, "tst_min": 20.0}),
        Evening(MONDAY, {"tib_min": 480.0, "tst_min": 430.0}),
        Evening(MONDAY + timedelta(days=3), {"tib_min": 400.0, "tst_min": None}),
        Evening(MONDAY + timedelta(days=7), {"tib_min": 400.0, "tst_min": 1.0}),
    ]
    [week] = weeks(nights, MONDAY, MONDAY + timedelta(days=7))
    assert (week.nights, week.missing) == (2, 5)
    asleep, in_bed = week.figures["tst_min"], week.figures["tib_min"]
    assert asleep is not None
    assert in_bed is not None
    assert (asleep.nights, asleep.median) == (1, 430.0)
    assert (in_bed.nights, in_bed.median, in_bed.low, in_bed.high) == (2, 440.0, 420.0, 460.0)
    assert week.figures["sol_min"] is None
