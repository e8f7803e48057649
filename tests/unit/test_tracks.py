from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.context import Rows
from inference.tracks import COUNT, NAMES, WINDOW, tracks
from noctis.features import COUNT as CHANNELS
from noctis.features import FEATURES, quantise
from noctis.features import NAMES as CHANNEL_NAMES

MISSING = np.array([feature.missing for feature in FEATURES], np.int16)
BREATH = [CHANNEL_NAMES.index(n) for n in ("rr_mean", "rr_sd", "rr_regularity", "resp_amp_cv")]


def random_session(epochs: int, *, seed: int, missing: float) -> Rows:
    random = np.random.default_rng(seed)
    codes = random.integers(0, MISSING, (epochs, CHANNELS)).astype(np.int16)
    return np.where(random.random(codes.shape) < missing, MISSING, codes)


def quiet_session(epochs: int) -> Rows:
    values = np.full((epochs, CHANNELS), np.nan)
    values[:, 0] = 60.0
    values[:, [1, 3, 4]] = 1.0
    values[:, 2] = values[:, 9] = values[:, 11] = 0.0
    return quantise(values)


def column(table: np.ndarray, name: str) -> list[float]:
    values: list[float] = table[:, NAMES.index(name)].tolist()
    return values


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return np.array_equal(one, other, equal_nan=True)


@settings(max_examples=60, deadline=None)
@given(
    epochs=st.integers(1, 400),
    cut=st.integers(1, 400),
    seed=st.integers(0, 2**16),
    missing=st.sampled_from([0.0, 0.1, 0.5, 0.97]),
)
def test_a_row_is_the_same_however_the_session_goes_on(
    epochs: int, cut: int, seed: int, missing: float
) -> None:
    session = random_session(epochs, seed=seed, missing=missing)
    cut = min(cut, epochs)
    whole = tracks(session, epochs)
    assert same(tracks(session[:cut], cut), whole[:cut])


@settings(max_examples=20, deadline=None)
@given(epochs=st.integers(0, 960), seed=st.integers(0, 2**16))
def test_a_window_is_the_end_of_the_whole_and_begins_with_nothing(
    epochs: int, seed: int
) -> None:
    session = random_session(epochs, seed=seed, missing=0.1)
    table = tracks(session)
    assert table.shape == (WINDOW, COUNT)
    assert table.dtype == np.float32
    rows = min(epochs, WINDOW)
    assert np.isnan(table[: WINDOW - rows]).all()
    if rows:
        assert same(table[WINDOW - rows :], tracks(session, epochs)[epochs - rows :])
    assert not np.isinf(table).any()


def test_every_track_says_something_where_all_is_known_and_nothing_where_nothing_is() -> None:
    table = tracks(random_session(300, seed=1, missing=0.0))
    unknown = {name for name in NAMES if np.isnan(table[-1, NAMES.index(name)])}
    assert unknown <= {"onset", "cycle_sin", "cycle_cos", "since_motion_2.0"}
    nothing = tracks(np.tile(MISSING, (300, 1)))
    told = {name for name in NAMES if np.isfinite(nothing[-1, NAMES.index(name)])}
    assert told == {"session", "heart_known", "motion_known"}
    assert column(nothing, "heart_known")[-1] == 0


def test_without_breathing_its_tracks_alone_are_missing() -> None:
    session = random_session(300, seed=2, missing=0.0)
    mute = session.copy()
    mute[:, BREATH] = MISSING[BREATH]
    breathing = np.array([name.startswith("breath") for name in NAMES])
    one, other = tracks(session), tracks(mute)
    assert np.isfinite(one[-1, breathing]).all()
    assert np.isnan(other[:, breathing]).all()
    assert same(one[:, ~breathing], other[:, ~breathing])


def test_means_trends_and_deviations_are_those_of_the_epochs_in_their_span() -> None:
    session = quiet_session(100)
    session[:, 0] += np.arange(100, dtype=np.int16)  # a code is 0.375 bpm
    table = tracks(session, 100)
    assert column(table, "heart")[-1] == pytest.approx(0.375 * 98.5, abs=1e-4)
    assert column(table, "heart_over_mean_20")[-1] == pytest.approx(0.375 * 9, abs=1e-4)
    assert column(table, "heart_trend_20")[-1] == pytest.approx(0.375, abs=1e-4)
    deviation = np.arange(20).std() * 0.375
    assert column(table, "heart_sd_20")[-1] == pytest.approx(np.log(deviation + 0.2), abs=1e-4)
    assert column(table, "heart_residual_20")[-1] == pytest.approx(np.log(0.2), abs=0.01)
    assert column(table, "heart_known")[-1] == 1


def test_time_since_motion_and_since_the_onset_of_sleep_are_counted() -> None:
    session = quiet_session(100)
    act, moving = CHANNEL_NAMES.index("act_count"), CHANNEL_NAMES.index("move_frac")
    session[:40, [act, moving]] = (150, 15)
    table = tracks(session, 100)
    assert column(table, "since_motion_0.5")[39] == 0
    assert column(table, "since_motion_0.5")[59] == pytest.approx(np.log1p(20))
    assert np.isnan(column(table, "onset")[40])
    first = int(np.flatnonzero(np.isfinite(column(table, "onset")))[0])
    assert first == 40 + 20 - 7  # six half-moving epochs of twenty are few enough
    assert column(table, "onset")[-1] == pytest.approx((99 - first) / 186)
    assert column(table, "cycle_cos")[first] == 1


def test_motion_is_set_against_the_sleepers_own() -> None:
    values = np.full((200, CHANNELS), np.nan)
    values[:, 9] = np.expm1(np.random.default_rng(3).exponential(1.0, 200))
    loud = values.copy()
    loud[:, 9] = np.expm1(2 * np.log1p(values[:, 9]))
    soft, hard = tracks(quantise(values), 200), tracks(quantise(loud), 200)
    for name in ("motion", "motion_20"):
        assert column(soft, name)[-1] == pytest.approx(column(hard, name)[-1], abs=0.05)
    assert column(hard, "motion_high")[-1] > column(soft, "motion_high")[-1]


def test_the_heart_rate_stands_between_its_low_and_its_high_so_far() -> None:
    session = quiet_session(60)
    session[:20, 0] += 80  # 30 bpm
    session[40:, 0] += 20
    table = tracks(session, 60)
    assert column(table, "heart_over_low")[-1] == pytest.approx(7.5)
    assert column(table, "heart_under_high")[-1] == pytest.approx(22.5)
    assert column(table, "heart_height")[-1] == pytest.approx(7.5 / 33)
    assert column(table, "heart_over_low")[19] == 0


def test_a_mean_of_less_than_a_quarter_of_its_span_is_none() -> None:
    session = quiet_session(60)
    session[40:, 0] = MISSING[0]
    known = np.isfinite(column(tracks(session, 60), "heart_over_mean_20"))
    assert known[:41].all()
    assert not known[41:].any()  # not even two epochs are left of the last two
    sds = np.isfinite(column(tracks(session, 60), "heart_sd_20"))
    assert sds[:55].all()
    assert not sds[55:].any()


def test_what_was_computed_before_or_beside_changes_nothing() -> None:
    sessions = [random_session(size, seed=size, missing=0.05) for size in (960, 40, 700, 255)]
    alone = [tracks(session).copy() for session in sessions]

    def again(turn: int) -> bool:
        at = turn % len(sessions)
        return np.array_equal(tracks(sessions[at]), alone[at], equal_nan=True)

    assert all(map(again, range(8)))
    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(again, range(200)))
