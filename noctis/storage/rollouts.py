"""Rollouts of firmware, as people order and see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, RowMapping, bindparam, text

from noctis.errors import StorageError
from noctis.identity import DeviceId
from noctis.storage.errors import NotFoundError
from noctis.storage.firmware import Firmware

__all__ = [
    "DeviceState",
    "Plan",
    "Rollout",
    "begin",
    "chosen",
    "devices_of",
    "last_of",
    "list_all",
    "set_state",
]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a rollout goes: so many devices at once, until so large a share of them failed.

    ``patience_s``: a device that installed the image and says nothing for so long has failed.
    """

    url: str
    wave: int = 5
    most_failures: float = 0.1
    patience_s: int = 1800


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout and its devices by their state."""

    number: int
    id: UUID
    version: str
    build: int
    target: str
    sha256: str
    state: str
    reason: str | None
    wave: int
    most_failures: float
    created_at: datetime
    finished_at: datetime | None
    devices: dict[str, int]


@dataclass(frozen=True, slots=True)
class DeviceState:
    """How far a device is; ``running`` is the version that it last said it runs."""

    device: DeviceId
    version: str
    state: str
    percent: int | None
    reason: str | None
    running: str | None
    reported_at: datetime | None


_CHOSEN: Final = text("""
SELECT t.name AS tenant, d.name AS device
  FROM devices d JOIN tenants t ON t.id = d.tenant_id
 WHERE d.revoked_at IS NULL AND (:tenant = '' OR t.name = :tenant)
 ORDER BY md5(t.name || '/' || d.name || :salt)
""")
_BUSY: Final = text("""
SELECT t.name || '/' || d.name
  FROM rollout_devices r JOIN rollouts o ON o.number = r.rollout_number
  JOIN devices d ON d.id = r.device_id JOIN tenants t ON t.id = d.tenant_id
 WHERE o.state IN ('running', 'paused')
   AND r.state NOT IN ('valid', 'rolled_back', 'refused', 'silent', 'withdrawn')
   AND t.name || '/' || d.name IN :names
 ORDER BY 1 LIMIT 3
""").bindparams(bindparam("names", expanding=True))
_BEGIN: Final = text("""
INSERT INTO rollouts (firmware_id, url, wave, most_failures, patience_s)
VALUES (:firmware, :url, :wave, :most_failures, :patience) RETURNING number
""")
_TAKE_PART: Final = text("""
INSERT INTO rollout_devices (rollout_number, device_id, place, version)
SELECT :number, d.id, :place, :version
  FROM devices d JOIN tenants t ON t.id = d.tenant_id
 WHERE t.name = :tenant AND d.name = :device AND d.revoked_at IS NULL RETURNING device_id
""")
_LIST: Final = text("""
SELECT o.number, o.id, f.version, f.build, f.target, f.sha256, o.state, o.reason, o.wave,
       o.most_failures, o.created_at, o.finished_at,
       coalesce((SELECT json_object_agg(s.state, s.count) FROM
         (SELECT state, count(*) FROM rollout_devices WHERE rollout_number = o.number
           GROUP BY state ORDER BY state) s), '{}') AS devices
  FROM rollouts o JOIN firmware f ON f.id = o.firmware_id
 WHERE CAST(:number AS integer) IS NULL OR o.number = :number
 ORDER BY o.number DESC LIMIT 100
""")
_DEVICES: Final = text("""
SELECT t.name AS tenant, d.name AS device, r.version, r.state, r.percent, r.reason, r.running,
       r.reported_at
  FROM rollout_devices r JOIN devices d ON d.id = r.device_id
  JOIN tenants t ON t.id = d.tenant_id
 WHERE r.rollout_number = :number ORDER BY r.place
""")
_LAST: Final = text("""
SELECT t.name AS tenant, d.name AS device, r.version, r.state, r.percent, r.reason, r.running,
       r.reported_at
  FROM devices d JOIN tenants t ON t.id = d.tenant_id
  JOIN rollout_devices r ON r.device_id = d.id
 WHERE t.name = :tenant AND d.name = :device AND r.state <> 'waiting'
 ORDER BY r.rollout_number DESC LIMIT 1
