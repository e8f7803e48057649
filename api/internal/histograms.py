"""Percentiles of a stretch of time, estimated from the buckets of Prometheus's histograms."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from api.internal.scraping import Labels, Scrape

__all__ = ["Histogram", "between", "grown"]

_BOUND: Final = "le"


@dataclass(frozen=True, slots=True)
class Histogram:
    """What was counted up to each bound, in rising order, the last one infinite; their sum."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    total: float

    @property
    def count(self) -> float:
        """How many were counted."""
        return self.counts[-1] if self.counts else 0.0

    def percentile(self, share: float) -> float | None:
        """Return where a share of all lies, as if they lay evenly in their bucket.

        None: nothing was counted, or it lies beyond the last finite bound.
        """
        rank = share * self.count
        below, low = 0.0, 0.0
        for bound, count in zip(self.bounds, self.counts, strict=True):
            if count >= rank and count > below:
                return (
                    None
                    if bound == inf
                    else low + (bound - low) * (rank - below) / (count - below)
                )
            below, low = count, bound
        return None

    def __add__(self, other: "Histogram") -> "Histogram":
        """Return both together; they must have the same bounds."""
        pairs = zip(self.counts, other.counts, strict=True)
        return Histogram(self.bounds, tuple(a + b for a, b in pairs), self.total + other.total)


def between(
    name: str, before: Scrape, after: Scrape, by: Sequence[str] = ()
) -> dict[tuple[str, ...], Histogram]:
    """Return what a process counted between two looks, for each value of the labels ``by``."""
    first, last = _of(name, before, by), _of(name, after, by)
    return {key: _less(made, first.get(key)) for key, made in last.items()}


def grown(name: str, before: Scrape, after: Scrape) -> float:
    """Return by how much a counter grew; of a process that began anew, all that it counted."""
    then, now = before.total(name) or 0.0, after.total(name) or 0.0
    return now - then if now >= then else now


def _less(made: Histogram, earlier: Histogram | None) -> Histogram:
    if earlier is None or earlier.bounds != made.bounds or earlier.count > made.count:
        return made  # it is new, or its process is
    pairs = zip(made.counts, earlier.counts, strict=True)
    return Histogram(made.bounds, tuple(a - b for a, b in pairs), made.total - earlier.total)


def _of(name: str, told: Scrape, by: Sequence[str]) -> dict[tuple[str, ...], Histogram]:
    buckets: dict[tuple[str, ...], dict[float, float]] = {}
    for labels, count in told.samples.get(f"{name}_bucket", {}).items():
        bound = float(dict(labels)[_BOUND])
        mine = buckets.setdefault(_key(labels, by), {})
        mine[bound] = mine.get(bound, 0.0) + count
    totals = _totals(told.samples.get(f"{name}_sum", {}).items(), by)
    return {
        key: Histogram(
            tuple(sorted(mine)),
            tuple(mine[bound] for bound in sorted(mine)),
            totals.get(key, 0.0),
        )
        for key, mine in buckets.items()
    }


def _totals(
    sums: Iterable[tuple[Labels, float]], by: Sequence[str]
) -> Mapping[tuple[str, ...], float]:
    totals: dict[tuple[str, ...], float] = {}
    for labels, value in sums:
        key = _key(labels, by)
        totals[key] = totals.get(key, 0.0) + value
    return totals


def _key(labels: Labels, by: Sequence[str]) -> tuple[str, ...]:
    known = dict(labels)
    return tuple(known.get(it, "") for it in by)
