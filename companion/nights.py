"""Nights, found in a device's epochs: a pure function, so that no order of arrival matters.

Presence makes visits, visits make nights:

- a *visit* is a stretch of epochs in bed that lasts VISIT at least; epochs that are empty or
  missing for up to FLICKER do not end it. What is shorter is somebody who sat down.
- a *night* is a stretch of visits with no more than ABSENCE between them, in bed or lost from
  sight, with IN_BED at least of epochs in bed. It begins and ends with an epoch in bed. A nap
  is a night of its own.
- whoever never leaves the bed has a night for each day: it is cut at the local noon that lies
  NOON within a night on both sides. So no night is longer than 40 hours.

A night is closed when the bed was seen empty for ABSENCE without a break, or when nothing more
of it has come for QUIET and its end is further back than ABSENCE. Until then it is open.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from noctis.epoch import EPOCH_SECONDS
from noctis.features import FEATURES
from noctis.hypnogram import MISSING, OUT_OF_BED, UNSTAGED, Hypnogram
from noctis.storage.recordings import Night
from noctis.storage.timeline import NO_STAGE, Codes, Timeline, moment

__all__ = ["ABSENCE", "QUIET", "codes_of", "evening_of", "find", "rows_of"]

FLICKER: Final = timedelta(minutes=2)
VISIT: Final = timedelta(minutes=5)
ABSENCE: Final = timedelta(minutes=45)
IN_BED: Final = timedelta(minutes=20)
NOON: Final = timedelta(hours=8)
QUIET: Final = timedelta(minutes=15)
"""As long as a device may wait before it sends again."""

_SECOND: Final = 1_000_000
_EPOCH: Final = EPOCH_SECONDS * _SECOND
_DAY: Final = timedelta(days=1)
_ZERO: Final = datetime.fromtimestamp(0, UTC)
_ABSENT: Final = np.array([*(feature.missing for feature in FEATURES), 0], np.int16)


def find(timeline: Timeline, zone: ZoneInfo, now: datetime) -> list[Night]:
    """Return the nights in a device's epochs by their start, as they stand ``now``."""
    occupied = _in_visits(timeline.start[timeline.in_bed])
    breaks = np.flatnonzero(np.diff(occupied) > _EPOCH + _us(ABSENCE)) + 1
    parts = [part for stretch in np.split(occupied, breaks) for part in _cut(stretch, zone)]
    return [
        _night(timeline, int(part[0]), int(part[-1]), zone, now)
        for part in parts
        if len(np.unique(part)) * _EPOCH >= _us(IN_BED)
    ]


def evening_of(start: datetime, zone: ZoneInfo) -> date:
    """Return the date of a night that begins at ``start``: days go from noon to noon."""
    local = start.astimezone(zone)
    return local.date() if local.hour >= 12 else local.date() - _DAY  # noqa: PLR2004 - noon


def rows_of(night: Night, epochs: Codes) -> NDArray[np.int16]:
    """Return what stands at each place of a night's hypnogram, shape (n, 16).

    ``epochs``: those from its start to its end. A place without one holds missing codes.
    """
    rows = np.tile(_ABSENT, (len(night.hypnogram), 1))
    first = _us(night.started_at - _ZERO)
    taken, shown = np.unique(_places(epochs.start, first), return_index=True)
    inside = taken < len(rows)
    rows[taken[inside]] = epochs.rows[shown[inside]]
    return rows


def _in_visits(starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sorted ``starts`` of epochs in bed that belong to a visit."""
    breaks = np.flatnonzero(np.diff(starts) > _EPOCH + _us(FLICKER)) + 1
    visits = [it for it in np.split(starts, breaks) if len(it)]
    long = [it for it in visits if it[-1] + _EPOCH - it[0] >= _us(VISIT)]
    return np.concatenate(long) if long else starts[:0]


def _cut(stretch: NDArray[np.int64], zone: ZoneInfo) -> list[NDArray[np.int64]]:
    """Return the parts of a stretch of visits between the noons that cut it."""
    if not len(stretch):
        return []
    first, last = int(stretch[0]) + _us(NOON), int(stretch[-1]) + _EPOCH - _us(NOON)
    noons = [noon for noon in _noons(first, last, zone) if first <= noon <= last]
    return np.split(stretch, np.searchsorted(stretch, noons))


def _noons(first: int, last: int, zone: ZoneInfo) -> Iterator[int]:
    """Yield the local noons of the days from ``first`` to ``last``."""
    day, end = moment(first).astimezone(zone).date(), moment(last).astimezone(zone).date()
    while day <= end:
        noon = datetime.combine(day, time(12), zone)
        yield int(noon.timestamp()) * _SECOND
        day += _DAY


def _night(timeline: Timeline, first: int, last: int, zone: ZoneInfo, now: datetime) -> Night:
    """Return the night from the epoch in bed at ``first`` to the one at ``last``."""
    begin, stop = np.searchsorted(timeline.start, [first, last + _EPOCH])
    inside = slice(int(begin), int(stop))
    places = _places(timeline.start[inside], first)
    size = int(places[timeline.start[inside] == last][0]) + 1
    hypnogram: Hypnogram = np.full(size, MISSING, np.uint8)
    taken, shown = np.unique(places[places < size], return_index=True)
    hypnogram[taken] = codes_of(timeline, inside)[shown]
    models = timeline.model[inside][shown][hypnogram[taken] < OUT_OF_BED]
    end = last + _EPOCH
    closes_at = _closes_at(timeline, inside, end, now)
    return Night(
        state="closed" if closes_at is None else "open",
        evening=evening_of(moment(first), zone),
        time_zone=zone.key,
        started_at=moment(first),
        ended_at=moment(end),
        hypnogram=hypnogram.tobytes(),
        model_id=int(models[-1]) if len(models) else None,
        moved=int(timeline.is_moved[inside][shown].sum()),
        closes_at=closes_at,
    )


def _places(starts: NDArray[np.int64], first: int) -> NDArray[np.int64]:
    """Return the place of each epoch on the night's grid; a restarted device is off it."""
    return (starts - first + _EPOCH // 2) // _EPOCH


def codes_of(timeline: Timeline, part: slice) -> Hypnogram:
    """Return what a hypnogram says of each epoch of a part, as it was staged live."""
    stage = timeline.stage[part]
    staged = np.where(stage == NO_STAGE, UNSTAGED, stage)
    return np.where(timeline.in_bed[part], staged, OUT_OF_BED).astype(np.uint8)


def _closes_at(timeline: Timeline, part: slice, end: int, now: datetime) -> datetime | None:
    """Return when the night closes, None where it has."""
    later = timeline.start[part.stop :]
    seen = np.unique(_places(later[later < end + _us(ABSENCE)], end))
    if len(seen) and len(seen) >= _us(ABSENCE) // _EPOCH:
        return None
    heard = moment(int(timeline.received[part].max()))
    closes_at = max(moment(end) + ABSENCE, heard + QUIET)
    return None if closes_at <= now.astimezone(UTC) else closes_at


def _us(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)
