"""Work on the disk or the processor, out of the event loop's way and with a deadline."""

from collections.abc import Callable
from typing import Final, TypeVar

import anyio
import anyio.to_thread

__all__ = ["in_thread", "loading"]

T = TypeVar("T")
SECONDS: Final = 10.0
THREADS: Final = 4

_limiter: Final = anyio.CapacityLimiter(THREADS)
_loader: Final = anyio.CapacityLimiter(1)


async def in_thread(function: Callable[[], T], *, within_s: float = SECONDS) -> T:
    """Return ``function()``, run in one of a few threads; raises TimeoutError when it is late.

    A thread that is given up finishes what it began.
    """
    return await _run(function, _limiter, within_s)


async def loading(function: Callable[[], T], *, within_s: float = SECONDS) -> T:
    """Return ``function()``, which loads a model: one at a time, and no read waits for it."""
    return await _run(function, _loader, within_s)


async def _run(function: Callable[[], T], limiter: anyio.CapacityLimiter, within_s: float) -> T:
    with anyio.fail_after(within_s):
        return await anyio.to_thread.run_sync(function, abandon_on_cancel=True, limiter=limiter)
