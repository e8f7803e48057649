"""The tracks of a session: what a net looks at, epoch by epoch.

Where ``features`` describes the last epoch of a session, ``tracks`` describes each of the last
ones, in one pass over the codes. Row by row it uses the past alone: the row of an epoch is the
same whether the session ends there or goes on, and whether it is made anew or by going on from
a former epoch. Live worker, settler, training and evaluation make rows by this one way.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.track_sums import (
    BETWEEN,
    HEART,
    MOTION,
    MOVING,
    SPANS,
    WITHIN,
    Array,
    Carried,
    Past,
    breath_means,
)

__all__ = ["BREATH", "COUNT", "NAMES", "WINDOW", "rows_of", "tracks"]

WINDOW: Final = 255
STILL_SPAN: Final = 20  # ten minutes of rest count as the onset of sleep
STILL_SHARE: Final = 0.15 + 2**-12  # 0.15 is still, however its parts are rounded
CYCLE_EPOCHS: Final = 186  # 93 minutes: a sleep cycle
MOTION_SHARES: Final = (0.5, 1.0, 2.0)

_VARIABILITY: Final = ("within", "beats", "range", "between")
_BREATHING: Final = ("breath", "breath_sd", "breath_regularity", "breath_amplitude_cv")
_TWO, _FIVE, _TEN, _TWENTY, _FORTY = range(5)

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
BREATH: Final = slice(COUNT - 4 * len(_BREATHING), COUNT)
_NO_BREATH: Final = np.full((4 * len(_BREATHING), 1), np.nan)


def _heart(past: Past, carried: Carried) -> list[Array]:
    mean = past.means[:, HEART]
    place, place_square, product = past.line.swapaxes(0, 1)
    variance = np.maximum(past.heart_squares - mean * mean, 0.0)
    spans = slice(_TEN, _FORTY + 1)
    place, mean_line = place[spans], mean[spans]
    width = np.maximum(place_square[spans] - place * place, 0.25)
    trend = (product[spans] - place * mean_line) / width
    rest = np.maximum(variance[spans] - trend * trend * width, 0.0)
    deviation = np.sqrt(np.concatenate((variance[_FIVE:-1], rest)))
    deviation = np.log(deviation + 0.2)
    short, spread = mean[_TWO], np.sqrt(variance[-1])
    low, high = _extremes(past, carried)
    over_low, under_high = short - low, high - short
    singles = (
        short,
        past.slope,
        past.now(past.values[HEART]) - mean[_FIVE],
        (short - mean[-1]) / (spread + 1.5),
        np.log(spread + 0.5),
        over_low,
        under_high,
        over_low / (over_low + under_high + 3.0),
    )
    parts = (short - mean[_FIVE:], deviation[: -len(rest)], trend, deviation[-len(rest) :])
    return [np.array(singles), *parts]


def _extremes(past: Past, carried: Carried) -> tuple[Array, Array]:
    """Return the low and the high of the heart rate's short means so far."""
    history = past.history(HEART, SPANS[_FIVE])
    low = np.fmin(np.fmin.accumulate(history), carried.low)
    high = np.fmax(np.fmax.accumulate(history), carried.high)
    carried.low, carried.high = float(low[-1]), float(high[-1])
    return past.now(low), past.now(high)


def _variability(past: Past, _: Carried) -> list[Array]:
    """Levels, then what they are over the session's mean, and that in deviations."""
    part = slice(WITHIN, BETWEEN + 1)
    means = past.means[:, part]
    whole = means[-1]
    deviation = np.sqrt(np.maximum(past.whole_squares[part] - whole * whole, 0.0)) + 0.1
    over = means[_TEN : _FORTY + 1 : _FORTY - _TEN] - whole
    return [
        past.now(past.values[part]),
        means[_FIVE:-2].reshape(-1, past.rows),
        over.reshape(-1, past.rows),
        (over / deviation).reshape(-1, past.rows),
    ]


