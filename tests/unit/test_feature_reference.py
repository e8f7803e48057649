import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from noctis.features import COUNT, FEATURES, NAMES, quantise
from tests.reference import firmware
from tests.reference.features import features
from tests.reference.motion import gain
from tests.reference.signals import Signals
from tests.reference.synthesis import (
    accelerometer,
    breaths,
    radar_5_hz,
    radar_8_hz,
)

Row = dict[str, float]
BREATHING = ("rr_sd", "rr_regularity", "resp_amp_cv")
RADARS = pytest.mark.parametrize("radar", [radar_8_hz, radar_5_hz])
TIES = 0.002
"""Share of values that may fall on the other side of a rounding boundary: float32 on the
device, float64 here."""


def assert_agreement(device: NDArray[np.float64], signals: Signals) -> None:
    """The device's features have the reference's codes, but for ties one code away."""
    codes = quantise(device).astype(int)
    own = quantise(features(signals, len(device))).astype(int)
    missing = [feature.missing for feature in FEATURES]
    np.testing.assert_array_equal(codes == missing, own == missing)
    apart = np.abs(codes - own)
    assert apart.max() <= 1, [NAMES[i] for i in np.flatnonzero((apart > 1).any(axis=0))]
    assert np.count_nonzero(apart) <= TIES * apart.size


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Signals], list[Row]]:
    """Return the epochs that the firmware makes of signals, and hold the reference to them."""

    def played(signals: Signals) -> list[Row]:
        table = firmware.play(signals, tmp_path)
        assert_agreement(table, signals)
        return [dict(zip(NAMES, row, strict=True)) for row in table.tolist()]

    return played


def half_step(name: str, value: float) -> float:
    feature = FEATURES[NAMES.index(name)]
    if feature.scale == "linear":
        return 0.5001 * feature.step
    return (value + feature.knee) * float(np.expm1(0.5001 * feature.step))


def check(row: Row, slack: float = 0.0, **expected: float) -> None:
    for name, value in expected.items():
        assert abs(row[name] - value) <= half_step(name, value) + slack, (
            name,
            row[name],
            value,
        )


Play = Callable[[Signals], list[Row]]


def slotted(rates: Sequence[float]) -> Callable[[float], float]:
    return lambda at: rates[int(at // 5) % len(rates)]


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ((60, 61, 62, 63, 64, 65), (62.5, np.sqrt(3.5), 12, 1, 5)),
        ((60, 70, 60, 70, 60, 70), (65, np.sqrt(30), 12 * 15 / 17.5, 10, 10)),
        ((60, 60, 60, 80, 80, 80), (70, np.sqrt(120), 12 * 90 / 17.5, np.sqrt(80), 20)),
        ((72, 72, 72, 72, 72, 72), (72, 0, 0, 0, 0)),
    ],
)
def test_steps_of_heart_rate_have_their_textbook_figures(
    play: Play, rates: tuple[float, ...], expected: tuple[float, ...]
) -> None:
    [row] = play(Signals(radar_8_hz(30, heart=slotted(rates))))
    check(row, **dict(zip(NAMES[:5], expected, strict=True)))


@RADARS
@pytest.mark.parametrize("rate", [8, 10, 12, 15, 20, 30])
def test_sinusoidal_breathing_is_regular_at_every_rate_and_from_either_radar(
    play: Play, radar: Callable[..., list[tuple[int, bytes]]], rate: int
) -> None:
    def wave(at: float) -> float:
        return 0.1 * np.sin(2 * np.pi * (rate / 60 * at - 0.25))

    *_, row = play(Signals(radar(60, breath=lambda _: rate, wave=wave)))
    check(row, rr_mean=rate, rr_sd=0, resp_amp_cv=0)
    assert row["rr_regularity"] >= 0.98


@RADARS
def test_breaths_of_two_lengths_have_the_spread_of_their_rates(
    play: Play, radar: Callable[..., list[tuple[int, bytes]]]
) -> None:
    # Whole breaths of 5, 3, 5, 3, 5 and 3 s: three of 12 a minute and three of 20.
    [row] = play(Signals(radar(30, wave=breaths([3, 5], [0.1]))))
    check(row, slack=0.1, rr_sd=4 * np.sqrt(6 / 5))


