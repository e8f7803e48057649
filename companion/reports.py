"""What devices say of themselves, kept for whoever asks what a device holds."""

from collections.abc import Collection, Mapping
from typing import Final

from companion.turns import endlessly
from noctis.identity import DeviceId
from noctis.status import Status
from noctis.storage import certificates, reports
from noctis.storage.database import Connection, Database

__all__ = ["Reports"]

STORE_S: Final = 1.0
AT_ONCE: Final = 1000


class Reports:
    """Keeps the newest status of each device; a burst of a fleet's goes in few transactions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[DeviceId, Status] = {}
        self._repeated: set[DeviceId] = set()

    def note(self, device: DeviceId, status: Status, *, is_repeated: bool = False) -> None:
        """Take a status; only the newest one counts.

        ``is_repeated``: the broker kept it. It is no sign of life where it is known already.
        """
        self._waiting[device] = status
        (self._repeated.add if is_repeated else self._repeated.discard)(device)

    async def run(self) -> None:
        """Store what came, for ever."""
        await endlessly("reports", self._turn, pause_s=STORE_S)

    async def _turn(self) -> bool:
        taken = dict(list(self._waiting.items())[:AT_ONCE])
        repeated = self._repeated & taken.keys()
        if taken:
            await self._database.call(lambda it: _keep(it, taken, repeated))
        for device, status in taken.items():
            if self._waiting.get(device) is status:
                del self._waiting[device]
                self._repeated.discard(device)
        return bool(self._waiting)


def _keep(
    connection: Connection, taken: Mapping[DeviceId, Status], repeated: Collection[DeviceId]
) -> None:
    """Store statuses; a device that came with a new certificate has no use for the old one."""
    reports.store(connection, taken, repeated=repeated)
    for device, status in taken.items():
        if status.certificate and status.state == "online":
            certificates.used(device.tenant, connection, device.device, status.certificate)
