"""Lines of devices on their way into the database, no faster than a device may send them."""

import time
from typing import Final

from prometheus_client import Counter

from noctis.identity import DeviceId
from noctis.status import LogLines
from noctis.storage import logs
from noctis.storage.database import Database

__all__ = ["Logs"]

BURST: Final = 12
PAUSE_S: Final = 4.0
"""A device that keeps to the protocol sends a message of lines every 5 s at most."""

_stored = Counter("noctis_log_lines_total", "Lines of devices that were stored.")
_refused = Counter("noctis_log_messages_refused_total", "Messages of lines that came too fast.")


class Logs:
    """Stores what devices say, a message at a time.

    Lines are for people: those that come while the database is away are lost.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._full_at: dict[DeviceId, float] = {}  # a bucket's tokens, as the time it is full

    async def take(self, device: DeviceId, lines: LogLines) -> None:
        """Store lines of a device; pass them over where it says too much."""
        if not self._may(device, time.monotonic()):
            _refused.inc()
            return
        if await self._database.call(
            lambda it: logs.store(device.tenant, it, device.device, lines)
        ):
            _stored.inc(len(lines.lines))

    def _may(self, device: DeviceId, now: float) -> bool:
        full_at = max(self._full_at.get(device, now), now) + PAUSE_S
        if full_at - now > BURST * PAUSE_S:
            return False
        self._full_at[device] = full_at
        return True