@RADARS
def test_breaths_of_two_depths_have_the_variation_of_their_amplitudes(
    play: Play, radar: Callable[..., list[tuple[int, bytes]]]
) -> None:
    # Six whole breaths, three twice as deep as the others.
    [row] = play(Signals(radar(30, wave=breaths([4], [0.05, 0.1]))))
    check(row, slack=0.01, resp_amp_cv=np.sqrt(6 / 5) / 3)


@RADARS
@pytest.mark.parametrize("noise", [0.2, 0.4, 0.6])
def test_regularity_is_the_share_of_the_breath_in_the_waveforms_power(
    play: Play, radar: Callable[..., list[tuple[int, bytes]]], noise: float
) -> None:
    random = np.random.default_rng(5)

    def wave(at: float) -> float:
        clean = np.sin(2 * np.pi * (at / 4 - 0.25))
        return float(0.03 * (clean + noise * np.clip(random.normal(), -2.5, 2.5)))

    rows = play(Signals(radar(600, wave=wave)))
    mean = np.mean([row["rr_regularity"] for row in rows[1:]])
    # Neighbouring phases of the 5 Hz radar share the noise that lies on the line between them.
    power = noise**2 * (1.0 if radar is radar_8_hz else 0.7)
    assert mean == pytest.approx(0.5 / (0.5 + power), abs=0.06)


def gravity(degrees: float) -> tuple[float, float, float]:
    angle = np.radians(degrees)
    return float(np.sin(angle)), 0.0, float(np.cos(angle))


@pytest.mark.parametrize("degrees", [0, 0.5, 2, 10, 45, 90, 120, 160, 180])
def test_a_tilt_has_its_angle(play: Play, degrees: float) -> None:
    [row] = play(
        Signals(accel=accelerometer(30, lambda at: gravity(0 if at < 15 else degrees)))
    )
    check(row, slack=0.01, tilt_change=degrees)


@pytest.mark.parametrize("hertz", [0.25, 1, 3, 7, 11, 17, 21])
def test_a_swing_counts_by_the_band_pass_filters_gain(play: Play, hertz: float) -> None:
    def swing(at: float) -> tuple[float, float, float]:
        return 0.0, float(0.4 * np.sin(2 * np.pi * hertz * at)), 1.0

    *_, row = play(Signals(accel=accelerometer(60, swing)))
    rectified = 0.4 * gain(hertz) * 2 / np.pi
    check(row, slack=0.5, act_count=100 * 30 * (rectified - 0.005), move_frac=1, still_s=0)


def test_the_filters_edges_halve_the_power() -> None:
    assert gain(1) == pytest.approx(np.sqrt(0.5), abs=1e-3)
    assert gain(11) == pytest.approx(np.sqrt(0.5), abs=1e-3)
    assert gain(3.5) > 0.98


@pytest.mark.parametrize("one_g", [0.95, 1.0, 1.08])
@pytest.mark.parametrize("excess", [0.01, 0.1, 0.4])
def test_enmo_is_the_mean_of_what_exceeds_the_sensors_own_one_g(
    play: Play, one_g: float, excess: float
) -> None:
    def pull(at: float) -> tuple[float, float, float]:
        beyond = 0.0 if at < 30 else excess * (1 - np.cos(2 * np.pi * 3 * at))
        return 0.0, 0.0, float(one_g + beyond)

    *_, row = play(Signals(accel=accelerometer(60, pull)))
    check(row, slack=0.1, enmo=1000 * excess)


def test_what_falls_short_of_one_g_adds_nothing_to_enmo(play: Play) -> None:
    def fall(at: float) -> tuple[float, float, float]:
        short = 0.0 if at < 30 else 0.2 * (1 - np.cos(2 * np.pi * 3 * at))
        return 0.0, 0.0, float(1 - short)

    *_, row = play(Signals(accel=accelerometer(60, fall)))
    check(row, slack=0.1, enmo=0)


def test_moving_seconds_and_the_stillness_since_are_counted(play: Play) -> None:
    def burst(at: float) -> tuple[float, float, float]:
        moving = 5 <= at < 14
        return float(0.2 * np.sin(2 * np.pi * 3 * at) * moving), 0.0, 1.0

    first, second = play(Signals(accel=accelerometer(60, burst)))
    # The filter rings for less than one more second.
    check(first, slack=1 / 30, move_frac=9 / 30)
    check(first, slack=1, still_s=16)
    check(second, slack=1, still_s=46, move_frac=0, act_count=0)


