"""Nights over weeks: the middle and the spread of each figure, week by week.

A week has seven evenings, Monday to Sunday, where the device stands. An evening's night is the
longest that began on it, in bed; the others are naps and are not counted. The spread is the
middle half of the nights, between the quartiles (interpolated, numpy's ``linear``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

import numpy as np

__all__ = ["FIGURES", "Evening", "Spread", "Trends", "Week", "begin_of", "spread", "weeks"]

FIGURES: Final = (
    *("bedtime_min", "rise_min", "tib_min", "tst_min", "efficiency_percent", "sol_min"),
    *("waso_min", "light_percent", "deep_percent", "rem_percent", "awakenings"),
    *("breathing_rate_per_min", "heart_rate_bpm", "heart_rate_dip_percent"),
)
"""``bedtime_min``, ``rise_min``: minutes by the clock on the wall since the evening's noon."""

_WEEK: Final = 7
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Evening:
    """A night by its evening's date, with figures; None where one is undefined."""

    evening: date
    figures: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure of ``nights`` nights: its median, mean and quartiles."""

    nights: int
    median: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Week:
    """A week, by its Monday: ``evenings`` of it lie in the window, ``nights`` have a night.

    ``missing``: evenings without one. ``figures``: None where no night has the figure.
    ``regularity``: the SRI of its days, None where too little is known.
    """

    monday: date
    evenings: int
    nights: int
    missing: int
    figures: dict[str, Spread | None]
    regularity: float | None = None


@dataclass(frozen=True, slots=True)
class Trends:
    """A device's weeks, the oldest first, with since <= evening < until, and all of them."""

    time_zone: str
    since: date
    until: date
    nights: int
    missing: int
    regularity: float | None
    weeks: list[Week] = field(default_factory=list)


def begin_of(until: date, weeks: int) -> date:
    """Return the Monday of the first of so many weeks, the last with the evening before."""
    last = until - _DAY
    return last - timedelta(days=last.weekday() + _WEEK * (weeks - 1))


def weeks(nights: Sequence[Evening], since: date, until: date) -> list[Week]:
    """Return the weeks from a Monday to the one with the evening before ``until``."""
    found = []
    while since < until:
        end = min(since + timedelta(days=_WEEK), until)
        inside = _main(it for it in nights if since <= it.evening < end)
        evenings = (end - since).days
        figures = {name: spread([it.figures.get(name) for it in inside]) for name in FIGURES}
        found.append(Week(since, evenings, len(inside), evenings - len(inside), figures))
        since = end
    return found


def spread(values: Sequence[float | None]) -> Spread | None:
    """Return the middle and the spread of a figure over the nights that have it."""
    known = np.array([it for it in values if it is not None], np.float64)
    if not len(known):
        return None
    low, median, high = (float(it) for it in np.percentile(known, (25, 50, 75)))
    return Spread(len(known), median, float(known.mean()), low, high)


def _main(nights: Iterable[Evening]) -> list[Evening]:
    """Return the longest night of each evening, by evening."""
    found: dict[date, Evening] = {}
    for night in nights:
        rival = found.get(night.evening)
        if rival is None or _length(night) > _length(rival):
            found[night.evening] = night
    return [found[evening] for evening in sorted(found)]


def _length(night: Evening) -> float:
    return night.figures.get("tib_min") or 0.0
