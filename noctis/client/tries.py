"""Tries of a request that may be sent again: when the next is due, and when it is enough."""

import time
from http import HTTPStatus
from typing import Any, Final

import httpx

from noctis.client.errors import (
    AWAY,
    ClientError,
    ProblemError,
    error_of,
    problem_in,
    retry_after,
    unreachable,
)
from noctis.pauses import jittered

__all__ = ["Tries"]

MOST: Final = 5
FIRST_S: Final = 0.5
LAST_S: Final = 10.0
_BUSY: Final = (HTTPStatus.TOO_MANY_REQUESTS, *AWAY)


class Tries:
    """What became of a request so far; ``within_s`` bounds the pauses between its tries."""

    def __init__(self, url: str, *, within_s: float) -> None:
        self._url = url
        self._ends_at = time.monotonic() + within_s
        self._failures = 0

    def pause(self, outcome: httpx.Response | httpx.TransportError) -> float | None:
        """Return the seconds until the next try; None for a good response.

        Raises ClientError where another try would not help, or comes too late.
        """
        if isinstance(outcome, httpx.Response) and outcome.is_success:
            return None
        error: ClientError
        asked_s, can_help = None, True
        if isinstance(outcome, httpx.TransportError):
            error = unreachable(outcome, self._url)
        else:
            error, asked_s = error_of(outcome), retry_after(outcome)
            can_help = outcome.status_code in _BUSY
        seconds = jittered(self._failures, first_s=FIRST_S, last_s=LAST_S)
        seconds = max(seconds, asked_s or 0.0)
        self._failures += 1
        if not can_help or self._failures == MOST or self._is_late(seconds):
            raise error from (outcome if isinstance(outcome, Exception) else None)
        return seconds

    def document(self, response: httpx.Response) -> dict[str, Any]:
        """Return the object that a good response holds."""
        told = problem_in(response)
        if not told:
            message = f"{self._url} answers, but not as a facade does"
            raise ProblemError(message, response)
        return told

    def _is_late(self, seconds: float) -> bool:
        return time.monotonic() + seconds > self._ends_at
