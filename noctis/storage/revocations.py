"""Whom the broker must not let in although his certificate is valid: of all tenants.

The list of revoked certificates is signed by who holds the CA's key, and kept here for the
broker, which does not hold it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from noctis.storage.certificate_models import certificates, revocation_lists
from noctis.storage.models import accounts

__all__ = ["NONE", "Revocations", "current", "due", "signed", "store"]

KEPT: Final = timedelta(days=1)
"""How long beyond its end a revoked certificate is listed: clocks differ."""
ENDED: Final = timedelta(seconds=5)
"""So long after its end a certificate has ended for the broker's clock, too."""


@dataclass(frozen=True, slots=True)
class Revocations:
    """What the broker is told: the signed ``pem``, and what is behind it.

    ``owners`` has the user name of each revoked certificate that is not erased, by serial;
    ``denied`` the users that are revoked altogether; ``ended`` the user name of each
    certificate that ran out of late, by serial.
    """

    pem: str = ""
    owners: Mapping[str, str] = field(default_factory=dict)
    denied: frozenset[str] = frozenset()
    ended: Mapping[str, str] = field(default_factory=dict)


NONE: Final = Revocations()


def due(connection: Connection) -> dict[str, datetime]:
    """Return since when which certificates are revoked, by serial, until they have ended."""
    rows = connection.execute(_revoked(certificates.c.serial))
    return {row.serial: row.since for row in rows}


def current(connection: Connection) -> Revocations:
    """Return what the broker must know."""
    newest = select(revocation_lists.c.pem).order_by(revocation_lists.c.signed_at.desc())
    rows = connection.execute(
        _revoked(certificates.c.serial, certificates.c.username, accounts.c.revoked_at)
    ).all()
    named = [row for row in rows if row.username is not None]
    return Revocations(
        pem=connection.scalar(newest.limit(1)) or "",
        owners={row.serial: row.username for row in named},
        denied=frozenset(row.username for row in named if row.revoked_at is not None),
        ended={row.serial: row.username for row in connection.execute(_ended())},
    )


def signed(connection: Connection, issuer: str) -> str:
    """Return the newest list that a CA, called by its fingerprint, has signed; or nothing."""
    mine = revocation_lists.c.issuer == issuer
    return connection.scalar(select(revocation_lists.c.pem).where(mine)) or ""


def store(connection: Connection, issuer: str, pem: str) -> None:
    """Keep the newest list that a CA has signed."""
    connection.execute(
        insert(revocation_lists)
        .values(issuer=issuer, pem=pem)
        .on_conflict_do_update(
            index_elements=[revocation_lists.c.issuer],
            set_={"pem": pem, "signed_at": func.clock_timestamp()},
        )
    )


def _ended() -> Select[Any]:
    """Select certificates that were good to their end."""
    return (
        select(certificates.c.serial, certificates.c.username)
        .where(
            certificates.c.not_after.between(func.now() - KEPT, func.now() - ENDED),
            certificates.c.revoked_at.is_(None),
            certificates.c.username.is_not(None),
        )
        .order_by(certificates.c.serial)
    )


def _revoked(*columns: ColumnElement[Any]) -> Select[Any]:
    """Select certificates that are revoked, or whose account is, or is gone."""
    since = func.coalesce(
        certificates.c.revoked_at, accounts.c.revoked_at, certificates.c.issued_at
    )
    has_no_account = and_(certificates.c.revoked_at.is_(None), accounts.c.id.is_(None))
    return (
        select(*columns, since.label("since"))
        .join(accounts, accounts.c.username == certificates.c.username, isouter=True)
        .where(
            certificates.c.not_after > func.now() - KEPT,
            or_(
                certificates.c.revoked_at.is_not(None),
                accounts.c.revoked_at.is_not(None),
                has_no_account,
            ),
        )
        .order_by(certificates.c.serial)
    )
