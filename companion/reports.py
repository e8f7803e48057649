"""What devices say of themselves, kept for whoever asks what a device holds."""

from typing import Final

from companion.turns import endlessly
from noctis.identity import DeviceId
from noctis.status import Status
from noctis.storage import reports
from noctis.storage.database import Database

__all__ = ["Reports"]

STORE_S: Final = 1.0
AT_ONCE: Final = 1000


class Reports:
    """Keeps the newest status of each device; a burst of a fleet's goes in few transactions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[DeviceId, Status] = {}

    def note(self, device: DeviceId, status: Status) -> None:
        """Take a status; only the newest one counts."""
        self._waiting[device] = status

    async def run(self) -> None:
        """Store what came, for ever."""
        await endlessly("reports", self._turn, pause_s=STORE_S)

    async def _turn(self) -> bool:
        taken = dict(list(self._waiting.items())[:AT_ONCE])
        if taken:
            await self._database.call(lambda it: reports.store(it, taken))
        for device, status in taken.items():
            if self._waiting.get(device) is status:
                del self._waiting[device]
        return bool(self._waiting)