def test_quality_is_presence_times_the_share_of_seconds_with_a_heart_rate(play: Play) -> None:
    said = radar_8_hz(
        60,
        presence=lambda at: at % 30 < 24,
        heart=lambda at: 60 + at / 100 if at % 30 < 15 else 0,
    )
    *_, row = play(Signals(said))
    check(row, quality=0.8 * 0.5)


def test_a_radar_that_says_its_rates_every_three_seconds_has_full_quality(play: Play) -> None:
    *_, row = play(Signals(radar_5_hz(60, heart=lambda at: 60 + at // 10, breath=lambda _: 14)))
    check(row, quality=1, rr_mean=14)


def test_a_heart_rate_that_never_changes_is_stuck_after_ten_minutes(play: Play) -> None:
    rows = play(Signals(radar_8_hz(720, heart=lambda _: 61)))
    assert [np.isnan(row["hr_mean"]) for row in rows] == [False] * 21 + [True] * 3


def test_a_radar_that_hangs_is_not_believed(play: Play) -> None:
    wave = breaths([4], [0.1])
    said = radar_8_hz(
        120, heart=lambda at: 60 + at / 10, wave=lambda at: wave(at) if at < 30 else 0.07
    )
    rows = play(Signals(said))
    assert not np.isnan(rows[0]["hr_mean"])
    assert all(np.isnan(row["hr_mean"]) for row in rows[2:])


@RADARS
def test_pauses_and_restarts_of_the_waveform_are_read_alike(
    play: Play, radar: Callable[..., list[tuple[int, bytes]]]
) -> None:
    random = np.random.default_rng(9)
    said = radar(300, breath=lambda _: 15, wave=breaths([3, 5, 4], [0.05, 0.1, 0.08]))
    lost = np.repeat(random.random(40) < 0.1, -(-len(said) // 40))[: len(said)]
    lost |= random.random(len(said)) < 0.1
    late = [(int(ms + random.integers(0, 100)), data) for ms, data in said]
    rows = play(Signals([sent for sent, gone in zip(late, lost, strict=True) if not gone]))
    unknown = sum(np.isnan(row["rr_regularity"]) for row in rows)
    assert 0 < unknown < len(rows)


def test_a_waveform_with_pauses_of_about_a_second_is_read_alike(play: Play) -> None:
    random = np.random.default_rng(3)
    said = radar_8_hz(300, wave=breaths([3, 5, 4], [0.05, 0.1, 0.08]))
    late = [(int(ms + random.integers(0, 100)), data) for ms, data in said]
    rows = play(Signals([sent for number, sent in enumerate(late) if number % 48 > 6]))
    assert len({round(row["rr_sd"], 1) for row in rows}) > 2


def test_lost_samples_and_a_one_g_that_drifts_are_read_alike(play: Play) -> None:
    random = np.random.default_rng(4)
    kept = random.choice([1.0, 0.65, 0.55, 0.5, 0.45, 0.1], 300)

    def drift(at: float) -> tuple[float, float, float]:
        burst = 0.1 * np.sin(2 * np.pi * 3 * at) * (at % 40 < 5)
        return float(burst), 0.0, float(1 + 0.06 * at / 300 + 0.004 * random.normal())

    samples = accelerometer(300, drift)
    play(Signals(accel=[row for row in samples if random.random() < kept[row[0] // 1000]]))


def test_made_up_nights_have_the_references_features() -> None:
    for seed in (3, 4):
        signals, table = firmware.night(["--seed", str(seed), "--hours", "0.4"], 48)
        assert_agreement(table, signals)
        assert not np.isnan(table).all(axis=0).any()


@pytest.mark.skipif("NOCTIS_NIGHTS" not in os.environ, reason="no recorded nights here")
def test_recorded_nights_have_the_references_features() -> None:
    folders = sorted(
        path.parent for path in Path(os.environ["NOCTIS_NIGHTS"]).rglob("stages.csv")
    )
    for folder in (*folders[:2], folders[-1]):
        signals, table = firmware.night(["--night", str(folder)], 80)
        assert table.shape == (80, COUNT)
        assert_agreement(table, signals)
