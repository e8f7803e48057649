"""The tracks of a session: what a net looks at, epoch by epoch.

Where ``features`` describes the last epoch of a session, ``tracks`` describes each of the last
ones, in one pass over the codes. Row by row it uses the past alone: the row of an epoch is the
same whether the session ends there or goes on. Live worker, settler, training and evaluation
call this one function.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.scratch import Scratch
from noctis.features import FEATURES
from noctis.features import NAMES as CHANNELS

__all__ = ["COUNT", "NAMES", "WINDOW", "tracks"]

Array = NDArray[np.float64]

WINDOW: Final = 255
SPANS: Final = (2, 5, 10, 20, 40, 80, 160)
STILL_SPAN: Final = 20  # ten minutes of rest count as the onset of sleep
STILL_SHARE: Final = 0.15
CYCLE_EPOCHS: Final = 186  # 93 minutes: a sleep cycle
HEART_ZERO: Final = 60.0  # near the values, so that squares keep their digits
MOTION_SHARES: Final = (0.5, 1.0, 2.0)

HEART, WITHIN, BEATS, RANGE, BETWEEN, MOTION, MOVING, BREATH = range(8)
_SOURCES: Final = (
    *("hr_mean", "hr_sd", "hr_rmssd", "hr_range", "hr_mean", "act_count", "move_frac"),
    *("rr_mean", "rr_sd", "rr_regularity", "resp_amp_cv"),
)
_LOGARITHMIC: Final = ("hr_sd", "hr_rmssd", "hr_range")
_VARIABILITY: Final = ("within", "beats", "range", "between")
_BREATHING: Final = ("breath", "breath_sd", "breath_regularity", "breath_amplitude_cv")
_PAD: Final = max(SPANS)
_scratch = Scratch()
_TWO, _FIVE, _TEN, _TWENTY, _FORTY = range(5)


def _scale(name: str) -> Array:
    """Return the value of each code of a channel on the scale that the tracks use."""
    feature = FEATURES[CHANNELS.index(name)]
    values = feature.values(np.arange(1 << feature.bits))
    if feature.scale == "log":
        values = np.log1p(values / feature.knee)
    if name == "hr_mean":
        values -= HEART_ZERO
    return np.log(values + 0.5) if name in _LOGARITHMIC else values


_SCALES: Final = [(CHANNELS.index(name), _scale(name)) for name in _SOURCES]
_SLOPE: Final = (CHANNELS.index("hr_slope"), _scale("hr_slope"))
_STILL: Final = (CHANNELS.index("still_s"), _scale("still_s"))
_BREATH_COLUMNS: Final = [column for column, _ in _SCALES[BREATH:]]
_BREATH_MISSING: Final = [FEATURES[column].missing for column in _BREATH_COLUMNS]

NAMES: Final = (
    *("session", "heart_known", "motion_known"),
    *("heart", "heart_slope", "heart_step", "heart_z", "heart_spread"),
    *("heart_over_low", "heart_under_high", "heart_height"),
    *(f"heart_over_mean_{span}" for span in (*SPANS[1:], "all")),
    *(f"heart_sd_{span}" for span in SPANS[1:]),
    *(f"heart_trend_{span}" for span in SPANS[_TEN : _FORTY + 1]),
    *(f"heart_residual_{span}" for span in SPANS[_TEN : _FORTY + 1]),
    *_VARIABILITY,
    *(f"{name}_{span}" for span in SPANS[1:-1] for name in _VARIABILITY),
    *(f"{name}_over_{span}" for span in (10, 40) for name in _VARIABILITY),
    *(f"{name}_z_{span}" for span in (10, 40) for name in _VARIABILITY),
    *("motion", "moving", "still", "motion_high"),
    *(f"motion_{span}" for span in SPANS[:-1]),
    *(f"moving_{span}" for span in (10, 40)),
    *(f"since_motion_{share}" for share in MOTION_SHARES),
    *("onset", "cycle_sin", "cycle_cos"),
    *(f"{name}_{span}" for span in (5, 20) for name in _BREATHING),
    *(f"{name}_over_{span}" for span in (5, 20) for name in _BREATHING),
)
COUNT: Final = len(NAMES)


class _Past:
    """A session's values, their running sums, and trailing means of its last ``rows``.

    ``means``: (span, base, row), the last span being all of the session; the squares and
    ``line`` are means of what deviations and trends are made of.
    """

    def __init__(self, codes: NDArray[np.int16], rows: int) -> None:
        self.size, self.rows = len(codes), rows
        places = codes.T.astype(np.intp)
        self.breathes = any(
            (places[column] != missing).any()
            for column, missing in zip(_BREATH_COLUMNS, _BREATH_MISSING, strict=True)
        )
        self.bases = len(_SCALES) if self.breathes else BREATH
        self.values = _scratch.take("values", (self.bases, self.size))
        for base, (column, scale) in enumerate(_SCALES[: self.bases]):
            scale.take(places[column], out=self.values[base], mode="clip")
        np.log(np.abs(np.diff(self.values[HEART])) + 0.3, out=self.values[BETWEEN, 1:])
        self.values[BETWEEN, 0] = np.nan
        self.slope, self.still = (s.take(places[c], mode="clip") for c, s in (_SLOPE, _STILL))
        self.sums = self._sums()
        totals = self._totals()
        quarter = np.minimum(self.places() + 1, np.array((*SPANS, self.size))[:, None]) / 4
        counts = totals[:, : self.bases]
        # A mean of less than a quarter of its span is none.
        np.putmask(counts, counts < quarter[:, None], np.nan)
        self.means = _scratch.take("means", counts.shape)
        np.divide(totals[:, self.bases : 2 * self.bases], counts, out=self.means)
        self.heart_squares: Array = totals[:, -4] / counts[:, HEART]
        self.line: Array = totals[:, -3:] / counts[:, :1]
        self.whole_squares: Array = self.sums[-MOTION:, -rows:] / counts[-1, 1 : MOTION + 1]

    def _sums(self) -> Array:
        """Return sums of what is known, values, the heart's square and line, other squares."""
        bases = self.bases
        terms = _scratch.take("terms", (2 * bases + 4 + MOTION, self.size))
        unknown = np.isnan(self.values)
        known = np.logical_not(unknown, out=terms[:bases])
        values = terms[bases : 2 * bases]
        values[:] = self.values
        np.putmask(values, unknown, 0.0)
        place = np.arange(self.size) * known[HEART]
        line = (place, place * place, place * values[HEART])
        np.multiply(values[HEART], values[HEART], out=terms[2 * bases])
        terms[2 * bases + 1 : 2 * bases + 4] = line
        np.multiply(values[1 : MOTION + 1], values[1 : MOTION + 1], out=terms[-MOTION:])
        sums = _scratch.take("sums", (len(terms), _PAD + 1 + self.size))
        sums[:, : _PAD + 1] = 0.0
        np.cumsum(terms, axis=1, out=sums[:, _PAD + 1 :])
        return sums

    def _totals(self) -> Array:
        """Return sums over each span, (span, term, row), of all terms but the last squares."""
        sums = self.sums[:-MOTION]
        end = sums.shape[1]
        totals = _scratch.take("totals", (len(SPANS) + 1, len(sums), self.rows))
        for total, span in zip(totals, SPANS, strict=False):
            np.subtract(
                sums[:, -self.rows :],
                sums[:, end - self.rows - span : end - span],
                out=total,
            )
        totals[-1] = sums[:, -self.rows :]
        return totals

    def places(self) -> NDArray[np.intp]:
        """Return the places in the session of its last rows."""
        return np.arange(self.size - self.rows, self.size)

    def history(self, base: int, span: int) -> Array:
        """Return the base's mean over the ``span`` epochs up to each epoch of the session."""
        sums = self.sums[[base, self.bases + base]]
        counts, totals = sums[:, _PAD + 1 :] - sums[:, _PAD + 1 - span : -span]
        counts[counts * 4 < span] = np.nan
        mean: Array = totals / counts
        return mean

    def now(self, values: Array) -> Array:
        """Return the part of ``values`` (..., size) that belongs to the last rows."""
        return values[..., self.size - self.rows :]


