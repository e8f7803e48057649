"""The breathing waveform's features: FEATURES.md, *Breathing*."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

POINTS = 240
POINT_MS = 125
LONGEST_GAP_MS = 1000
LEAST_KNOWN = 180
LEAST_PAIRS = 80
FLAT_RAD = 1e-4
HYSTERESIS = 0.3


def waveform(times: Array, phases: Array, start: int) -> Array:
    """Return the epoch's 240 points, NaN where unknown; times in ms, ascending."""
    points = start + POINT_MS * np.arange(POINTS)
    wave = np.full(POINTS, np.nan)
    if not len(times):
        return wave
    inside = (points >= times[0]) & (points <= times[-1])
    after = np.searchsorted(times, points[inside])
    before = np.maximum(after - 1, 0)
    gap = times[after] - times[before]
    bridged = (gap <= LONGEST_GAP_MS) | (times[after] == points[inside])
    values = np.interp(points[inside], times, phases)
    wave[inside] = np.where(bridged, values, np.nan)
    return wave


def stretches(wave: Array) -> list[NDArray[np.intp]]:
    """Return the indices of each stretch of known points."""
    known = np.flatnonzero(~np.isnan(wave))
    return np.split(known, np.flatnonzero(np.diff(known) > 1) + 1) if len(known) else []


def detrended(wave: Array) -> Array:
    """Return the waveform less one slope of all stretches and each stretch's mean."""
    parts = stretches(wave)
    design = np.zeros((POINTS, 1 + len(parts)))
    design[:, 0] = np.arange(POINTS)
    for column, part in enumerate(parts, 1):
        design[part, column] = 1
    known = ~np.isnan(wave)
    fit, *_ = np.linalg.lstsq(design[known], wave[known], rcond=None)
    return wave - design @ fit


def regularity(wave: Array) -> float:
    """Return the highest peak of the autocorrelation at lags of 1.5 to 12 s, 0 without one."""
    lags = range(11, 98)
    curve = np.full(len(lags), np.nan)
    for index, lag in enumerate(lags):
        early, late = wave[:-lag], wave[lag:]
        both = ~np.isnan(early) & ~np.isnan(late)
        if both.sum() >= LEAST_PAIRS:
            a, b = early[both], late[both]
            curve[index] = a @ b / np.sqrt((a @ a) * (b @ b))
    middle = curve[1:-1]
    peaks = middle[(middle > curve[:-2]) & (middle >= curve[2:])]
    return float(min(max([0.0, *peaks]), 1.0))


def breaths(wave: Array) -> tuple[list[float], list[float]]:
    """Return the rate (per minute) and the peak-to-peak amplitude of each whole breath."""
    level = HYSTERESIS * np.sqrt(np.nanmean(wave**2))
    rates: list[float] = []
    amplitudes: list[float] = []
    for part in stretches(wave):
        values = wave[part]
        # Above, below or within the hysteresis; what is within is as it was before.
        signs = np.where(values > level, 1, np.where(values < -level, -1, 0))
        outside = np.flatnonzero(signs)
        turns = outside[1:][(signs[outside][1:] == 1) & (signs[outside][:-1] == -1)]
        crossings = [_crossing(values, turn) for turn in turns]
        for first, last, begin, end in zip(
            turns, turns[1:], crossings, crossings[1:], strict=False
        ):
            rates.append(60_000 / ((end - begin) * POINT_MS))
            amplitudes.append(float(np.ptp(values[first:last])))
    return rates, amplitudes


def _crossing(values: Array, turn: int) -> float:
    """Return the place of the last upward crossing of zero at or before ``turn``."""
    at = next(i for i in range(turn, 0, -1) if values[i - 1] < 0 <= values[i])
    return float(at - values[at] / (values[at] - values[at - 1]))


def summary(times: Array, phases: Array, start: int) -> tuple[float, float, float]:
    """Return rr_sd, rr_regularity and resp_amp_cv of the epoch from ``start`` (ms)."""
    wave = waveform(times, phases, start)
    if np.count_nonzero(~np.isnan(wave)) < LEAST_KNOWN:
        return np.nan, np.nan, np.nan
    wave = detrended(wave)
    if np.sqrt(np.nanmean(wave**2)) <= FLAT_RAD:
        return np.nan, np.nan, np.nan
    rates, amplitudes = breaths(wave)
    if len(rates) < 3:
        return np.nan, regularity(wave), np.nan
    variation = np.std(amplitudes, ddof=1) / np.mean(amplitudes)
    return float(np.std(rates, ddof=1)), regularity(wave), float(variation)
