"""Erasures: everything of a device or a tenant goes, and that it went is told for ever.

Asking for one closes the streams and revokes the accounts at once, in one transaction; what
devices send of these streams from then on is disposed of. The rest is done in steps by the
companion, which can be cut off anywhere. A second look, later than any transaction lasts that
began before, ends it: only then do the names go too.

What stays: the row of the erasure (keys, numbers and times, no names) and the closed streams'
64 random bits, which belong to nobody any more.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update

from noctis.identity import DeviceId
from noctis.storage import devices
from noctis.storage.accounts import list_of as list_accounts
from noctis.storage.errors import AlreadyExistsError, NotFoundError
from noctis.storage.models import accounts, erasures, streams
from noctis.storage.models import devices as owners
from noctis.storage.tenants import id_of
from noctis.storage.users import list_of as list_users
from noctis.storage.users import remove as remove_user
from noctis.storage.void_tokens import ban

__all__ = ["Erasure", "get", "list_all", "of", "request"]


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure; ``subject``, the name of what is erased, is None once it is done.

    ``erased_at``: all rows were gone; ``done_at``: and still were at the second look.
    ``counts``: rows that went, by table.
    """

    id: int
    kind: str
    tenant_id: int
    device_id: int | None
    keep_device: bool
    requested_by: str
    requested_at: datetime
    subject: str | None
    erased_at: datetime | None
    done_at: datetime | None
    counts: dict[str, int]

    @property
    def state(self) -> str:
        """``requested``, ``erased`` (the second look is to come) or ``done``."""
        if self.done_at is not None:
            return "done"
        return "requested" if self.erased_at is None else "erased"


def request(
    tenant: str,
    connection: Connection,
    device: str | None,
    *,
    by: str,
    keep_device: bool = False,
) -> Erasure:
    """Ask for the erasure of a tenant's device, or of the whole tenant where it is None.

    ``keep_device``: its account stays, and once the erasure is done the device may go on with
    a new stream, which it makes when its flash is erased. Raise NotFoundError when there is no
    such tenant or device, AlreadyExistsError while it is being erased already.
    """
    tenant_id = id_of(tenant, connection)
    found = None if device is None else devices.get(tenant, connection, device)
    subject = tenant if found is None else str(DeviceId(tenant, found.name))
    if found is not None and keep_device and found.revoked_at is not None:
        message = f"device {subject!r} is revoked: it cannot be kept"
        raise AlreadyExistsError(message, hint="erase it without --keep-device")
    _check_idle(connection, subject)
    mine = owners.c.tenant_id == tenant_id
    if found is not None:
        mine &= owners.c.id == found.id
    _close(connection, mine)
    if not keep_device:
        if found is None:
            _sign_out(tenant, connection)
        _revoke(connection, tenant_id, None if found is None else subject)
    row = connection.execute(
        insert(erasures)
        .values(
            kind="tenant" if found is None else "device",
            tenant_id=tenant_id,
            device_id=None if found is None else found.id,
            keep_device=keep_device,
            requested_by=by,
            subject=subject,
        )
        .returning(erasures)
    ).one()
    return _erasure(row)


def _check_idle(connection: Connection, subject: str) -> None:
    running = connection.scalar(
        select(erasures.c.id).where(
            erasures.c.done_at.is_(None),
            erasures.c.subject.in_([subject, subject.partition("/")[0]]),
        )
    )
    if running is not None:
        message = f"{subject!r} is being erased already"
        raise AlreadyExistsError(message, hint=f"noctis erasure {running} tells how far")


def _close(connection: Connection, mine: ColumnElement[bool]) -> None:
    """Close the streams of devices, and take nothing more from them."""
    keys = select(owners.c.id).where(mine)
    connection.execute(
        update(streams)
        .where(streams.c.device_id.in_(keys), streams.c.closed_at.is_(None))
        .values(closed_at=func.now())
    )
    connection.execute(
        update(owners).where(mine, owners.c.revoked_at.is_(None)).values(revoked_at=func.now())
    )


def _sign_out(tenant: str, connection: Connection) -> None:
    """Remove the tenant's users, and void all tokens that speak for it."""
    for user in list_users(tenant, connection):
        remove_user(tenant, connection, user.name, spare_last_admin=False)
    for app in list_accounts(tenant, connection):
        ban(tenant, connection, app.username)


def _revoke(connection: Connection, tenant_id: int, username: str | None) -> None:
    statement = update(accounts).where(
        accounts.c.tenant_id == tenant_id, accounts.c.revoked_at.is_(None)
    )
    if username is not None:
        statement = statement.where(accounts.c.username == username)
    connection.execute(statement.values(revoked_at=func.now()))


def list_all(connection: Connection, *, running: bool = False) -> list[Erasure]:
    """Return the erasures, the newest first; ``running``: only those that are not done."""
    query = select(erasures).order_by(erasures.c.id.desc())
    if running:
        query = query.where(erasures.c.done_at.is_(None))
    return [_erasure(row) for row in connection.execute(query)]


def get(connection: Connection, key: int) -> Erasure:
    """Return an erasure; raise NotFoundError when there is none of that number."""
    row = connection.execute(select(erasures).where(erasures.c.id == key)).one_or_none()
    if row is None:
        message = f"there is no erasure {key}"
        raise NotFoundError(message, hint="noctis erasure lists them")
    return _erasure(row)


def of(tenant: str, connection: Connection, key: int) -> Erasure:
    """Return an erasure of a tenant; raise NotFoundError when it has none of that number."""
    mine = (erasures.c.id == key) & (erasures.c.tenant_id == id_of(tenant, connection))
    row = connection.execute(select(erasures).where(mine)).one_or_none()
    if row is None:
        message = f"tenant {tenant!r} has no erasure {key}"
        raise NotFoundError(message, hint="noctis erasure lists them")
    return _erasure(row)


def _erasure(row: Row[Any]) -> Erasure:
    return Erasure(**row._mapping)  # noqa: SLF001 - SQLAlchemy's own name for it
