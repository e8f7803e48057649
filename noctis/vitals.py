"""Breathing and heart of a night: one figure each, of the epochs in which the sleeper slept.

An epoch counts where its stage and its value are known and its quality is QUALITY at least.
Medians are taken, since what a radar mistakes, it mistakes by much. Rounded to two decimals.

- ``breathing_rate_per_min``: the median of the epochs' mean breathing rates asleep.
- ``heart_rate_bpm``: the median of the epochs' mean heart rates asleep.
- ``heart_rate_dip_percent``: by how much that lies below the median of the epochs awake in bed
  before sleep onset, as a share of the latter. Below 0: the heart beat faster asleep.

The dip of ambulatory monitors is measured against a whole day awake (Ben-Dov et al. 2007,
Hypertension 49:1235); a device at the bed does not see the day. This one is smaller, its
baseline being at rest and lying down, and their threshold of 10 % does not hold for it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from noctis.features import COUNT, NAMES, dequantise
from noctis.hypnogram import Hypnogram
from noctis.stages import Stage

__all__ = ["ASLEEP_LEAST", "AWAKE_LEAST", "QUALITY", "Vitals", "vitals"]

QUALITY: Final = 0.5
ASLEEP_LEAST: Final = 60
"""Half an hour of sleep that counts, else the night has none of the figures."""

AWAKE_LEAST: Final = 10
"""Five minutes awake before sleep onset that count, else there is no dip."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """The figures, each None where too few epochs count."""

    breathing_rate_per_min: float | None = None
    heart_rate_bpm: float | None = None
    heart_rate_dip_percent: float | None = None


def vitals(hypnogram: Hypnogram, rows: NDArray[np.int16]) -> Vitals:
    """Return what a night's epochs tell of breathing and heart.

    ``hypnogram``: shape (n,), codes as in ``noctis.hypnogram``. ``rows``: shape (n, 15 or
    more), the features' codes of each epoch, missing ones where there is none.
    """
    values = dequantise(rows[:, :COUNT])
    heart, breath, quality = (
        values[:, NAMES.index(name)] for name in ("hr_mean", "rr_mean", "quality")
    )
    is_good = quality >= QUALITY
    is_asleep = (hypnogram > Stage.WAKE) & (hypnogram <= Stage.REM)
    is_before = np.cumsum(is_asleep) == 0
    asleep = _median(heart[is_good & is_asleep], ASLEEP_LEAST)
    awake = _median(heart[is_good & is_before & (hypnogram == Stage.WAKE)], AWAKE_LEAST)
    return Vitals(
        breathing_rate_per_min=_rounded(_median(breath[is_good & is_asleep], ASLEEP_LEAST)),
        heart_rate_bpm=_rounded(asleep),
        heart_rate_dip_percent=None
        if asleep is None or awake is None
        else _rounded(100 * (awake - asleep) / awake),
    )


def _median(values: NDArray[np.float64], least: int) -> float | None:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) >= least else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
