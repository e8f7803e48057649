"""Of what a description of a dashboard is made.

A query that is ``rare`` has no data while nothing of its kind has happened; all others have
some on every platform that runs, which a test asks a real Prometheus.
"""

from dataclasses import dataclass
from typing import Final, Literal

__all__ = [
    "RATE",
    "Dashboard",
    "Panel",
    "Query",
    "Row",
    "age",
    "quantiles",
    "rate",
]

RATE: Final = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Query:
    """An expression of PromQL and what its series are called."""

    expression: str
    legend: str = ""
    rare: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """A picture: what it shows, why one looks at it, in which unit (Grafana's names)."""

    title: str
    why: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Literal["timeseries", "stat"] = "timeseries"
    bad_from: float | None = None
    """From where on a value is shown in red."""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels side by side under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page of pictures; ``uid`` is its file's name and its address."""

    uid: str
    title: str
    why: str
    rows: tuple[Row, ...]


def rate(metric: str, by: str = "", *, legend: str = "", rare: bool = False) -> Query:
    """Return how often something is counted in a second."""
    grouped = f" by ({by})" if by else ""
    told = legend or (f"{{{{{by}}}}}" if by else "")
    return Query(f"sum{grouped}(rate({metric}[{RATE}]))", told, rare)


def quantiles(metric: str, name: str, *, rare: bool = False) -> tuple[Query, ...]:
    """Return the median and the slowest hundredth of a histogram."""
    rates = f"sum by (le) (rate({metric}_bucket[{RATE}]))"
    return tuple(
        Query(f"histogram_quantile({share}, {rates})", f"{name} p{100 * share:g}", rare)
        for share in (0.5, 0.99)
    )


def age(metric: str, legend: str, *, rare: bool = False) -> Query:
    """Return the time since the moment that a metric tells."""
    return Query(f"time() - {metric}", legend, rare)
