from dataclasses import astuple
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noctis.epoch import Run
from noctis.slot import RUN
from noctis.storage.runs import UNKNOWN, microseconds, signed, unsigned, verdict, verdicts

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NEAR = (int(NOW.timestamp()) - 401 * 86_400, int(NOW.timestamp()) + 2 * 86_400)


@given(st.integers(0, (1 << 64) - 1))
def test_a_streams_64_bits_survive_the_database(stream: int) -> None:
    assert -(1 << 63) <= signed(stream) < 1 << 63
    assert unsigned(signed(stream)) == stream


@pytest.mark.parametrize(
    ("utc", "believed"),
    [
        (NOW - timedelta(days=400, seconds=1), False),
        (NOW - timedelta(days=400), True),
        (NOW, True),
        (NOW + timedelta(days=1), True),
        (NOW + timedelta(days=1, seconds=1), False),
        (datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC), False),
    ],
)
def test_a_clock_is_believed_from_400_days_back_to_a_day_ahead(
    utc: datetime, *, believed: bool
) -> None:
    run = Run(0, 0, 1, 0, int(utc.timestamp()))
    assert verdict(run, NOW) == (utc if believed else None)


def test_no_clock_is_believed_before_2025() -> None:
    early = datetime(2024, 12, 31, 23, 59, 59, tzinfo=UTC)
    now = early + timedelta(days=30)
    assert verdict(Run(0, 0, 1, 0, int(early.timestamp())), now) is None
    second = timedelta(seconds=1)
    assert verdict(Run(0, 0, 1, 0, int(early.timestamp()) + 1), now) == early + second


def test_no_clock_is_no_time() -> None:
    assert verdict(Run(0, 0, 1, 0, 0), NOW) is None


@given(st.lists(st.integers(0, (1 << 32) - 1) | st.integers(*NEAR)))
def test_the_verdicts_on_many_runs_are_those_on_each(seconds: list[int]) -> None:
    runs = [Run(0, 0, 1, 0, utc_s) for utc_s in seconds]
    each = [verdict(run, NOW) for run in runs]
    fields = np.array([astuple(run) for run in runs], RUN)
    expected = [UNKNOWN if it is None else microseconds(it) for it in each]
    assert verdicts(fields, NOW).tolist() == expected
