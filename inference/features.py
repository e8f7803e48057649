"""The features of one epoch in its session: a pure function of the last epochs' codes.

Live worker, settler, training and evaluation all call ``features``; there is no second
version that could drift from it. Only the past is used. Heart rate and motion are set against
the session itself, because sleepers and beds differ more than stages do. A missing value is
NaN, and so is whatever rests on missing values alone.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from noctis.features import FEATURES
from noctis.features import NAMES as CHANNELS

__all__ = ["COUNT", "NAMES", "features"]

Array = NDArray[np.float64]

SPANS: Final = np.array([2, 5, 10, 20, 40, 80])
LONG_SPANS: Final = np.array([5, 10, 20, 40, 80, 160])
SLOPES: Final = (10, 20, 40)
LAGS: Final = (10, 20, 40)
QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
STILL_SPAN: Final = 20
CYCLE_EPOCHS: Final = 186  # 93 minutes: a sleep cycle
_LOGARITHMIC: Final = {"hr_sd", "hr_rmssd", "hr_range"}


def _table(name: str) -> Array:
    """Return the value of each code of a channel on the scale that the features use."""
    feature = FEATURES[CHANNELS.index(name)]
    codes = np.arange(1 << feature.bits)
    values = feature.values(codes)
    if feature.scale == "log":
        values = np.log1p(values / feature.knee)
    return np.log(values + 0.5) if name in _LOGARITHMIC else values


_TABLES: Final = {name: _table(name) for name in CHANNELS}
_COLUMNS: Final = {name: column for column, name in enumerate(CHANNELS)}


class _Track:
    """One value over the session with running sums: any trailing mean is two look-ups."""

    __slots__ = ("centre", "counts", "known", "ordered", "size", "squares", "sums", "values")

    def __init__(self, values: Array) -> None:
        self.values = values
        self.size = len(values)
        self.known = ~np.isnan(values)
        self.ordered = np.sort(values[self.known])
        self.centre = float(self.ordered[len(self.ordered) // 2]) if len(self.ordered) else 0.0
        centred = np.where(self.known, values - self.centre, 0.0)
        self.counts = _running(self.known)
        self.sums = _running(centred)
        self.squares = _running(centred * centred)

    def _spread(self, spans: NDArray[np.int64], end: int) -> tuple[Array, Array, Array]:
        begin = np.maximum(end - spans, 0)
        count = self.counts[end] - self.counts[begin]
        count = np.where(count * 4 >= np.minimum(spans, end), count, np.nan)
        count[count == 0] = np.nan
        mean = (self.sums[end] - self.sums[begin]) / count
        square = (self.squares[end] - self.squares[begin]) / count
        return count, mean, square

    def means(self, spans: NDArray[np.int64], ago: int = 0) -> Array:
        """Return the means of the last ``spans`` epochs, ``ago`` epochs before the last one.

        A mean of less than a quarter of its span is NaN.
        """
        if ago >= self.size:
            return np.full(len(spans), np.nan)
        return self._spread(spans, self.size - ago)[1] + self.centre

    def deviations(self, spans: NDArray[np.int64]) -> Array:
        """Return the standard deviations over the last ``spans`` epochs."""
        _, mean, square = self._spread(spans, self.size)
        deviation: Array = np.sqrt(np.maximum(square - mean * mean, 0.0))
        return deviation

    def history(self, span: int, *, deviation: bool = False) -> Array:
        """Return for every epoch the mean, or the deviation, of the ``span`` up to it."""
        begin = np.maximum(np.arange(1 - span, self.size + 1 - span), 0)
        count = self.counts[1:] - self.counts[begin]
        count[count * 4 < span] = np.nan
        mean = (self.sums[1:] - self.sums[begin]) / count
        if not deviation:
            return mean
        square = (self.squares[1:] - self.squares[begin]) / count
        spread: Array = np.sqrt(np.maximum(square - mean * mean, 0.0))
        return spread

    def quantiles(self) -> Array:
        """Return the session's QUANTILES, each as the nearest value that occurred."""
        last = len(self.ordered) - 1
        if last < 0:
            return np.full(len(QUANTILES), np.nan)
        return self.ordered[[int(q * last + 0.5) for q in QUANTILES]]

    def slope(self, span: int) -> float:
        """Return the least-squares slope over the last ``span`` epochs, per epoch."""
        known = self.known[-span:]
        count = int(known.sum())
        if count * 4 < span:
            return np.nan
        place = np.flatnonzero(known)
        place = place - place.mean()
        return float(place @ self.values[-span:][known] / max(float(place @ place), 1.0))


def _running(values: NDArray[np.float64] | NDArray[np.bool_]) -> Array:
    total = np.zeros(len(values) + 1)
    np.cumsum(values, out=total[1:])
    return total


def _rank(history: Array, value: float) -> float:
    """Return the share of a session's values below ``value``, ties counted half."""
    known = np.count_nonzero(history == history)  # noqa: PLR0124 - NaN differs from itself
    if not known or np.isnan(value):
        return np.nan
    below = np.count_nonzero(history < value) + np.count_nonzero(history <= value)
    return below / (2 * known)


def _standing(history: Array) -> tuple[float, float]:
    """Return the last value's rank in its history and its distance from the median."""
    value = float(history[-1])
    known = history[~np.isnan(history)]
    if not len(known) or np.isnan(value):
        return np.nan, np.nan
    middle = len(known) // 2
    return _rank(known, value), value - float(np.partition(known, middle)[middle])


def _since(happened: NDArray[np.bool_]) -> float:
    """Return the epochs since something last happened; NaN when it never did."""
    places = np.flatnonzero(happened)
    return float(len(happened) - 1 - places[-1]) if len(places) else np.nan


