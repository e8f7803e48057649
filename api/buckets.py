"""Token buckets, in memory: a burst at once, then a steady rate."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from math import ceil, floor
from typing import Final

__all__ = ["Buckets", "Rate", "Spent"]

MOST: Final = 20_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and ``per_second`` more from then on."""

    burst: int
    per_second: float

    @property
    def window_s(self) -> float:
        """How long an empty bucket takes to be full."""
        return self.burst / self.per_second

    def shared(self, by: int) -> "Rate":
        """Return the share of one of so many who give out this rate together."""
        return Rate(ceil(self.burst / by), self.per_second / by)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a bucket says: how many are left, and in how many seconds to come again (0: now)."""

    left: int
    wait_s: float


class Buckets:
    """A bucket for each key. Of more than ``most`` keys those unused longest are forgotten.

    A bucket is one number, the moment when it will be full (the generic cell rate algorithm).
    """

    def __init__(
        self, *, most: int = MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._clock = clock
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def spend(self, key: Hashable, rate: Rate, cost: int = 1) -> Spent:
        """Take ``cost`` out of a bucket, or nothing where it holds less; tell what is left.

        What costs more than a bucket holds waits for a full one and leaves a debt.
        """
        now = self._clock()
        full_at = max(self._full_at.get(key, now), now)
        room = (now - full_at) + rate.window_s
        wait_s = min(cost / rate.per_second, rate.window_s) - room
        if wait_s > 0:
            self._full_at.move_to_end(key)  # a wait is due to what was spent
            return Spent(max(floor(room * rate.per_second), 0), wait_s)
        self._full_at[key] = full_at + cost / rate.per_second
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        left = floor((room - cost / rate.per_second) * rate.per_second + 1e-9)
        return Spent(max(left, 0), 0.0)

    def give_back(self, key: Hashable, rate: Rate, cost: int = 1) -> None:
        """Put back what was spent."""
        if key in self._full_at:
            self._full_at[key] -= cost / rate.per_second
