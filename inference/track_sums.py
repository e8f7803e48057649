"""Sums over a session's epochs, carried from one epoch to the next: what tracks are made of.

All that is summed is a multiple of 2**-16 and small enough that a sum of 64 bits is exact. So
it does not matter where a sum began, nor in how many steps the session came: whoever takes all
its epochs at once and whoever goes on from a former epoch arrive at the same bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.scratch import Scratch
from noctis.features import FEATURES
from noctis.features import NAMES as CHANNELS

__all__ = [
    "BEATS",
    "BETWEEN",
    "HEART",
    "MOTION",
    "MOVING",
    "RANGE",
    "SPANS",
    "WITHIN",
    "Array",
    "Carried",
    "Past",
    "breath_means",
]

Array = NDArray[np.float64]

SPANS: Final = (2, 5, 10, 20, 40, 80, 160)
GRID: Final = 2.0**16
HEART_ZERO: Final = 60.0  # near the values, so that squares are small

HEART, WITHIN, BEATS, RANGE, BETWEEN, MOTION, MOVING = range(7)
_SOURCES: Final = (
    "hr_mean",
    "hr_sd",
    "hr_rmssd",
    "hr_range",
    "hr_mean",
    "act_count",
    "move_frac",
)
_BESIDE: Final = ("hr_slope", "still_s")  # of the last rows alone
_BREATH: Final = ("rr_mean", "rr_sd", "rr_regularity", "resp_amp_cv")
_LOGARITHMIC: Final = ("hr_sd", "hr_rmssd", "hr_range")
_BASES: Final = len(_SOURCES)
_COUNTS: Final = slice(0, _BASES)
_VALUES: Final = slice(_BASES, 2 * _BASES)
_LINE: Final = 2 * _BASES  # place, its square, and its product with the heart rate
_SQUARES: Final = slice(_LINE + 3, None)  # of the bases up to motion
_TERMS: Final = _LINE + 3 + MOTION + 1
_PAD: Final = max(SPANS)
_LEAD: Final = _PAD + 1  # epochs on which those that follow rest
_FULL: Final = np.array((*SPANS, 1 << 30))[:, None]
_scratch = Scratch()


def _exact(values: Array) -> Array:
    rounded: Array = np.rint(values * GRID) / GRID
    return rounded


def _scale(name: str) -> Array:
    """Return the value of each code of a channel on the scale that the tracks use."""
    feature = FEATURES[CHANNELS.index(name)]
    values = feature.values(np.arange(1 << feature.bits))
    if feature.scale == "log":
        values = np.log1p(values / feature.knee)
    if name == "hr_mean":
        values -= HEART_ZERO
    return _exact(np.log(values + 0.5) if name in _LOGARITHMIC else values)


def _scales(names: Sequence[str]) -> tuple[list[int], NDArray[np.intp], Array]:
    """Return the channels' columns, where each one's values begin, and all values."""
    scales = [_scale(name) for name in names]
    begins = np.cumsum([0, *map(len, scales)])[:-1]
    return [CHANNELS.index(name) for name in names], begins[:, None], np.concatenate(scales)


_COLUMNS, _BEGINS, _SCALES = _scales((*_SOURCES, *_BESIDE))
_BREATH_COLUMNS, _BREATH_BEGINS, _BREATH_SCALES = _scales(_BREATH)
_BREATH_MISSING: Final = np.array([FEATURES[it].missing for it in _BREATH_COLUMNS])


@dataclass(slots=True)
class Carried:
    """What is known of a session's first ``size`` epochs, to go on from there.

    ``sums``, ``breath``: of all terms. ``low``, ``high``: of the heart rate's short means.
    ``moved``: the places where motion was last above each share of its high; ``slept``: where
    sleep began; -1 where that was never.
    """

    size: int = 0
    sums: Array = field(default_factory=lambda: np.zeros(_TERMS))
    breath: Array = field(default_factory=lambda: np.zeros(2 * len(_BREATH)))
    low: float = np.nan
    high: float = np.nan
    moved: list[int] = field(default_factory=list)
    slept: int = -1


class Past:
    """The epochs of a session behind those that ``carried`` knows, and means of the last ones.

    ``codes``: all of the session. Of its new epochs the last ``rows`` have ``means`` (span,
    base, row) over SPANS and over all of the session; None where less than a quarter is known.
    """

    def __init__(self, codes: NDArray[np.int16], carried: Carried, rows: int) -> None:
        self.rows, self.begin, self.size = rows, carried.size, len(codes)
        self.lead = min(_LEAD, self.begin)
        self.new_places = np.arange(self.begin, self.size)
        self.places = self.new_places[-rows:]
        self.values = self._values(codes[self.begin - self.lead :])
        self.sums = self._sums()
        start = carried.sums - self.sums[:, _PAD + self.lead]
        self.whole = _scratch.take("whole", (_TERMS, self.size - self.begin))
        np.add(self.sums[:, _PAD + 1 + self.lead :], start[:, None], out=self.whole)
        carried.sums = self.whole[:, -1].copy()
        self._mean(self._totals())

    def _values(self, part: NDArray[np.int16]) -> Array:
        """Return each base's value at each epoch, (base, epoch); NaN where unknown."""
        codes = part.T[_COLUMNS] + _BEGINS
        values = _scratch.take("values", codes.shape)
        _SCALES.take(codes, out=values, mode="clip")
        steps = np.abs(np.diff(values[HEART]))
        values[BETWEEN, 1:] = _exact(np.log(steps + 0.3))
        values[BETWEEN, 0] = np.nan
        self.slope, self.still = values[_BASES:, -self.rows :]
        return values[:_BASES]

    def _sums(self) -> Array:
        """Return running sums of what is known, values, line and squares, _PAD zeros first."""
        values = self.values
        size = values.shape[1]
        terms = _scratch.take("terms", (_TERMS, size))
        unknown = np.isnan(values)
        known = np.logical_not(unknown, out=terms[_COUNTS])
        filled = terms[_VALUES]
        filled[:] = values
        np.putmask(filled, unknown, 0.0)
        place = np.multiply(
            np.arange(self.size - size, self.size), known[HEART], out=terms[_LINE]
        )
        np.multiply(place, place, out=terms[_LINE + 1])
        np.multiply(place, filled[HEART], out=terms[_LINE + 2])
        np.multiply(filled[: MOTION + 1], filled[: MOTION + 1], out=terms[_SQUARES])
        sums = _scratch.take("sums", (_TERMS, _PAD + 1 + size))
        sums[:, : _PAD + 1] = 0.0
        np.cumsum(terms, axis=1, out=sums[:, _PAD + 1 :])
        return sums

    def _totals(self) -> Array:
        """Return the terms' sums over each span and over all, (span, term, row)."""
        totals = _scratch.take("totals", (len(SPANS) + 1, _TERMS, self.rows))
        last = self.sums[:, -self.rows :]
        end = self.sums.shape[1]
        for total, span in zip(totals, SPANS, strict=False):
            before = self.sums[:, end - self.rows - span : end - span]
            np.subtract(last, before, out=total)
        totals[-1] = self.whole[:, -self.rows :]
        return totals

    def _mean(self, totals: Array) -> None:
        counts = totals[:, _COUNTS]
        least = np.minimum(self.places + 1, _FULL) / 4
        np.putmask(counts, counts < least[:, None], np.nan)
        self.means = _scratch.take("means", counts.shape)
        np.divide(totals[:, _VALUES], counts, out=self.means)
        self.line: Array = totals[:, _LINE : _LINE + 3] / counts[:, :1]
        self.heart_squares: Array = totals[:, _SQUARES.start] / counts[:, HEART]
        self.whole_squares: Array = totals[-1, _SQUARES] / counts[-1, : MOTION + 1]

    @property
    def known_shares(self) -> Array:
        """The shares of the epochs so far with a heart rate and with motion, (2, row)."""
        shares: Array = self.whole[HEART : MOTION + 1 : MOTION, -self.rows :] / (
            self.places + 1
        )
        return shares

    @property
    def motion_deviation(self) -> Array:
        """The root mean square of motion so far at each new epoch."""
        squares = self.whole[_SQUARES.start + MOTION]
        return np.asarray(np.sqrt(squares / np.maximum(self.whole[MOTION], 1)))

    def history(self, base: int, span: int) -> Array:
        """Return the base's mean over the ``span`` epochs up to each new epoch."""
        first = _PAD + 1 + self.lead
        sums = self.sums[base::_BASES][:2]
        counts, totals = sums[:, first:] - sums[:, first - span : -span]
        counts[counts * 4 < span] = np.nan
        mean: Array = totals / counts
        return mean

    def now(self, values: Array) -> Array:
        """Return the part of ``values`` (..., epoch) that belongs to the last rows."""
        return values[..., values.shape[-1] - self.rows :]


