"""A circuit breaker: what is away is left alone, and asked now and then whether it is back.

Closed, everything goes through. After some failures in a row it opens: calls fail at once,
for a time that doubles from one failed probe to the next, with jitter, up to a cap. When the
time is over it lets a single caller probe (half-open); the probe's outcome closes it, or
opens it again.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final
from weakref import WeakSet

import structlog
from prometheus_client import Counter, Gauge

from noctis.errors import NoctisError

__all__ = ["Breaker", "BreakerOpenError", "State", "Ticket", "known"]

FAILURES: Final = 3
FIRST_S: Final = 0.25
LAST_S: Final = 2.0

_log = structlog.get_logger(__name__)
_state = Gauge(
    "noctis_breaker_state",
    "0: closed, 1: half-open (a probe is on its way), 2: open.",
    ["breaker"],
    multiprocess_mode="max",
)
_opened = Counter("noctis_breaker_opened_total", "Times that it opened.", ["breaker"])


_known: "Final[WeakSet[Breaker]]" = WeakSet()


class State(IntEnum):
    """What a breaker lets through: everything, one probe, or nothing."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class BreakerOpenError(NoctisError):
    """The call was not tried; ``retry_after_s`` tells when the next one will be."""

    def __init__(self, name: str, retry_after_s: float) -> None:
        super().__init__(f"the {name} is away; the next try is due in {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Ticket:
    """A call that was let through; a ``probe`` is the only one of its time."""

    period: int
    probe: bool


class Breaker:
    """Guards calls to something called ``name``; for any number of threads.

    It opens after ``failures`` in a row and stays open for ``first_s``, twice as long after
    each probe that fails, ``last_s`` at most; of each, 50 to 100 % at random, so that many
    processes do not come back at one moment. Where nothing is heard of a probe for
    ``probe_s``, another may be tried. ``clock`` returns seconds that never go back.
    """

    def __init__(
        self,
        name: str,
        *,
        failures: int = FAILURES,
        first_s: float = FIRST_S,
        last_s: float = LAST_S,
        probe_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        share: Callable[[], float] = lambda: random.uniform(0.5, 1.0),  # noqa: S311 - spreads
    ) -> None:
        self.name = name
        self._failures, self._first_s, self._last_s = failures, first_s, last_s
        self._probe_s = probe_s
        self._clock, self._share = clock, share
        self._lock = threading.Lock()
        self._state = State.CLOSED
        self._period = 0
        self._in_a_row = 0
        self._attempts = 0
        self._due = 0.0
        self._since = time.time()
        self._show()
        _known.add(self)

    @property
    def state(self) -> State:
        """What it lets through now."""
        return self._state

    @property
    def since(self) -> float:
        """Since when it has been closed, or not, in seconds since 1970."""
        return self._since

    def check(self) -> None:
        """Raise BreakerOpenError where ``enter`` would; nothing is begun."""
        with self._lock:
            self._refuse_early()

    def enter(self) -> Ticket:
        """Return a ticket for one call, whose outcome is to be told; or BreakerOpenError."""
        with self._lock:
            self._refuse_early()
            if self._state is State.CLOSED:
                return Ticket(self._period, probe=False)
            self._move(State.HALF_OPEN, self._probe_s)
            return Ticket(self._period, probe=True)

    def succeed(self, ticket: Ticket) -> None:
        """Say that the call was answered, be it with a refusal."""
        with self._lock:
            if ticket.period != self._period:
                return  # of an earlier time: says nothing about now
            self._in_a_row = self._attempts = 0
            if ticket.probe:
                self._move(State.CLOSED, 0.0)
                _log.info("breaker_closed", breaker=self.name)

    def fail(self, ticket: Ticket) -> None:
        """Say that nobody answered the call."""
        with self._lock:
            if ticket.period != self._period:
                return
            self._in_a_row += 1
            if ticket.probe or self._in_a_row >= self._failures:
                self._open()

    def _refuse_early(self) -> None:
        left = self._due - self._clock()
        if self._state is State.CLOSED or left <= 0.0:
            return
        probing = self._state is State.HALF_OPEN
        raise BreakerOpenError(self.name, min(left, self._first_s) if probing else left)

    def _open(self) -> None:
        pause = min(self._last_s, self._first_s * 2.0 ** min(self._attempts, 32))
        if self._state is State.CLOSED:
            _opened.labels(self.name).inc()
            _log.warning("breaker_opened", breaker=self.name, failures=self._in_a_row)
        self._attempts += 1
        self._in_a_row = 0
        self._move(State.OPEN, pause * self._share())

    def _move(self, state: State, for_s: float) -> None:
        """Go over to ``state``; calls of the time before have no say from now on."""
        self._period += 1
        self._due = self._clock() + for_s
        if State.CLOSED in {state, self._state}:
            self._since = time.time()
        self._state = state
        self._show()

    def _show(self) -> None:
        _state.labels(self.name).set(self._state)


def known() -> list[Breaker]:
    """Return the breakers of this process, by name."""
    return sorted(_known, key=lambda it: it.name)