def _heart(past: _Past) -> list[Array]:
    mean = past.means[:, HEART]
    place, place_square, product = past.line.swapaxes(0, 1)
    variance = np.maximum(past.heart_squares - mean * mean, 0.0)
    spans = slice(_TEN, _FORTY + 1)
    place, mean_line = place[spans], mean[spans]
    width = np.maximum(place_square[spans] - place * place, 0.25)
    trend = (product[spans] - place * mean_line) / width
    rest = np.maximum(variance[spans] - trend * trend * width, 0.0)
    short, spread = mean[_TWO], np.sqrt(variance[-1])
    history = past.history(HEART, SPANS[_FIVE])
    over_low = short - past.now(np.fmin.accumulate(history))
    under_high = past.now(np.fmax.accumulate(history)) - short
    return [
        short,
        past.now(past.slope),
        past.now(past.values[HEART]) - mean[_FIVE],
        (short - mean[-1]) / (spread + 1.5),
        np.log(spread + 0.5),
        over_low,
        under_high,
        over_low / (over_low + under_high + 3.0),
        *(short - mean[_FIVE:]),
        *np.log(np.sqrt(variance[_FIVE:-1]) + 0.2),
        *trend,
        *np.log(np.sqrt(rest) + 0.2),
    ]


def _variability(past: _Past) -> list[Array]:
    """Levels, then what they are over the session's mean, and that in deviations."""
    part = slice(WITHIN, BETWEEN + 1)
    means = past.means[:, part]
    whole = means[-1]
    deviation = np.sqrt(np.maximum(past.whole_squares[:-1] - whole * whole, 0.0)) + 0.1
    over = means[[_TEN, _FORTY]] - whole
    return [
        *past.now(past.values[part]),
        *means[_FIVE:-2].reshape(-1, past.rows),
        *over.reshape(-1, past.rows),
        *(over / deviation).reshape(-1, past.rows),
    ]