""")
_SET: Final = text("""
UPDATE rollouts SET state = CAST(:state AS text), reason = :reason,
       finished_at = CASE WHEN CAST(:state AS text) IN ('running', 'paused') THEN NULL
                          ELSE now() END
 WHERE number = :number AND state = ANY (:from)
""")
_WITHDRAW: Final = text("""
UPDATE rollout_devices SET owed = state <> 'waiting', state = 'withdrawn'
 WHERE rollout_number = :number
   AND state IN ('waiting', 'offered', 'downloading', 'verifying')
""")
_FROM: Final = {
    "running": ["paused"],
    "paused": ["running"],
    "aborted": ["running", "paused"],
    "stopped": ["running"],
}


def chosen(
    tenant: str, connection: Connection, *, percent: float = 100, salt: str = ""
) -> list[DeviceId]:
    """Return a share of the devices of a tenant, or of all (the empty name), in a fixed order.

    ``salt`` mixes the order: another image begins with other devices.
    """
    rows = connection.execute(_CHOSEN, {"tenant": tenant, "salt": salt}).all()
    count = -(-len(rows) * percent // 100)
    return [DeviceId(row.tenant, row.device) for row in rows[: int(count)]]


def begin(
    connection: Connection, image: Firmware, plan: Plan, devices: Sequence[DeviceId]
) -> int:
    """Begin a rollout of a signed image to devices, in this order; return its number.

    Raise StorageError where the image is not signed, where there is no device, or one is
    unknown, revoked or in another rollout.
    """
    if image.signature is None:
        message = f"the image {image.version} is not signed"
        raise StorageError(message, hint=f"noctis firmware sign {image.sha256[:12]}")
    names = [str(device) for device in devices]
    busy = list(connection.scalars(_BUSY, {"names": names})) if names else []
    if busy or not names:
        message = f"in another rollout: {', '.join(busy)}" if busy else "no device is meant"
        raise StorageError(message, hint="noctis firmware rollouts shows what goes on")
    values = {
        "firmware": image.id,
        "url": plan.url,
        "wave": plan.wave,
        "most_failures": plan.most_failures,
        "patience": plan.patience_s,
    }
    number: int = connection.execute(_BEGIN, values).scalar_one()
    for place, device in enumerate(devices):
        part = {"number": number, "place": place, "version": image.version}
        part |= {"tenant": device.tenant, "device": device.device}
        if connection.execute(_TAKE_PART, part).one_or_none() is None:
            message = f"there is no device {device}, or it is revoked"
            raise StorageError(message, hint=f"noctis device list {device.tenant}")
    return number


def list_all(connection: Connection, number: int | None = None) -> list[Rollout]:
    """Return rollouts, the newest first; only that of the number where one is given."""
    rows = connection.execute(_LIST, {"number": number})
    return [Rollout(**row) for row in rows.mappings()]


def devices_of(connection: Connection, number: int) -> list[DeviceState]:
    """Return how far each device of a rollout is, in the order of their turns."""
    return [_state(row) for row in connection.execute(_DEVICES, {"number": number}).mappings()]


def last_of(tenant: str, connection: Connection, device: str) -> DeviceState | None:
    """Return how far a device is with what it was offered last; None: nothing ever."""
    row = connection.execute(_LAST, {"tenant": tenant, "device": device}).mappings().first()
    return None if row is None else _state(row)


def set_state(
    connection: Connection, number: int, state: str, reason: str | None = None
) -> None:
    """Pause, resume, stop or abort a rollout; raise NotFoundError where that cannot be.

    What is stopped or aborted is withdrawn from devices that did not install it yet.
    """
    values = {"number": number, "state": state, "reason": reason, "from": _FROM[state]}
    if connection.execute(_SET, values).rowcount == 0:
        message = f"no rollout {number} can become {state}"
        raise NotFoundError(message, hint="noctis firmware rollouts shows them")
    if state in {"stopped", "aborted"}:
        connection.execute(_WITHDRAW, {"number": number})


def _state(row: RowMapping) -> DeviceState:
    values = dict(row)
    device = DeviceId(values.pop("tenant"), values.pop("device"))
    return DeviceState(device=device, **values)
