"""Tenants: who owns devices and nights."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.postgresql import insert

from noctis.identity import check_tenant
from noctis.storage.errors import AlreadyExistsError, NotFoundError
from noctis.storage.models import tenants

__all__ = ["Tenant", "add", "id_of", "list_all", "set_retention"]


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant; ``id`` is its surrogate key.

    ``retention_days``: how long its epochs stay, None: as long as the platform says.
    ``synthetic``: it is made up for a load (``noctis.storage.stress``).
    """

    id: int
    name: str
    created_at: datetime
    retention_days: int | None
    synthetic: bool = False


def add(connection: Connection, name: str) -> Tenant:
    """Add a tenant; raise IdentityError for a bad name, AlreadyExistsError for a taken one."""
    statement = (
        insert(tenants)
        .values(name=check_tenant(name))
        .on_conflict_do_nothing()
        .returning(tenants)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        message = f"there is a tenant {name!r} already"
        raise AlreadyExistsError(message, hint="choose another name")
    return Tenant(*row)


def list_all(connection: Connection) -> list[Tenant]:
    """Return all tenants by name."""
    return [
        Tenant(*row) for row in connection.execute(select(tenants).order_by(tenants.c.name))
    ]


def set_retention(tenant: str, connection: Connection, days: int | None) -> None:
    """Say how many days a tenant's epochs stay; None: as long as the platform says.

    Raise NotFoundError for an unknown tenant, StorageError for less than a day.
    """
    key = id_of(tenant, connection)
    connection.execute(update(tenants).where(tenants.c.id == key).values(retention_days=days))


def id_of(tenant: str, connection: Connection) -> int:
    """Return a tenant's surrogate key; raise NotFoundError when there is no such tenant."""
    key: int | None = connection.scalar(select(tenants.c.id).where(tenants.c.name == tenant))
    if key is None:
        message = f"there is no tenant {tenant!r}"
        raise NotFoundError(message, hint="noctis tenant list shows them")
    return key