def breath_means(
    codes: NDArray[np.int16], carried: Carried, rows: int, spans: Sequence[int]
) -> Array | None:
    """Return the breath's means, (span, base, row), over spans and then over all of a session.

    ``codes``, ``carried`` and ``rows``: as of Past. None where nobody was heard to breathe in
    the new epochs and the spans before them.
    """
    begin = carried.size
    lead = min(begin, max(spans))
    part = codes[begin - lead :, _BREATH_COLUMNS]
    if (part == _BREATH_MISSING).all():
        return None
    values = _BREATH_SCALES.take(part.T + _BREATH_BEGINS, mode="clip")
    unknown = np.isnan(values)
    pad = max(spans) + 1
    sums = np.zeros((2 * len(_BREATH), pad + len(part)))
    terms = np.concatenate((~unknown, np.where(unknown, 0.0, values)))
    np.cumsum(terms, axis=1, out=sums[:, pad:])
    last, end = sums[:, -rows:], sums.shape[1]
    whole = last + (carried.breath - sums[:, pad + lead - 1])[:, None]
    carried.breath = whole[:, -1].copy()
    totals = [last - sums[:, end - rows - span : end - span] for span in spans]
    counts, values = (
        np.array([*totals, whole]).reshape(len(spans) + 1, 2, -1, rows).swapaxes(0, 1)
    )
    places = np.arange(len(codes) - rows, len(codes))
    least = np.minimum(places + 1, np.array((*spans, 1 << 30))[:, None]) / 4
    counts[counts < least[:, None]] = np.nan
    mean: Array = values / counts
    return mean
