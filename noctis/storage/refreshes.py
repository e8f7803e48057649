"""Refresh tokens: how somebody stays signed in without a password.

A family begins with a login and is one row: of its tokens the newest alone is good, and its
secret is stored hashed. Each turn gives another. So an older token that turns up was copied,
or its owner's copy was: the whole family ends, and both have to log in.

There is one exception, for an answer that never arrived. For ``GRACE`` after a turn the token
that was turned in may be so again; the token of the lost answer is replaced, never joined. So
there is one good token at any time, a thief and the owner still cannot both go on, and the
theft still shows at the next turn of whichever comes second.

Who knows the id of a family has had a token of it: 128 random bits that nothing else tells.
"""

import hmac
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from hashlib import sha256
from secrets import token_bytes
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, delete, insert, select, update

from noctis.storage.models import tenants
from noctis.storage.tenants import id_of
from noctis.storage.user_models import refresh_families, users

__all__ = [
    "AT_ALL",
    "GRACE",
    "MOST",
    "UNUSED",
    "Outcome",
    "Secret",
    "Turn",
    "begin",
    "end",
    "turn",
]

UNUSED: Final = timedelta(days=30)
"""How long a token is good."""

AT_ALL: Final = timedelta(days=180)
"""How long a family lasts, however often it turns."""

GRACE: Final = timedelta(seconds=10)
MOST: Final = 20
"""Families of one user: of more, those that turned longest ago end."""

SECRET_BYTES: Final = 32
_TABLE: Final = refresh_families.c


@dataclass(frozen=True, slots=True)
class Secret:
    """What a refresh token holds: its family, and what proves that it is the newest."""

    family: UUID
    proof: bytes = field(repr=False)


class Outcome(Enum):
    """What became of a refresh token."""

    TURNED = "turned"
    UNKNOWN = "unknown"
    REUSED = "reused"
    TOO_WIDE = "too wide"


@dataclass(frozen=True, slots=True)
class Turn:
    """What a refresh token was good for; ``user``, ``scopes`` and ``secret`` where it TURNED.

    ``user`` is known of a token that was reused, too.
    """

    outcome: Outcome
    user: str = ""
    role: str = ""
    scopes: frozenset[str] = frozenset()
    secret: Secret | None = None


def begin(
    tenant: str, connection: Connection, user_id: int, scopes: AbstractSet[str], now: datetime
) -> Secret:
    """Begin a family of one of the tenant's users; return its first token's secret.

    The caller has the user from ``users.confirmed``, in this transaction.
    """
    mine = _TABLE.user_id == user_id
    newest = select(_TABLE.id).where(mine).order_by(_TABLE.turned_at.desc()).limit(MOST - 1)
    connection.execute(delete(refresh_families).where(mine, _TABLE.id.not_in(newest)))
    secret = Secret(uuid4(), token_bytes(SECRET_BYTES))
    connection.execute(
        insert(refresh_families).values(
            id=secret.family,
            tenant_id=id_of(tenant, connection),
            user_id=user_id,
            scope=" ".join(sorted(scopes)),
            digest=_digest(secret),
            began_at=now,
            turned_at=now,
        )
    )
    return secret


def turn(
    tenant: str,
    connection: Connection,
    secret: Secret,
    now: datetime,
    asked: AbstractSet[str] = frozenset(),
) -> Turn:
    """Exchange a secret for its family's next one.

    ``asked``: scopes that the caller wants at least to have; where the family has them not
    all, nothing is turned.
    """
    row = _locked(tenant, connection, secret.family)
    if row is None:
        return Turn(Outcome.UNKNOWN)
    if now >= row.turned_at + UNUSED or now >= row.began_at + AT_ALL:
        end(tenant, connection, secret)
        return Turn(Outcome.UNKNOWN)
    given = _digest(secret)
    is_newest = hmac.compare_digest(given, row.digest)
    if not is_newest and not _is_forgiven(row, given, now):
        connection.execute(delete(refresh_families).where(_TABLE.id == secret.family))
        return Turn(Outcome.REUSED, user=row.name)
    scopes = frozenset(row.scope.split())
    if not asked <= scopes:
        return Turn(Outcome.TOO_WIDE, user=row.name)
    following = Secret(secret.family, token_bytes(SECRET_BYTES))
    turned = {"previous": given, "turned_at": now} if is_newest else {}
    connection.execute(
        update(refresh_families)
        .where(_TABLE.id == secret.family)
        .values(digest=_digest(following), **turned)
    )
    return Turn(Outcome.TURNED, row.name, row.role, scopes, following)


def end(tenant: str, connection: Connection, secret: Secret) -> str | None:
    """End the family of a token, the newest or an older one; return whose it was, if any."""
    row = _locked(tenant, connection, secret.family)
    if row is None:
        return None
    connection.execute(delete(refresh_families).where(_TABLE.id == secret.family))
    name: str = row.name
    return name


def _locked(tenant: str, connection: Connection, family: UUID) -> Row[Any] | None:
    return connection.execute(
        select(refresh_families, users.c.name, users.c.role)
        .join(users, users.c.id == _TABLE.user_id)
        .join(tenants, tenants.c.id == _TABLE.tenant_id)
        .where(_TABLE.id == family, tenants.c.name == tenant)
        .with_for_update(of=refresh_families)
    ).one_or_none()


def _is_forgiven(row: Row[Any], given: bytes, now: datetime) -> bool:
    """Tell whether this is the token before, whose answer may not have arrived."""
    if row.previous is None or now >= row.turned_at + GRACE:
        return False
    return hmac.compare_digest(given, row.previous)


def _digest(secret: Secret) -> bytes:
    return sha256(secret.proof).digest()
