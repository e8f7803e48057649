"""Which devices there are, for whoever tells apps of them."""

from sqlalchemy import Connection, func, select

from noctis.identity import DeviceId
from noctis.storage.models import devices, tenants

__all__ = ["Mark", "mark", "read"]

Mark = tuple[int, int, int]
"""Changes with every device that is added, revoked, erased, or let in again."""


def mark(connection: Connection) -> Mark:
    """Return what is the same for as long as ``read`` is."""
    row = connection.execute(
        select(
            func.coalesce(func.max(devices.c.id), 0),
            func.count(),
            func.count(devices.c.revoked_at),
        )
    ).one()
    return (row[0], row[1], row[2])


def read(connection: Connection) -> list[DeviceId]:
    """Return the devices of all tenants that are not revoked."""
    query = (
        select(tenants.c.name, devices.c.name)
        .join(tenants, tenants.c.id == devices.c.tenant_id)
        .where(devices.c.revoked_at.is_(None))
    )
    return [DeviceId(*row) for row in connection.execute(query)]
