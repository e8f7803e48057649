"""Devices of a tenant."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, Integer, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from noctis.errors import IdentityError
from noctis.identity import DeviceId
from noctis.storage.errors import AlreadyExistsError, NotFoundError
from noctis.storage.models import accounts, devices, tenants
from noctis.storage.tenants import id_of

__all__ = ["Device", "add", "get", "identities", "list_of", "revoke", "set_time_zone"]


@dataclass(frozen=True, slots=True)
class Device:
    """A device; ``id`` is its surrogate key, ``revoked_at`` None while it may send."""

    id: int
    name: str
    time_zone: str
    created_at: datetime
    revoked_at: datetime | None


_COLUMNS: Final = (
    devices.c.id,
    devices.c.name,
    devices.c.time_zone,
    devices.c.created_at,
    devices.c.revoked_at,
)
_OF_TENANT: Final = (
    select(*_COLUMNS)
    .join(tenants, tenants.c.id == devices.c.tenant_id)
    .where(tenants.c.name == bindparam("tenant"))
)
_GET: Final = _OF_TENANT.where(devices.c.name == bindparam("device"))
_LIST: Final = (
    _OF_TENANT.where(devices.c.name > bindparam("after"))
    .order_by(devices.c.name)
    .limit(bindparam("limit", type_=Integer))
)


def add(tenant: str, connection: Connection, device: str, *, time_zone: str = "UTC") -> Device:
    """Add a device; it may connect once it has an account too.

    Raise IdentityError for a bad name or time zone, NotFoundError for an unknown tenant and
    AlreadyExistsError when the tenant has a device of that name, revoked or not.
    """
    DeviceId(tenant, device)
    _check_time_zone(time_zone)
    statement = (
        insert(devices)
        .values(tenant_id=id_of(tenant, connection), name=device, time_zone=time_zone)
        .on_conflict_do_nothing()
        .returning(devices.c.id)
    )
    if connection.execute(statement).one_or_none() is None:
        message = f"tenant {tenant!r} has a device {device!r} already"
        raise AlreadyExistsError(message, hint="choose another name")
    return get(tenant, connection, device)


def list_of(
    tenant: str, connection: Connection, *, after: str = "", limit: int | None = None
) -> list[Device]:
    """Return a tenant's devices by name, the revoked ones too; of those behind ``after``.

    Raise NotFoundError when there is no such tenant.
    """
    values = {"tenant": tenant, "after": after, "limit": limit}
    rows = connection.execute(_LIST, values).all()
    if not rows:
        id_of(tenant, connection)
    return [Device(*row) for row in rows]


def get(tenant: str, connection: Connection, device: str) -> Device:
    """Return a tenant's device; raise NotFoundError when the tenant has none of that name."""
    row = connection.execute(_GET, {"tenant": tenant, "device": device}).one_or_none()
    if row is None:
        message = f"tenant {tenant!r} has no device {device!r}"
        raise NotFoundError(message, hint=f"noctis device list {tenant} shows them")
    return Device(*row)


def identities(connection: Connection, keys: Collection[int]) -> dict[int, DeviceId]:
    """Return the names of devices by their surrogate keys; those that are gone are left out."""
    rows = connection.execute(
        select(devices.c.id, tenants.c.name, devices.c.name)
        .join(tenants, tenants.c.id == devices.c.tenant_id)
        .where(devices.c.id.in_(keys))
    )
    return {key: DeviceId(tenant, name) for key, tenant, name in rows}


def set_time_zone(tenant: str, connection: Connection, device: str, time_zone: str) -> Device:
    """Say where a device stands; its nights are found by that from now on.

    Raise IdentityError for a bad time zone, NotFoundError for an unknown device.
    """
    _check_time_zone(time_zone)
    key = get(tenant, connection, device).id
    connection.execute(update(devices).where(devices.c.id == key).values(time_zone=time_zone))
    return get(tenant, connection, device)


def revoke(tenant: str, connection: Connection, device: str) -> Device:
    """Revoke a device and its account; what it sent stays. Again: nothing changes."""
    known = get(tenant, connection, device)
    connection.execute(
        update(devices)
        .where(devices.c.id == known.id, devices.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )
    connection.execute(
        update(accounts)
        .where(
            accounts.c.username == str(DeviceId(tenant, device)),
            accounts.c.kind == "device",
            accounts.c.revoked_at.is_(None),
        )
        .values(revoked_at=func.now())
    )
    return get(tenant, connection, device)


def _check_time_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"there is no time zone {name!r}"
        raise IdentityError(message, hint="write it as in Europe/Berlin") from error
