import statistics
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noctis.features import COUNT, NAMES, dequantise, quantise
from noctis.vitals import ASLEEP_LEAST, AWAKE_LEAST, QUALITY, Vitals, vitals

HEART, BREATH, GOOD = (NAMES.index(it) for it in ("hr_mean", "rr_mean", "quality"))


def rows(heart: list[float], breath: float = 14.0, quality: float = 1.0) -> np.ndarray:
    values = np.full((len(heart), COUNT), np.nan)
    values[:, HEART], values[:, BREATH], values[:, GOOD] = heart, breath, quality
    return quantise(values)


def night(awake: int, asleep: int) -> np.ndarray:
    return np.array([0] * awake + [1] * asleep, np.uint8)


def test_a_night_that_can_be_counted_by_hand() -> None:
    found = vitals(night(20, 100), rows([75.0] * 20 + [60.0] * 100))
    assert found == Vitals(14.0, 60.0, 20.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 300))
def test_it_is_the_median_of_the_epochs_that_count(seed: int, size: int) -> None:
    random = np.random.default_rng(seed)
    codes = random.choice(7, size, p=[0.2, 0.3, 0.2, 0.1, 0.1, 0.05, 0.05]).astype(np.uint8)
    values = np.full((size, COUNT), np.nan)
    values[:, HEART], values[:, BREATH] = (
        random.uniform(40, 90, size),
        random.uniform(8, 22, size),
    )
    values[:, GOOD] = random.uniform(0, 1, size)
    values[random.random((size, COUNT)) < 0.1] = np.nan
    coded = quantise(values)
    seen = dequantise(coded).tolist()
    good = [it[GOOD] >= QUALITY for it in seen]
    onset = next((at for at, it in enumerate(codes) if 1 <= it <= 3), size)
    asleep = [it for at, it in enumerate(seen) if good[at] and 1 <= codes[at] <= 3]
    awake = [it for at, it in enumerate(seen[:onset]) if good[at] and codes[at] == 0]
    breath, heart, still = (
        [it[of] for it in some if it[of] == it[of]]
        for some, of in ((asleep, BREATH), (asleep, HEART), (awake, HEART))
    )
    found = vitals(codes, coded)
    beats = statistics.median(heart) if len(heart) >= ASLEEP_LEAST else None
    rest = statistics.median(still) if len(still) >= AWAKE_LEAST else None
    dip = None if beats is None or rest is None else 100 * (rest - beats) / rest
    calm = statistics.median(breath) if len(breath) >= ASLEEP_LEAST else None
    for ours, theirs in zip(astuple(found), (calm, beats, dip), strict=True):
        assert ours == (None if theirs is None else pytest.approx(theirs, abs=0.0051))


@pytest.mark.parametrize(
    ("awake", "asleep", "told"),
    [
        (AWAKE_LEAST, ASLEEP_LEAST, (True, True, True)),
        (AWAKE_LEAST - 1, ASLEEP_LEAST, (True, True, False)),
        (AWAKE_LEAST, ASLEEP_LEAST - 1, (False, False, False)),
        (0, 0, (False, False, False)),
    ],
)
def test_too_few_epochs_tell_nothing(awake: int, asleep: int, told: tuple[bool, ...]) -> None:
    found = vitals(night(awake, asleep), rows([60.0] * (awake + asleep)))
    assert tuple(it is not None for it in astuple(found)) == told


def test_poor_signal_and_wake_after_onset_do_not_count() -> None:
    codes = np.array([0] * 20 + [1] * 100 + [0] * 50, np.uint8)
    beats = [75.0] * 20 + [60.0] * 100 + [120.0] * 50
    assert vitals(codes, rows(beats)) == Vitals(14.0, 60.0, 20.0)
    assert vitals(codes, rows(beats, quality=0.4)) == Vitals()
