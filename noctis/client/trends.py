"""Nights over weeks: the middle and the spread of each figure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

__all__ = ["Spread", "Trends", "Week", "trends_in"]


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over ``nights`` that have it; ``low`` and ``high`` are its quartiles."""

    nights: int
    median: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Week:
    """A week of evenings from a Monday on.

    ``regularity``: Sleep Regularity Index, -100 to 100. ``figures``: by the names that they
    have in ``noctis.figures.Figures``, None where no night has one.
    """

    monday: date
    nights: int
    missing: int
    regularity: float | None
    figures: Mapping[str, Spread | None]


@dataclass(frozen=True, slots=True)
class Trends:
    """Weeks of a device, the oldest first: evenings with since <= evening < until."""

    device: str
    time_zone: str
    since: date
    until: date
    nights: int
    missing: int
    regularity: float | None
    weeks: tuple[Week, ...]


def trends_in(told: Mapping[str, Any]) -> Trends:
    """Return the weeks that a document tells."""
    return Trends(
        device=told["device"],
        time_zone=told["time_zone"],
        since=date.fromisoformat(told["since"]),
        until=date.fromisoformat(told["until"]),
        nights=told["nights"],
        missing=told["missing"],
        regularity=told["regularity"],
        weeks=tuple(_week(it) for it in told["weeks"]),
    )


def _week(told: Mapping[str, Any]) -> Week:
    return Week(
        monday=date.fromisoformat(told["monday"]),
        nights=told["nights"],
        missing=told["missing"],
        regularity=told["regularity"],
        figures={name: it and Spread(**it) for name, it in told["figures"].items()},
    )
