"""The Sleep Regularity Index: how alike the same times of two days in a row are.

Source: Phillips et al. 2017, Scientific Reports 7:3216, and Windred et al. 2024, Sleep 47:
zsad253. ``SRI = 200 * p - 100``, where p is the share of epochs that are asleep or awake like
the epoch at the same time of the next day: 100 for days that repeat exactly, 0 for sleep by
chance, below 0 where day and night change places.

Nothing is guessed: a pair of epochs counts where both are known. A pair of days counts where
KNOWN of its epochs do, and without DAYS_LEAST such pairs there is no index.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from noctis.epoch import EPOCH_SECONDS
from noctis.hypnogram import OUT_OF_BED, Hypnogram
from noctis.stages import Stage

__all__ = ["ASLEEP", "AWAKE", "DAY", "UNKNOWN", "Days", "index"]

UNKNOWN: Final = -1
AWAKE: Final = 0
ASLEEP: Final = 1
DAY: Final = 24 * 3600 // EPOCH_SECONDS
"""Epochs of a day by the clock on the wall."""

KNOWN: Final = 0.75
DAYS_LEAST: Final = 4

_QUARTER: Final = 900
"""Seconds between moments at which a time zone may change its offset."""

_QUARTERS: Final = 96
_HOUR: Final = DAY // 24
_A_DAY: Final = timedelta(days=1)

_ZERO: Final = datetime.fromtimestamp(0, UTC)


def index(days: NDArray[np.int8]) -> float | None:
    """Return the SRI, -100 to 100, of days in a row; None where too little is known.

    ``days``: shape (n, DAY), UNKNOWN, AWAKE or ASLEEP for each 30 s of the local day.
    """
    before, after = days[:-1], days[1:]
    is_known = (before != UNKNOWN) & (after != UNKNOWN)
    is_counted = is_known & (is_known.mean(axis=1, keepdims=True) >= KNOWN)
    if int(is_counted.any(axis=1).sum()) < DAYS_LEAST:
        return None
    return float(200 * (before == after)[is_counted].mean() - 100)


class Days:
    """What is known of each 30 s of local days, which begin at noon; the first is ``since``.

    The clock on the wall tells where an epoch stands: the hour that a change to summer time
    leaves out is unknown, and of the hour that comes twice the second counts.
    """

    def __init__(self, since: date, count: int, zone: ZoneInfo) -> None:
        self.states: NDArray[np.int8] = np.full((count, DAY), UNKNOWN, np.int8)
        noon = datetime(since.year, since.month, since.day, 12, tzinfo=UTC)
        self._noon = _seconds(noon)
        self._first = _seconds(noon - 2 * _A_DAY) // _QUARTER
        self._offsets = _offsets(noon - 2 * _A_DAY, count + 4, zone)

    def watched(self, hours: Sequence[datetime]) -> None:
        """Say in which hours the bed was watched: nobody is asleep in them, but for nights."""
        begins = np.array([_seconds(it) for it in hours], np.int64)
        inside = EPOCH_SECONDS * np.arange(_HOUR, dtype=np.int64)
        utc = (begins[:, None] + inside).reshape(-1)
        self._put(utc, np.full(len(utc), AWAKE, np.int8))

    def night(self, began: datetime, hypnogram: Hypnogram) -> None:
        """Say what a night's hypnogram says: without a stage, nothing is known."""
        states = np.full(len(hypnogram), UNKNOWN, np.int8)
        states[(hypnogram == Stage.WAKE) | (hypnogram == OUT_OF_BED)] = AWAKE
        states[(hypnogram > Stage.WAKE) & (hypnogram <= Stage.REM)] = ASLEEP
        utc = _seconds(began) + EPOCH_SECONDS * np.arange(len(states), dtype=np.int64)
        self._put(utc, states)

    def _put(self, utc: NDArray[np.int64], states: NDArray[np.int8]) -> None:
        quarters = np.clip(utc // _QUARTER - self._first, 0, len(self._offsets) - 1)
        places = (utc + self._offsets[quarters] - self._noon) // EPOCH_SECONDS
        is_inside = (places >= 0) & (places < self.states.size)
        self.states.reshape(-1)[places[is_inside]] = states[is_inside]


def _seconds(at: datetime) -> int:
    return (at - _ZERO) // timedelta(seconds=1)


def _offsets(since: datetime, days: int, zone: ZoneInfo) -> NDArray[np.int64]:
    """Return by how many seconds a zone's clock is ahead of UTC in each quarter of an hour."""
    found = np.empty((days, _QUARTERS), np.int64)
    for day in range(days):
        begin = since + day * _A_DAY
        found[day] = _offset(begin, zone)
        if _offset(begin + _A_DAY, zone) != found[day, 0]:
            quarters = range(_QUARTERS)
            found[day] = [_offset(begin + timedelta(minutes=15 * it), zone) for it in quarters]
    return found.reshape(-1)


def _offset(at: datetime, zone: ZoneInfo) -> int:
    return (at.astimezone(zone).utcoffset() or timedelta(0)) // timedelta(seconds=1)
