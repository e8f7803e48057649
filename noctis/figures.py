"""The figures of a night, as sleep laboratories report them.

Source: the AASM Manual for the Scoring of Sleep and Associated Events, II.B (data to be
reported), and, for what it leaves open, YASA (``Hypnogram.sleep_statistics``), which is the
oracle of the tests. The hypnogram begins with the first epoch in bed, which stands for lights
out, and ends with the last one, lights on. All times are minutes, in steps of half a minute.

An epoch without a stage, be it unstaged or missing, counts in TIB and, after sleep onset, in
SPT, and neither as sleep nor as wake: nothing is guessed. An epoch out of bed counts as wake,
as the manual wants it. Where no epoch has a stage at all, nothing is said about sleep.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from noctis.epoch import EPOCH_SECONDS
from noctis.hypnogram import OUT_OF_BED, UNSTAGED, Hypnogram
from noctis.stages import Stage

__all__ = ["Figures", "figures"]

_MINUTES: Final = EPOCH_SECONDS / 60


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one night; None where one is undefined.

    ``tib_min``: time in bed, from the first epoch to the last, absences included.
    ``spt_min``: sleep period time, from the first epoch of sleep to the last; 0 without any.
    ``tst_min``: total sleep time, all epochs of light, deep and REM sleep.
    ``sol_min``: sleep onset latency, to the first epoch of any sleep.
    ``waso_min``: wake after sleep onset, until the end, the wake behind the last epoch of sleep
    included. (YASA ends there.)
    ``wake_min``, ``light_min``, ``deep_min``, ``rem_min``: time in each stage, wake anywhere
    in bed or out of it.
    ``rem_latency_min``: from sleep onset to the first epoch of REM sleep.
    ``awakenings``: stretches of wake between the first and the last epoch of sleep; epochs
    without a stage neither begin nor end one.
    ``out_of_bed_min``: the part of wake out of bed. ``unscored_min``: epochs without a stage.
    """

    tib_min: float
    out_of_bed_min: float
    unscored_min: float
    tst_min: float | None = None
    wake_min: float | None = None
    light_min: float | None = None
    deep_min: float | None = None
    rem_min: float | None = None
    spt_min: float | None = None
    sol_min: float | None = None
    waso_min: float | None = None
    rem_latency_min: float | None = None
    awakenings: int | None = None

    @property
    def efficiency_percent(self) -> float | None:
        """Sleep efficiency: TST as a share of TIB."""
        return _percent(self.tst_min, self.tib_min)

    @property
    def light_percent(self) -> float | None:
        """Light sleep (N1 and N2) as a share of TST."""
        return _percent(self.light_min, self.tst_min)

    @property
    def deep_percent(self) -> float | None:
        """Deep sleep (N3) as a share of TST."""
        return _percent(self.deep_min, self.tst_min)

    @property
    def rem_percent(self) -> float | None:
        """REM sleep as a share of TST."""
        return _percent(self.rem_min, self.tst_min)


def figures(hypnogram: Hypnogram) -> Figures:
    """Return the figures of a hypnogram, shape (n,), codes as in ``noctis.hypnogram``."""
    is_out = hypnogram == OUT_OF_BED
    in_bed = Figures(
        tib_min=_MINUTES * len(hypnogram),
        out_of_bed_min=_minutes(is_out),
        unscored_min=_minutes(hypnogram >= UNSTAGED),
    )
    if not (hypnogram <= Stage.REM).any():
        return in_bed
    is_wake = is_out | (hypnogram == Stage.WAKE)
    is_sleep = (hypnogram > Stage.WAKE) & (hypnogram <= Stage.REM)
    staged = replace(
        in_bed,
        tst_min=_minutes(is_sleep),
        wake_min=_minutes(is_wake),
        light_min=_minutes(hypnogram == Stage.LIGHT),
        deep_min=_minutes(hypnogram == Stage.DEEP),
        rem_min=_minutes(hypnogram == Stage.REM),
        spt_min=0.0,
    )
    asleep = np.flatnonzero(is_sleep)
    if not len(asleep):
        return staged
    onset, end = int(asleep[0]), int(asleep[-1]) + 1
    rem = np.flatnonzero(hypnogram == Stage.REM)
    return replace(
        staged,
        spt_min=_MINUTES * (end - onset),
        sol_min=_MINUTES * onset,
        waso_min=_minutes(is_wake[onset:]),
        rem_latency_min=_MINUTES * (int(rem[0]) - onset) if len(rem) else None,
        awakenings=_awakenings(is_wake[onset:end], is_sleep[onset:end]),
    )


def _minutes(epochs: NDArray[np.bool_]) -> float:
    return _MINUTES * int(epochs.sum())


def _percent(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else 100 * part / whole


def _awakenings(is_wake: NDArray[np.bool_], is_sleep: NDArray[np.bool_]) -> int:
    """Return how often sleep gives way to wake, from the first epoch of sleep on."""
    scored = is_sleep[is_wake | is_sleep]
    return int((scored[:-1] & ~scored[1:]).sum())
