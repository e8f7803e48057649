"""What devices last said of themselves in their status."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from noctis.identity import DeviceId
from noctis.status import Status
from noctis.storage.command_models import device_reports
from noctis.storage.models import devices, tenants

__all__ = ["last", "store"]

_OWNER: Final = (
    select(devices.c.id)
    .join(tenants, tenants.c.id == devices.c.tenant_id)
    .where(tenants.c.name == bindparam("tenant"), devices.c.name == bindparam("device"))
)


def store(connection: Connection, statuses: Mapping[DeviceId, Status]) -> None:
    """Keep the newest status of each device; those of strangers are passed over."""
    for device in sorted(statuses):  # in order: two companions never wait in a circle
        names = {"tenant": device.tenant, "device": device.device}
        key = connection.scalar(_OWNER, names)
        if key is None:
            continue
        body = statuses[device].model_dump()
        new = insert(device_reports).values(device_id=key, body=body)
        connection.execute(
            new.on_conflict_do_update(
                index_elements=["device_id"],
                set_={"body": new.excluded.body, "reported_at": func.now()},
            )
        )


def last(tenant: str, connection: Connection, device: str) -> tuple[Status, datetime] | None:
    """Return a device's last status and when it came; None where it never told any."""
    query = select(device_reports.c.body, device_reports.c.reported_at).where(
        device_reports.c.device_id == _OWNER.scalar_subquery()
    )
    row = connection.execute(query, {"tenant": tenant, "device": device}).one_or_none()
    return None if row is None else (Status.model_validate(row.body), row.reported_at)