def _named(prefix: str, labels: Iterable[object], values: Array) -> dict[str, float]:
    return {
        f"{prefix}{label}": value for label, value in zip(labels, values.tolist(), strict=True)
    }


def _heart(track: _Track) -> dict[str, float]:
    short, five, *_ = means = track.means(SPANS)
    quantiles = track.quantiles()
    low, lower, median, upper, high = quantiles.tolist()
    deviations = track.deviations(LONG_SPANS)
    named = {
        "heart": float(track.values[-1]),
        "heart_2": short,
        "heart_step": float(track.values[-1]) - five,
        "heart_z": (short - median) / (upper - lower + 1.5),
        "heart_height": (short - low) / (high - low + 3.0),
        "heart_rank": _rank(track.values, short),
        "heart_rank_120": _rank(track.values[-120:], short),
        "heart_spread": upper - lower,
    }
    named |= _named("heart_over_mean_", SPANS[1:], short - means[1:])
    named |= _named("heart_over_q", QUANTILES, short - quantiles)
    named |= _named("heart_sd_", LONG_SPANS, np.log(deviations + 0.2))
    for span in SLOPES:
        slope = track.slope(span)
        variance = deviations[span == LONG_SPANS][0] ** 2 - slope**2 * (span**2 - 1) / 12
        named[f"heart_slope_{span}"] = slope
        named[f"heart_residual_{span}"] = float(np.log(np.sqrt(max(variance, 0.0)) + 0.2))
        recent = track.values[-2 * span :]
        named[f"heart_top_{span}"] = float(np.fmax.reduce(recent)) - short
        named[f"heart_bottom_{span}"] = short - float(np.fmin.reduce(recent))
    for span in (10, 20):
        standing = _standing(track.history(span, deviation=True))
        named[f"heart_sd_rank_{span}"], named[f"heart_sd_over_{span}"] = standing
    return named


def _variability(name: str, track: _Track) -> dict[str, float]:
    named = {f"{name}": float(track.values[-1])}
    named |= _named(f"{name}_", SPANS, track.means(SPANS))
    for span in (10, 40):
        standing = _standing(track.history(span))
        named[f"{name}_rank_{span}"], named[f"{name}_over_{span}"] = standing
    ten = np.array([10])
    for lag in LAGS:
        named[f"{name}_lag_{lag}"] = float(track.means(ten, lag)[0])
    return named


def _motion(track: _Track, moving: Array) -> dict[str, float]:
    means = track.means(SPANS)
    high = float(track.quantiles()[-1])
    now = float(track.values[-1])
    named = {"motion": now, "motion_high": high, "motion_rank": _rank(track.values, now)}
    named |= _named("motion_", SPANS, means)
    named |= _named("motion_over_", SPANS[2:5], means[2:5] - means[-1])
    for span in (3, 10, 40):
        named[f"motion_top_{span}"] = float(np.fmax.reduce(track.values[-span:]))
    for share in (0.25, 0.5, 0.75):
        named[f"since_motion_{share}"] = _since(track.values > share * max(high, 0.5))
    shares = _Track(moving)
    named |= _named("moving_", (20, 80), shares.means(np.array([20, 80])))
    return named | _onset(shares)


def _onset(shares: _Track) -> dict[str, float]:
    """Time since the sleeper first lay still for ten minutes: about when sleep began."""
    history = shares.history(STILL_SPAN)
    history[: STILL_SPAN - 1] = np.nan
    quiet = np.flatnonzero(history < 0.15)  # noqa: PLR2004 - a share of seconds
    since = float(shares.size - 1 - quiet[0]) if len(quiet) else np.nan
    angle = 2 * np.pi * since / CYCLE_EPOCHS
    return {
        "onset": since,
        "cycle_sin": float(np.sin(angle)),
        "cycle_cos": float(np.cos(angle)),
    }


def _breathing(name: str, track: _Track) -> dict[str, float]:
    means = track.means(SPANS)
    named = _named(f"{name}_", SPANS[1:5], means[1:5])
    named[f"{name}_rank"] = _rank(track.values, float(means[1]))
    named[f"{name}_over_median"] = float(means[1]) - float(track.quantiles()[2])
    return named


def _compute(codes: NDArray[np.int16]) -> dict[str, float]:
    tracks = {name: _TABLES[name][codes[:, _COLUMNS[name]]] for name in CHANNELS}
    heart = tracks["hr_mean"]
    steps = np.full(len(heart), np.nan)
    steps[1:] = np.log(np.abs(np.diff(heart)) + 0.3)
    named = {"session": float(len(codes))}
    named |= _heart(_Track(heart))
    named |= _variability("within", _Track(tracks["hr_sd"]))
    named |= _variability("beats", _Track(tracks["hr_rmssd"]))
    named |= _variability("between", _Track(steps))
    named |= _motion(_Track(tracks["act_count"]), tracks["move_frac"])
    named["still"] = float(tracks["still_s"][-1])
    for name in ("rr_mean", "rr_sd", "rr_regularity", "resp_amp_cv"):
        named |= _breathing(name, _Track(tracks[name]))
    return named


def features(session: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return the features, shape (COUNT,), of a session's last epoch.

    ``session``: codes, shape (n, 15), oldest first, of the epochs since the sleeper came to
    bed, one row for each 30 s, absent epochs as rows of missing codes. An empty session has
    features of NaN alone.
    """
    if not len(session):
        return np.full(COUNT, np.nan, np.float32)
    return np.fromiter(_compute(session).values(), np.float32, COUNT)


_SAMPLE: Final = np.array([[0] * len(CHANNELS)] * 3, dtype=np.int16)
NAMES: Final = tuple(_compute(_SAMPLE))
COUNT: Final = len(NAMES)
