"""Certificates that were issued to devices: which are good, and which are revoked.

A device may hold two: its new one and, until it has connected with that, the one before.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from noctis.certificates import Certificate
from noctis.identity import DeviceId
from noctis.storage.certificate_models import certificates
from noctis.storage.errors import NotFoundError
from noctis.storage.models import tenants
from noctis.storage.tenants import id_of

__all__ = ["Issued", "disown", "list_of", "record", "revoke", "revoke_all", "used"]

NOBODY: Final = 0  # no tenant has this key


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate as the database knows it; serial and fingerprint are hexadecimal."""

    serial: str
    username: str
    fingerprint: str
    not_after: datetime
    issued_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


_COLUMNS: Final = tuple(certificates.c[name] for name in Issued.__slots__)


def record(tenant: str, connection: Connection, issued: Certificate) -> None:
    """Remember a certificate that was issued to a device, which its name says."""
    connection.execute(
        insert(certificates).values(
            tenant_id=id_of(tenant, connection),
            username=issued.name,
            serial=issued.serial,
            fingerprint=issued.fingerprint,
            not_before=issued.not_before,
            not_after=issued.not_after,
        )
    )


def list_of(tenant: str, connection: Connection, device: str | None = None) -> list[Issued]:
    """Return the certificates of a tenant's device, or of all its devices, oldest first."""
    query = select(*_COLUMNS).where(_mine(tenant, device))
    ordered = query.order_by(certificates.c.username, certificates.c.issued_at)
    return [Issued(*row) for row in connection.execute(ordered)]


def revoke(tenant: str, connection: Connection, serial: str) -> Issued:
    """Revoke one certificate of a tenant's device; raise NotFoundError. Again: no change."""
    mine = _mine(tenant) & (certificates.c.serial == serial)
    _revoke(connection, mine)
    row = connection.execute(select(*_COLUMNS).where(mine)).one_or_none()
    if row is None:
        message = f"tenant {tenant!r} has no certificate {serial!r}"
        raise NotFoundError(message, hint="noctis ca list shows them")
    return Issued(*row)


def revoke_all(tenant: str, connection: Connection, device: str) -> int:
    """Revoke all certificates of a tenant's device; return how many were good."""
    return _revoke(connection, _mine(tenant, device))


def used(tenant: str, connection: Connection, device: str, serial: str) -> int:
    """Note that a device connected with a certificate; return how many that ended.

    From then on those that were issued before it are revoked: the device holds the newer one.
    """
    mine = _mine(tenant, device)
    is_it = mine & (certificates.c.serial == serial) & certificates.c.revoked_at.is_(None)
    since = connection.scalar(
        update(certificates)
        .where(is_it, certificates.c.used_at.is_(None))
        .values(used_at=func.now())
        .returning(certificates.c.issued_at)
    )
    if since is None:
        return 0
    return _revoke(connection, mine & (certificates.c.issued_at < since))


def disown(tenant_id: int, connection: Connection, usernames: list[str]) -> None:
    """Let certificates of accounts that are erased be nobody's, revoked for good.

    Their serials stay: without them a certificate that is still valid would be good again.
    """
    mine = certificates.c.tenant_id == tenant_id
    connection.execute(
        update(certificates)
        .where(mine, certificates.c.username.in_(usernames))
        .values(
            tenant_id=NOBODY,
            username=None,
            fingerprint=None,
            revoked_at=func.coalesce(certificates.c.revoked_at, func.now()),
        )
    )


def _mine(tenant: str, device: str | None = None) -> ColumnElement[bool]:
    key = select(tenants.c.id).where(tenants.c.name == tenant).scalar_subquery()
    mine = certificates.c.tenant_id == key
    if device is None:
        return mine
    return mine & (certificates.c.username == str(DeviceId(tenant, device)))


def _revoke(connection: Connection, which: ColumnElement[bool]) -> int:
    done = connection.execute(
        update(certificates)
        .where(which, certificates.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )
    return done.rowcount
