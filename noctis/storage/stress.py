"""Loads that the platform is put under: ordered, done by a runner, and what became of them.

Each load has a tenant of its own, made up for it and marked so, and erased after it. What looks
at all tenants' nights or devices (drift, monitors) leaves such tenants out.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text, update

from noctis.storage import accounts, devices, erasures, locks
from noctis.storage import tenants as owners
from noctis.storage.errors import AlreadyExistsError, NotFoundError
from noctis.storage.models import tenants
from noctis.storage.operations import Operation, columns

__all__ = ["Stored", "cancel", "enrol", "forget", "get", "list_all", "order", "stored", "sweep"]

KEPT: Final = 100
"""Loads that stay to be read."""

_LOCK: Final = text("SELECT pg_advisory_xact_lock(:kind, 0)")
_SELECT: Final = f"SELECT {columns()} FROM operations o WHERE o.kind = 'stress'"  # noqa: S608
_GET: Final = text(f"{_SELECT} AND o.id = :id")
_LIST: Final = text(f"""
{_SELECT} AND (CAST(:before AS integer) IS NULL OR o.number < :before)
 ORDER BY o.number DESC LIMIT :limit
""")
_OPEN: Final = text(f"{_SELECT} AND o.finished_at IS NULL")
_ADD: Final = text("""
INSERT INTO operations (kind, request, requested_by)
VALUES ('stress', CAST(:request AS jsonb), :by) RETURNING id
""")
_TRIM: Final = text("""
DELETE FROM operations WHERE kind = 'stress' AND number <= (
  SELECT number FROM operations WHERE kind = 'stress' ORDER BY number DESC OFFSET :kept LIMIT 1)
""")
_CANCEL: Final = text("""
UPDATE operations SET cancelled_at = coalesce(cancelled_at, now())
 WHERE id = :id AND kind = 'stress' AND finished_at IS NULL
""")
_STORED: Final = text("""
SELECT count(*), count(DISTINCT (e.stream, e.seq)) FROM epochs e
  JOIN tenants t ON t.id = e.tenant_id WHERE t.name = :tenant
""")
_LEFT: Final = text(f"""
SELECT t.name FROM tenants t
 WHERE t.synthetic
   AND NOT EXISTS (SELECT FROM erasures x WHERE x.tenant_id = t.id)
   AND NOT EXISTS (
     SELECT FROM operations o JOIN pg_locks l
         ON l.locktype = 'advisory' AND l.classid = {locks.OPERATIONS} AND l.objid = o.number
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      WHERE o.kind = 'stress' AND t.name = 'stress-' || o.number)
 ORDER BY t.name
""")  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of a load: its ``epochs``, and how many rows are one too many."""

    epochs: int
    doubled: int


def order(connection: Connection, request: Mapping[str, object], *, by: str) -> Operation:
    """Order a load; raise AlreadyExistsError while another waits or runs."""
    connection.execute(_LOCK, {"kind": locks.STRESS})
    for found in [Operation(*row) for row in connection.execute(_OPEN)]:
        if found.state != "cancelled":
            message = f"a load is {found.state} already: {found.id}"
            raise AlreadyExistsError(message, hint="wait for it, or cancel it")
    connection.execute(_TRIM, {"kept": KEPT - 1})
    keys = {"request": json.dumps(request), "by": by}
    return get(connection, connection.execute(_ADD, keys).scalar_one())


def get(connection: Connection, key: UUID) -> Operation:
    """Return a load; raise NotFoundError when there is none of that id."""
    row = connection.execute(_GET, {"id": key}).one_or_none()
    if row is None:
        message = f"there is no load {key}"
        raise NotFoundError(message)
    return Operation(*row)


def list_all(connection: Connection, *, before: int | None, limit: int) -> list[Operation]:
    """Return the loads, the newest first, older than number ``before``."""
    keys = {"before": before, "limit": limit}
    return [Operation(*row) for row in connection.execute(_LIST, keys)]


def cancel(connection: Connection, key: UUID) -> Operation:
    """Let a load end within a second or so; one that is finished stays as it is."""
    connection.execute(_CANCEL, {"id": key})
    return get(connection, key)


def enrol(
    tenant: str, connection: Connection, names: Sequence[str], app: str, password: str
) -> None:
    """Make the tenant of a load, marked as made up, its devices and an app, with accounts."""
    made = owners.add(connection, tenant)
    connection.execute(update(tenants).where(tenants.c.id == made.id).values(synthetic=True))
    for name in names:
        devices.add(tenant, connection, name)
        accounts.add(tenant, connection, f"{tenant}/{name}", "device", password)
    accounts.add(tenant, connection, app, "app", password)


def stored(tenant: str, connection: Connection) -> Stored:
    """Return what is stored of a load."""
    rows, epochs = connection.execute(_STORED, {"tenant": tenant}).one()
    return Stored(epochs, rows - epochs)


def forget(tenant: str, connection: Connection, *, by: str) -> int:
    """Ask for the erasure of a load's tenant; return its number."""
    return erasures.request(tenant, connection, None, by=by).id


def sweep(connection: Connection, *, by: str) -> list[str]:
    """Ask for the erasure of what loads left behind whose runners died; return the tenants."""
    left = list(connection.scalars(_LEFT))
    for tenant in left:
        forget(tenant, connection, by=by)
    return left
