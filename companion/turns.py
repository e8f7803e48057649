"""Work in turns, for ever: what fails is tried again after a pause that grows."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from prometheus_client import Counter, Gauge

from noctis import faults, pauses
from noctis.errors import NoctisError

__all__ = ["endlessly"]

FIRST_PAUSE_S: Final = 0.5
LAST_PAUSE_S: Final = 60.0

_log = structlog.get_logger(__name__)
_failures = Counter(
    "noctis_companion_failures_total", "Turns that failed and are tried again.", ["part"]
)
_in_a_row = Gauge(
    "noctis_companion_failures_in_a_row",
    "Turns that failed since the last that did not.",
    ["part"],
)
_last_success = Gauge(
    "noctis_companion_success_timestamp_seconds", "When a turn last came to its end.", ["part"]
)


async def endlessly(part: str, turn: Callable[[], Awaitable[bool]], *, pause_s: float) -> None:
    """Do ``turn`` for ever: again at once while it returns True, else after ``pause_s``.

    A turn that raises ends nothing: it is logged, counted under the name ``part``, and
    repeated after a pause that doubles up to a minute.
    """
    failures = 0
    while True:
        try:
            await faults.apoint("companion.turn")
            is_busy = await turn()
        except Exception as error:  # noqa: BLE001 - one part's failure must not end the others
            _failures.labels(part).inc()
            is_known = isinstance(error, NoctisError | TimeoutError)
            _log.warning("turn_failed", part=part, error=repr(error), exc_info=not is_known)
            pause = pauses.after(error, failures, first_s=FIRST_PAUSE_S, last_s=LAST_PAUSE_S)
            failures += 1
            _in_a_row.labels(part).set(failures)
        else:
            _last_success.labels(part).set_to_current_time()
            pause = 0.0 if is_busy else pause_s
            failures = 0
            _in_a_row.labels(part).set(0)
        await asyncio.sleep(pause)
