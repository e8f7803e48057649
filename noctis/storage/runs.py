"""The verdict on runs' clocks, and streams as people and the database write them."""

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from noctis.slot import Run

__all__ = ["UNKNOWN", "microseconds", "signed", "unsigned", "verdict", "verdicts"]

UNKNOWN: Final = np.iinfo(np.int64).min
"""The time base of a run without a usable clock."""

EARLIEST: Final = datetime(2025, 1, 1, tzinfo=UTC)
AHEAD: Final = timedelta(days=1)
# Twice what a device's flash holds: an older time is a wrong clock's, not an old epoch's, and
# believing it would dispose of an epoch that was just made.
BEHIND: Final = timedelta(days=400)


def signed(stream: int) -> int:
    """Return a stream's 64 bits as the database keeps them."""
    return stream - (1 << 64) if stream >= 1 << 63 else stream


def unsigned(stream: int) -> int:
    """Return a stream's 64 bits as devices and people write them."""
    return stream & ((1 << 64) - 1)


def verdict(run: Run, now: datetime) -> datetime | None:
    """Return the time base of a run that is first received ``now``; None: no usable clock."""
    if run.utc_s == 0:
        return None
    utc = datetime.fromtimestamp(run.utc_s, UTC)
    return utc if max(EARLIEST, now - BEHIND) <= utc <= now + AHEAD else None


def verdicts(runs: NDArray[np.void], now: datetime) -> NDArray[np.int64]:
    """Return the time bases of runs (n,), in microseconds since 1970, or UNKNOWN."""
    utc = 1_000_000 * runs["utc_s"]
    earliest = microseconds(max(EARLIEST, now - BEHIND))
    usable = (utc != 0) & (earliest <= utc) & (utc <= microseconds(now + AHEAD))
    return np.where(usable, utc, UNKNOWN)


def microseconds(moment: datetime) -> int:
    """Return a moment as microseconds since 1970."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
