"""The accelerometer's features: FEATURES.md, *Motion*."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RATE_HZ = 50.0
HIGH_PASS_HZ = 1.0
LOW_PASS_HZ = 11.0


@dataclass
class Second:
    """A measured second."""

    index: int
    activity: float
    norm: float
    enmo: float
    gravity: Array

    @property
    def moving(self) -> bool:
        """Whether it is a moving second."""
        return self.activity > 0


def butterworth(cut_hz: float, *, high: bool) -> tuple[list[float], list[float]]:
    """Return numerator and denominator of an order 2 filter by the bilinear transform."""
    k = np.tan(np.pi * cut_hz / RATE_HZ)
    scale = 1 + np.sqrt(2) * k + k * k
    b = [1.0, -2.0, 1.0] if high else [k * k, 2 * k * k, k * k]
    a = [1.0, 2 * (k * k - 1) / scale, (1 - np.sqrt(2) * k + k * k) / scale]
    return [value / scale for value in b], a


def gain(hertz: float) -> float:
    """Return the band-pass filter's gain at a frequency, in closed form."""
    at = np.tan(np.pi * hertz / RATE_HZ)
    high = np.tan(np.pi * HIGH_PASS_HZ / RATE_HZ) / at
    low = at / np.tan(np.pi * LOW_PASS_HZ / RATE_HZ)
    return float(1 / np.sqrt((1 + high**4) * (1 + low**4)))


def _filtered(values: list[float], b: list[float], a: list[float]) -> list[float]:
    result = []
    x1 = x2 = y1 = y2 = 0.0
    for x in values:
        y = b[0] * x + b[1] * x1 + b[2] * x2 - a[1] * y1 - a[2] * y2
        x1, x2, y1, y2 = x, x1, y, y1
        result.append(y)
    return result


def rectified(samples: Array) -> Array:
    """Return the norm of the band-passed samples (n, 3) of an unbroken stretch."""
    high, low = butterworth(HIGH_PASS_HZ, high=True), butterworth(LOW_PASS_HZ, high=False)
    axes = [
        _filtered(_filtered(axis.tolist(), *high), *low) for axis in (samples - samples[0]).T
    ]
    return np.asarray(np.linalg.norm(axes, axis=0))


def usable(samples: Array) -> NDArray[np.bool_]:
    """Return which samples (n, 3) count: at most 16 g, and not the same 50 times before."""
    good = np.linalg.norm(samples, axis=1) <= 16
    repeats = 0
    for index in range(1, len(samples)):
        repeats = repeats + 1 if (samples[index] == samples[index - 1]).all() else 0
        good[index] &= repeats < 50
    return good


def seconds(times: NDArray[np.int64], samples: Array) -> list[Second]:
    """Return the measured seconds of a night, one g followed from second to second."""
    good = usable(samples)
    times, samples = times[good], samples[good]
    if not len(times):
        return []
    pieces = np.split(np.arange(len(times)), np.flatnonzero(np.diff(times) > 200) + 1)
    swing = np.concatenate([rectified(samples[piece]) for piece in pieces])
    norms = np.linalg.norm(samples, axis=1)
    measured: list[Second] = []
    one_g, rested = 1.0, False
    for index in np.unique(times // 1000):
        own = _own(times, index)
        if np.count_nonzero(norms[own]) < 25:
            continue
        excess = swing[own].mean() - 0.005
        second = Second(
            index=int(index),
            activity=100 * max(excess, 0.0),
            norm=float(norms[own].mean()),
            enmo=float(np.maximum(norms[own] - one_g, 0).mean()),
            gravity=samples[own].mean(axis=0),
        )
        measured.append(second)
        if not second.moving and abs(second.norm - 1) < 0.15:
            one_g = one_g + 0.05 * (second.norm - one_g) if rested else second.norm
            rested = True
    return measured


def _own(times: NDArray[np.int64], second: int) -> slice:
    begin, end = np.searchsorted(times, [1000 * second, 1000 * second + 1000])
    return slice(int(begin), int(end))


def summaries(times: NDArray[np.int64], samples: Array, epochs: int) -> Array:
    """Return (epochs, 5): act_count, enmo, move_frac, still_s, tilt_change."""
    table = np.full((epochs, 5), np.nan)
    measured = seconds(times, samples)
    still = 0
    for epoch in range(epochs):
        own = [second for second in measured if second.index // 30 == epoch]
        for second in own:
            still = 0 if second.moving else still + 1
        if len(own) < 15:
            continue
        table[epoch] = (
            sum(second.activity for second in own) * 30 / len(own),
            1000 * np.mean([second.enmo for second in own]),
            np.mean([second.moving for second in own]),
            still,
            angle(own[0].gravity, own[-1].gravity),
        )
    return table


def angle(a: Array, b: Array) -> float:
    """Return the angle between two vectors in degrees."""
    u, v = a / np.linalg.norm(a), b / np.linalg.norm(b)
    return float(np.degrees(2 * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v))))
