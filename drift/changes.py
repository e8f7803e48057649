"""Changes of a group of devices against themselves: ADWIN on one value an evening.

What comes in (each channel's mean and missing share) and what the model says (its confidence,
the stages' shares) is taken night by night, less what the same device's first nights were. So
people may differ as they like, and a small step that all devices take on one evening is seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from drift.adwin import first_alarm
from noctis.features import FEATURES, NAMES
from noctis.histograms import PLACES, NightSummary, known, missing
from noctis.stages import COUNT as STAGES
from noctis.stages import LABELS

__all__ = ["FIRST_NIGHTS", "STREAMS", "Change", "find"]

FIRST_NIGHTS: Final = 7
"""A device's nights that say what is usual for it."""
DELTA: Final = 0.05
SHORTEST: Final = 3
"""Of ADWIN; ``bench.drift`` says what these make of false alarms and of the delay."""
FEWEST: Final = 20
"""Values of a channel that its mean needs, and stages that their shares need."""
_LARGEST: Final = 8.0
_FREEDOM: Final = 6

STREAMS: Final = (
    *NAMES,
    *(f"{name} missing" for name in NAMES),
    *(f"stage {label}" for label in LABELS),
    "confidence",
)
_FLOORS: Final = np.array(
    [*(0.5 for _ in FEATURES), *(0.02 for _ in FEATURES), *(0.03 for _ in LABELS), 0.01]
)
"""The least standard deviation from night to night: half a code, shares of a night."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Change:
    """A stream whose mean is another ``since`` an evening, ``told`` by that of an evening.

    ``by``: how much, in standard deviations of one device from night to night.
    """

    stream: str
    since: date
    told: date
    by: float


def find(
    nights: Sequence[NightSummary], since: Mapping[str, date] = MappingProxyType({})
) -> list[Change] | None:
    """Return the changes in nights of a group of devices, by their first evening.

    ``since``: streams whose former change is known, and the evening from which on another one
    is looked for. None where the nights are too few to know what is usual.
    """
    begins = np.array([since.get(stream, date.min).toordinal() for stream in STREAMS])
    deviations = _deviations(_by_device(nights), begins)
    if deviations is None:
        return None
    evenings = sorted(deviations)
    found = []
    for column, stream in enumerate(STREAMS):
        days = [day for day in evenings if np.isfinite(deviations[day][:, column]).any()]
        tables = [deviations[day][:, column] for day in days]
        means = np.array([np.nanmean(column_of) for column_of in tables])
        roots = np.sqrt([np.isfinite(column_of).sum() for column_of in tables])
        alarm = first_alarm(
            np.clip(means * roots, -_LARGEST, _LARGEST), delta=DELTA, shortest=SHORTEST
        )
        if alarm is not None:
            by = means[alarm.since :].mean() - means[: alarm.since].mean()
            found.append(Change(stream, days[alarm.since], days[alarm.told], round(by, 2)))
    return sorted(found, key=lambda it: (it.since, -abs(it.by)))


def _by_device(nights: Sequence[NightSummary]) -> dict[str, list[tuple[date, Numbers]]]:
    devices: dict[str, list[tuple[date, Numbers]]] = {}
    for night in sorted(nights, key=lambda it: (it.device, it.evening)):
        devices.setdefault(night.device, []).append((night.evening, _values(night)))
    return devices


def _deviations(
    devices: Mapping[str, Sequence[tuple[date, Numbers]]], begins: NDArray[np.int64]
) -> dict[date, Numbers] | None:
    """Return each evening's nights, shape (k, streams), as deviations from the usual.

    In standard deviations from night to night, as the first nights of all devices have them.
    ``begins``, shape (streams,): since which evening, an ordinal, a stream is looked at.
    """
    first, rows = [], []
    for nights in devices.values():
        if len(nights) <= FIRST_NIGHTS:
            continue
        table = np.array([values for _, values in nights])
        first.append(table[:FIRST_NIGHTS] - _mean(table[:FIRST_NIGHTS]))
        days = np.array([day.toordinal() for day, _ in nights])
        counted = days[:, None] >= begins
        away = np.where(counted, table, np.nan) - _usual(table, counted)
        rows += [(day, values) for (day, _), values in zip(nights, away, strict=True)]
    if not first:
        return None
    scale = _scale(np.concatenate(first), len(first))
    evenings: dict[date, list[Numbers]] = {}
    for day, row in rows:
        evenings.setdefault(day, []).append(row / scale)
    return {day: np.array(table) for day, table in evenings.items()}


def _usual(table: Numbers, counted: NDArray[np.bool_]) -> Numbers:
    """Return the mean of a device's first nights that count; NaN where there are no more."""
    first = counted & (counted.cumsum(axis=0) <= FIRST_NIGHTS)
    usual = _mean(np.where(first, table, np.nan))
    return np.where(counted.sum(axis=0) > FIRST_NIGHTS, usual, np.nan)


def _scale(residuals: Numbers, devices: int) -> Numbers:
    """Return the standard deviations from night to night, shape (streams,)."""
    counts = np.isfinite(residuals).sum(axis=0)
    squares = np.nansum(residuals**2, axis=0)
    freedom = np.maximum(counts - devices, _FREEDOM)
    scale: Numbers = np.maximum(np.sqrt(squares / freedom), _FLOORS)
    return scale


def _mean(table: Numbers) -> Numbers:
    counts = np.isfinite(table).sum(axis=0)
    mean: Numbers = np.nansum(table, axis=0) / np.where(counts, counts, np.nan)
    return mean


def _values(night: NightSummary) -> Numbers:
    """Return a night's value of each stream, NaN where it has none."""
    means = np.full(len(FEATURES), np.nan)
    for channel, place in enumerate(PLACES):
        counts = known(night.histograms, channel)
        if counts.sum() >= FEWEST:
            means[channel] = counts @ np.arange(place.stop - place.start - 1) / counts.sum()
    gone = np.array([missing(night.histograms, channel) for channel in range(len(FEATURES))])
    shares = np.full(STAGES, np.nan)
    if night.stages.sum() >= FEWEST:
        shares = night.stages / night.stages.sum()
    confidence = np.nan if night.confidence is None else night.confidence
    return np.concatenate((means, gone, shares, [confidence]))