def _motion(past: Past, carried: Carried) -> list[Array]:
    """Motion against the session's own: a wrist moves more than a mattress."""
    high = np.maximum(past.motion_deviation, 0.25)
    values, now = past.values[MOTION, past.lead :], past.now(high)
    known = past.now(past.whole[MOTION]) > 0
    singles = (
        past.now(values) / now,
        past.now(past.values[MOVING]),
        past.still,
        np.where(known, np.log(now), np.nan),
    )
    return [
        np.array(singles),
        past.means[:-2, MOTION] / now,
        past.means[_TEN : _FORTY + 1 : _FORTY - _TEN, MOVING],
        _since_motion(past, values / high, carried),
        _onset(past, carried),
    ]


def _since_motion(past: Past, shares: Array, carried: Carried) -> Array:
    """Return the logarithm of the epochs since motion was last above each share of its high."""
    places = past.new_places
    happened = shares > np.array(MOTION_SHARES)[:, None]
    latest = np.maximum.accumulate(np.where(happened, places, -1), axis=1)
    latest = np.maximum(latest, np.array(carried.moved or [-1])[:, None])
    carried.moved = latest[:, -1].tolist()
    latest = latest[:, -past.rows :]
    return np.where(latest < 0, np.nan, np.log1p(past.places - latest))


def _onset(past: Past, carried: Carried) -> Array:
    """Time since the sleeper first lay still for ten minutes: about when sleep began."""
    if carried.slept < 0:
        share = past.history(MOVING, STILL_SPAN)
        quiet = np.flatnonzero((share < STILL_SHARE) & (past.new_places >= STILL_SPAN - 1))
        carried.slept = past.begin + int(quiet[0]) if len(quiet) else -1
    since = np.full(past.rows, np.nan)
    if carried.slept >= 0:
        since = (past.places - carried.slept) / CYCLE_EPOCHS
        since[since < 0] = np.nan
    angle = 2 * np.pi * since
    return np.array((since, np.sin(angle), np.cos(angle)))


def _breath(session: NDArray[np.int16], carried: Carried, rows: int) -> list[Array]:
    means = breath_means(session, carried, rows, (SPANS[_FIVE], SPANS[_TWENTY]))
    if means is None:
        return [_NO_BREATH.repeat(rows, 1)]
    over = means[:-1] - means[-1]
    return [means[:-1].reshape(-1, rows), over.reshape(-1, rows)]


def rows_of(
    session: NDArray[np.int16], carried: Carried, most: int = WINDOW, *, breathing: bool = True
) -> NDArray[np.float32]:
    """Return the tracks, shape (n, COUNT), of a session's epochs behind those of ``carried``.

    Of more than ``most`` the last ones. ``carried`` knows all of the session afterwards.
    Without ``breathing`` its tracks are left unknown: for whoever does not look at them.
    """
    rows = min(len(session) - carried.size, most)
    if not rows:
        return np.empty((0, COUNT), np.float32)
    past = Past(session, carried, rows)
    blocks = [past.places[None] / 120.0, past.known_shares]
    for group in (_heart, _variability, _motion):
        blocks += group(past, carried)
    blocks += _breath(session, carried, rows) if breathing else [_NO_BREATH.repeat(rows, 1)]
    carried.size = len(session)
    return np.concatenate(blocks).T.astype(np.float32)


def tracks(session: NDArray[np.int16], window: int = WINDOW) -> NDArray[np.float32]:
    """Return the tracks, shape (window, COUNT), of a session's last epochs, named by NAMES.

    ``session``: codes, shape (n, 15), as for ``features``, oldest first. The last row belongs
    to the session's last epoch. Unknown values are NaN, and so is every row before the
    session began.
    """
    table = np.full((window, COUNT), np.nan, np.float32)
    rows = rows_of(session, Carried(), window)
    table[window - len(rows) :] = rows
    return table
