"""Tells apps which devices there are, how each is, and that the platform is there.

All of it is retained (``companion.shelf``): an app that comes has it at once. Home Assistant
needs no word of its own when it starts, and so may write nothing on the broker.
"""

import json
from typing import Final

from companion import discovery
from companion.shelf import Shelf
from companion.turns import endlessly
from noctis import topics
from noctis.identity import DeviceId
from noctis.mqtt import Message
from noctis.status import Status
from noctis.storage import roster
from noctis.storage.database import Database
from noctis.topics import shard_of

__all__ = ["OFFLINE", "ONLINE", "Announcing", "mirrored"]

LOOK_S: Final = 1.0
ONLINE: Final = b'{"schema_version":1,"state":"online"}'
OFFLINE: Final = b'{"schema_version":1,"state":"offline"}'
_PRIVATE: Final = {"certificate"}


class Announcing:
    """Keeps the shelf of some shards' devices, and of the tenants whose name is in them.

    ``service``: the topic on which the broker says that this companion is gone.
    """

    def __init__(
        self,
        database: Database,
        shelf: Shelf,
        shards: frozenset[int],
        *,
        service: str,
    ) -> None:
        self._database = database
        self._shelf = shelf
        self._shards = shards
        self._service = service
        self._mark: roster.Mark | None = None
        self._devices: frozenset[DeviceId] = frozenset()
        self._tenants: frozenset[str] = frozenset()
        self._statuses: dict[DeviceId, Status] = {}
        self._found: set[str] = set()

    async def run(self) -> None:
        """Work until cancelled."""
        self._shelf.put(self._service, ONLINE)
        await endlessly("announcing", self.turn, pause_s=LOOK_S)

    def status(self, device: DeviceId, status: Status) -> None:
        """Take what a device says of itself; only the newest counts."""
        if device in self._devices:
            self._shelf.put(topics.device_status(device), mirrored(status))
        else:
            self._statuses[device] = status  # of one that the next look finds, or of nobody's

    def hear(self, message: Message) -> None:
        """Take what the broker retains, or is told to retain, of these shards."""
        topic = message.topic
        device, tenant = topics.device_of_app(topic), topics.tenant_of_status(topic)
        is_mine = shard_of(device) in self._shards if device else self._is_mine(tenant)
        if is_mine or topic == self._service:
            self._shelf.hear(message)
            self._found.add(topic)

    async def turn(self) -> bool:
        """Look which devices there are; nothing waits then."""
        mark = await self._database.call(roster.mark)
        if mark != self._mark:
            found = await self._database.call(roster.read)
            self._show({it for it in found if shard_of(it) in self._shards})
            self._greet({it.tenant for it in found})
            self._mark = mark
        self._clear_strangers()
        return False

    async def farewell(self) -> None:
        """Say that the platform goes: the broker does so only where it goes without a word."""
        for topic in (*map(topics.tenant_status, self._tenants), self._service):
            self._shelf.put(topic, OFFLINE)
        await self._shelf.flush()

    def _show(self, devices: set[DeviceId]) -> None:
        for gone in self._devices - devices:
            self._clear(gone)
        for device in devices - self._devices:
            body = discovery.payload(device, self._service)
            self._shelf.put(topics.discovery(device), body)
        self._devices = frozenset(devices)
        heard, self._statuses = self._statuses, {}
        for device in devices & heard.keys():
            self._shelf.put(topics.device_status(device), mirrored(heard[device]))

    def _greet(self, tenants: set[str]) -> None:
        mine = {it for it in tenants if self._is_mine(it)}
        for tenant in mine - self._tenants:
            self._shelf.put(topics.tenant_status(tenant), ONLINE)
        for tenant in self._tenants - mine:
            self._shelf.put(topics.tenant_status(tenant), b"")
        self._tenants = frozenset(mine)

    def _clear_strangers(self) -> None:
        """Clear what the broker retains of devices that are no more, from another life too."""
        found, self._found = self._found, set()
        for topic in found:
            device, tenant = topics.device_of_app(topic), topics.tenant_of_status(topic)
            if device and device not in self._devices:
                self._clear(device)
            if tenant and tenant not in self._tenants:
                self._shelf.put(topic, b"")

    def _is_mine(self, tenant: str | None) -> bool:
        return tenant is not None and shard_of(DeviceId(tenant, "all")) in self._shards

    def _clear(self, device: DeviceId) -> None:
        self._shelf.put(topics.discovery(device), b"")
        self._shelf.put(topics.device_status(device), b"")


def mirrored(status: Status) -> bytes:
    """Return what apps are told of a device's status, as JSON."""
    told = {"schema_version": 1, **status.model_dump(exclude=_PRIVATE)}
    return json.dumps(told, separators=(",", ":")).encode("ascii")
