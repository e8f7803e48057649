"""Pauses between tries: doubling, with jitter, or as long as the one who refused says."""

import random

from noctis.errors import StorageUnavailableError

__all__ = ["after", "jittered"]


def jittered(attempt: int, *, first_s: float, last_s: float) -> float:
    """Return the pause after failure ``attempt`` (0, 1, …): doubling, capped, 50 to 100 %."""
    pause = min(last_s, first_s * 2.0 ** min(attempt, 32))
    return pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing


def after(error: Exception, attempt: int, *, first_s: float, last_s: float) -> float:
    """Return the pause after ``error``: until its next try is due, where it says so.

    A pause of one's own on top of the breaker's would only put off what is back already.
    """
    due_s = error.retry_after_s if isinstance(error, StorageUnavailableError) else 0.0
    return due_s or jittered(attempt, first_s=first_s, last_s=last_s)
