"""How old epochs are at a place of the line, by their device's clock.

An epoch that ends is sent at once, so its age is the time from its publication; a device whose
clock is wrong or plays a night faster than it was must not spoil the measure of the others.
"""

import time
from collections.abc import Iterable
from typing import Final

from prometheus_client import Histogram

__all__ = ["AGES", "observe"]

AGES: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 900, 3600)
AHEAD_S: Final = 5.0
"""A clock that is further ahead is wrong; one that is less so made an epoch of no age."""


def observe(histogram: Histogram, ends_s: Iterable[float]) -> None:
    """Count epochs that ended at these moments, in unix seconds, and are here now."""
    now = time.time()
    for end_s in ends_s:
        age = now - end_s
        if -AHEAD_S <= age <= AGES[-1]:
            histogram.observe(max(age, 0.0))