def _motion(past: _Past) -> list[Array]:
    """Motion against the session's own: a wrist moves more than a mattress."""
    counts = past.sums[MOTION, _PAD + 1 :]
    squares = past.sums[-1, _PAD + 1 :]
    high = np.maximum(np.sqrt(squares / np.maximum(counts, 1)), 0.25)
    values, now = past.values[MOTION], past.now(high)
    return [
        past.now(values) / now,
        past.now(past.values[MOVING]),
        past.now(past.still),
        np.where(past.now(counts) > 0, np.log(now), np.nan),
        *(past.means[:-2, MOTION] / now),
        *past.means[[_TEN, _FORTY], MOVING],
        *(_since(values > share * high, past.rows) for share in MOTION_SHARES),
        *_onset(past),
    ]


def _since(happened: NDArray[np.bool_], rows: int) -> Array:
    """Return for each of the last rows the logarithm of the epochs since it last happened."""
    places = np.arange(len(happened))
    latest = np.maximum.accumulate(np.where(happened, places, -1))[-rows:]
    return np.where(latest < 0, np.nan, np.log1p(places[-rows:] - latest))


def _onset(past: _Past) -> list[Array]:
    """Time since the sleeper first lay still for ten minutes: about when sleep began."""
    share = past.history(MOVING, STILL_SPAN)[STILL_SPAN - 1 :]
    quiet = np.flatnonzero(share < STILL_SHARE)
    first = STILL_SPAN - 1 + quiet[0] if len(quiet) else past.size
    since = (past.places() - first) / CYCLE_EPOCHS
    since[since < 0] = np.nan
    angle = 2 * np.pi * since
    return [since, np.sin(angle), np.cos(angle)]


def _breath(past: _Past) -> list[Array]:
    if not past.breathes:
        return [np.full(past.rows, np.nan)] * (4 * len(_BREATHING))
    recent = past.means[[_FIVE, _TWENTY], BREATH:]
    over = recent - past.means[-1, BREATH:]
    return [*recent.reshape(-1, past.rows), *over.reshape(-1, past.rows)]


def tracks(session: NDArray[np.int16], window: int = WINDOW) -> NDArray[np.float32]:
    """Return the tracks, shape (window, COUNT), of a session's last epochs, named by NAMES.

    ``session``: codes, shape (n, 15), as for ``features``, oldest first. The last row belongs
    to the session's last epoch. Unknown values are NaN, and so is every row before the
    session began.
    """
    table = np.full((window, COUNT), np.nan, np.float32)
    rows = min(len(session), window)
    if not rows:
        return table
    past = _Past(session, rows)
    share = past.sums[[HEART, MOTION], -rows:] / (past.places() + 1)
    columns = [past.places() / 120.0, *share]
    for group in (_heart, _variability, _motion, _breath):
        columns += group(past)
    table[-rows:] = np.array(columns, np.float32).T
    return table
