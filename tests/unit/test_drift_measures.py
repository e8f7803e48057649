import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]

from drift.measures import bins_of, kolmogorov_smirnov, psi, spread, wasserstein
from noctis.features import FEATURES

VALUES = FEATURES[9].values(np.arange(24))  # rising, unevenly
COUNTS = arrays(np.int64, 24, elements=st.integers(0, 30)).filter(lambda it: it.any())


def epochs(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.repeat(VALUES, counts)


@given(old=COUNTS, new=COUNTS)
@settings(max_examples=150, deadline=None)
def test_distances_of_histograms_are_those_of_the_epochs_themselves(
    old: NDArray[np.int64], new: NDArray[np.int64]
) -> None:
    expected = stats.ks_2samp(epochs(old), epochs(new), method="asymp").statistic
    assert kolmogorov_smirnov(old, new) == pytest.approx(expected, abs=1e-12)
    expected = stats.wasserstein_distance(epochs(old), epochs(new))
    assert wasserstein(old, new, VALUES) == pytest.approx(expected, abs=1e-12)


@given(old=COUNTS, new=COUNTS)
@settings(max_examples=60, deadline=None)
def test_psi_is_the_sum_over_the_bins_with_half_an_epoch_each(
    old: NDArray[np.int64], new: NDArray[np.int64]
) -> None:
    bins = bins_of(old)
    p = np.array([old[bins == n].sum() + 0.5 for n in range(bins.max() + 1)])
    q = np.array([new[bins == n].sum() + 0.5 for n in range(bins.max() + 1)])
    p, q = p / p.sum(), q / q.sum()
    expected = stats.entropy(q, p) + stats.entropy(p, q)
    assert psi(old, new, bins) == pytest.approx(expected, abs=1e-12)
    assert psi(old, old, bins) == 0


@given(counts=COUNTS)
@settings(max_examples=60, deadline=None)
def test_bins_are_ten_at_most_in_order_and_hold_a_tenth_where_no_code_is_frequent(
    counts: NDArray[np.int64],
) -> None:
    bins = bins_of(counts)
    assert set(np.diff(bins)) <= {0, 1}
    assert bins[0] == 0
    assert bins[-1] < 10
    even = bins_of(np.full(200, 5))
    assert np.bincount(even).tolist() == [20] * 10


def test_many_windows_are_measured_at_once() -> None:
    random = np.random.default_rng(0)
    old, many = random.integers(0, 9, 24), random.integers(0, 9, (5, 3, 24))
    bins = bins_of(old)
    together = psi(old, many, bins)
    assert together.shape == (5, 3)
    assert together[4, 1] == pytest.approx(psi(old, many[4, 1], bins))
    assert psi(many, old, bins)[4, 1] == pytest.approx(psi(many[4, 1], old, bins))
    assert kolmogorov_smirnov(old, many)[4, 1] == kolmogorov_smirnov(old, many[4, 1])
    assert kolmogorov_smirnov(many, old)[4, 1] == kolmogorov_smirnov(old, many[4, 1])
    assert wasserstein(old, many, VALUES)[2, 2] == wasserstein(old, many[2, 2], VALUES)


def test_a_shift_by_some_codes_is_so_far_in_the_unit() -> None:
    heart = FEATURES[0]
    values = heart.values(np.arange(heart.missing))
    counts = np.zeros(heart.missing, np.int64)
    counts[60:120] = 10
    assert wasserstein(counts, np.roll(counts, 8), values) == pytest.approx(8 * 0.375)


def test_nothing_is_said_where_either_side_is_empty() -> None:
    full, empty = np.full(24, 3), np.zeros(24, np.int64)
    for old, new in ((full, empty), (empty, full)):
        assert np.isnan(psi(old, new, np.zeros(24, np.int64)))
        assert np.isnan(kolmogorov_smirnov(old, new))
        assert np.isnan(wasserstein(old, new, VALUES))
    assert np.isnan(spread(empty, VALUES))


def test_the_spread_is_the_interquartile_range_or_else_the_deviation() -> None:
    assert spread(np.full(101, 1), np.arange(101.0)) == 50
    lonely = np.array([96, 0, 4])
    assert spread(lonely, np.arange(3.0)) == pytest.approx(np.repeat([0, 2], [96, 4]).std())
