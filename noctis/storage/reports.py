"""What devices last said of themselves in their status."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, bindparam, case, func, select
from sqlalchemy.dialects.postgresql import insert

from noctis.identity import DeviceId
from noctis.status import Status
from noctis.storage.command_models import device_reports
from noctis.storage.models import devices, tenants

__all__ = ["last", "newest", "store"]

_OWNER: Final = (
    select(devices.c.id)
    .join(tenants, tenants.c.id == devices.c.tenant_id)
    .where(tenants.c.name == bindparam("tenant"), devices.c.name == bindparam("device"))
)


def store(
    connection: Connection,
    statuses: Mapping[DeviceId, Status],
    *,
    repeated: Collection[DeviceId] = (),
) -> None:
    """Keep the newest status of each device; those of strangers are passed over.

    Of ``repeated`` devices the broker says again what it kept: what is known already leaves the
    moment at which they were heard of.
    """
    for device in sorted(statuses):  # in order: two companions never wait in a circle
        names = {"tenant": device.tenant, "device": device.device}
        key = connection.scalar(_OWNER, names)
        if key is None:
            continue
        body = statuses[device].model_dump()
        new = insert(device_reports).values(device_id=key, body=body)
        at: ColumnElement[datetime] = (
            func.now()
            if device not in repeated
            else case(
                (device_reports.c.body == new.excluded.body, device_reports.c.reported_at),
                else_=func.now(),
            )
        )
        changed = {"body": new.excluded.body, "reported_at": at}
        connection.execute(
            new.on_conflict_do_update(index_elements=["device_id"], set_=changed)
        )


def last(tenant: str, connection: Connection, device: str) -> tuple[Status, datetime] | None:
    """Return a device's last status and when it came; None where it never told any."""
    query = select(device_reports.c.body, device_reports.c.reported_at).where(
        device_reports.c.device_id == _OWNER.scalar_subquery()
    )
    row = connection.execute(query, {"tenant": tenant, "device": device}).one_or_none()
    return None if row is None else (Status.model_validate(row.body), row.reported_at)


def newest(
    tenant: str, connection: Connection, names: Collection[str] | None = None
) -> dict[str, tuple[Status, datetime]]:
    """Return the last status and when it came, by device; of these devices, None: of all."""
    query = (
        select(devices.c.name, device_reports.c.body, device_reports.c.reported_at)
        .join(devices, devices.c.id == device_reports.c.device_id)
        .join(tenants, tenants.c.id == devices.c.tenant_id)
        .where(tenants.c.name == tenant)
    )
    if names is not None:
        query = query.where(devices.c.name.in_(names))
    return {
        row.name: (Status.model_validate(row.body), row.reported_at)
        for row in connection.execute(query)
    }
