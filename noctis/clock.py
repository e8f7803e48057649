"""The time that this process tells others."""

import time

from noctis import faults

__all__ = ["now_ns"]


def now_ns() -> int:
    """Return nanoseconds since 1970 by this machine's clock, or by one that is to be wrong."""
    return time.time_ns() + int(faults.shift("clock.read") * 1e9)
