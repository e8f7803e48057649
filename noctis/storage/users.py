"""Users of a tenant: people who ask the facade, each in a role.

Whatever takes something away from a user ends his sessions too, and declares the access tokens
void that he has.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from noctis.identity import check_name, check_role, user_subject
from noctis.storage import void_tokens
from noctis.storage.errors import AlreadyExistsError, LastAdminError, NotFoundError
from noctis.storage.models import tenants
from noctis.storage.tenants import id_of
from noctis.storage.user_models import refresh_families, users

__all__ = [
    "ADMINS",
    "User",
    "add",
    "confirmed",
    "find",
    "get",
    "list_of",
    "locked",
    "rehash",
    "remove",
    "set_password",
    "set_role",
]

ADMINS: Final = ("admin", "platform")
"""The roles that may manage users; a tenant that has one keeps one."""

_TABLE: Final = users.c


@dataclass(frozen=True, slots=True)
class User:
    """A user; ``name`` is unique in the tenant, ``role`` one of ``noctis.identity.ROLES``."""

    id: int
    name: str
    role: str
    created_at: datetime
    password_hash: str = field(repr=False)


def add(
    tenant: str, connection: Connection, name: str, *, role: str, password_hash: str
) -> User:
    """Add a user whose password was hashed by ``noctis.passphrases``.

    Raise IdentityError for a bad name or role, NotFoundError for an unknown tenant,
    AlreadyExistsError for a taken name.
    """
    row = connection.execute(
        insert(users)
        .values(
            tenant_id=id_of(tenant, connection),
            name=check_name(name, "user"),
            role=check_role(role),
            password_hash=password_hash,
        )
        .on_conflict_do_nothing()
        .returning(users)
    ).one_or_none()
    if row is None:
        message = f"tenant {tenant!r} has a user {name!r} already"
        raise AlreadyExistsError(message, hint="choose another name")
    return _user(row)


def find(tenant: str, connection: Connection, name: str) -> User | None:
    """Return a tenant's user, None where there is none, nor such a tenant."""
    row = connection.execute(
        select(users)
        .join(tenants, tenants.c.id == _TABLE.tenant_id)
        .where(tenants.c.name == tenant, _TABLE.name == name)
    ).one_or_none()
    return None if row is None else _user(row)


def confirmed(tenant: str, connection: Connection, user: User) -> User | None:
    """Return a user as he is now, None where he was removed or has another password.

    Until the transaction ends nobody takes anything away from him.
    """
    row = connection.execute(
        select(users)
        .where(
            _TABLE.id == user.id,
            _TABLE.tenant_id == id_of(tenant, connection),
            _TABLE.password_hash == user.password_hash,
        )
        .with_for_update(read=True, key_share=True)
    ).one_or_none()
    return None if row is None else _user(row)


def get(tenant: str, connection: Connection, name: str) -> User:
    """Return a tenant's user; raise NotFoundError."""
    found = find(tenant, connection, name)
    if found is None:
        raise _missing(tenant, name)
    return found


def list_of(
    tenant: str, connection: Connection, *, after: str = "", limit: int | None = None
) -> list[User]:
    """Return up to ``limit`` of a tenant's users by name, those behind ``after``."""
    rows = connection.execute(
        select(users)
        .where(_TABLE.tenant_id == id_of(tenant, connection), _TABLE.name > after)
        .order_by(_TABLE.name)
        .limit(limit)
    )
    return [_user(row) for row in rows]


def set_role(
    tenant: str, connection: Connection, name: str, role: str, *, spare_last_admin: bool = True
) -> User:
    """Give a user another role; raise NotFoundError, or LastAdminError."""
    changed = check_role(role)
    known = locked(tenant, connection, name)
    if known.role == changed:
        return known
    if spare_last_admin and changed not in ADMINS:
        _spare(tenant, connection, known)
    return _changed(tenant, connection, known, role=changed)


def set_password(tenant: str, connection: Connection, name: str, password_hash: str) -> User:
    """Give a user another password; raise NotFoundError."""
    known = locked(tenant, connection, name)
    return _changed(tenant, connection, known, password_hash=password_hash)


def rehash(tenant: str, connection: Connection, user: User, password_hash: str) -> None:
    """Store the same password as it is hashed nowadays; nothing ends with that."""
    mine = (_TABLE.id == user.id) & (_TABLE.tenant_id == id_of(tenant, connection))
    connection.execute(update(users).where(mine).values(password_hash=password_hash))


def remove(
    tenant: str, connection: Connection, name: str, *, spare_last_admin: bool = True
) -> None:
    """Remove a user; raise NotFoundError, or LastAdminError."""
    known = locked(tenant, connection, name)
    if spare_last_admin:
        _spare(tenant, connection, known)
    connection.execute(delete(users).where(_TABLE.id == known.id))
    void_tokens.ban(tenant, connection, user_subject(name, tenant))


def _changed(tenant: str, connection: Connection, user: User, **values: str) -> User:
    connection.execute(delete(refresh_families).where(refresh_families.c.user_id == user.id))
    row = connection.execute(
        update(users).where(_TABLE.id == user.id).values(**values).returning(users)
    ).one()
    void_tokens.ban(tenant, connection, user_subject(user.name, tenant))
    return _user(row)


def locked(tenant: str, connection: Connection, name: str) -> User:
    """Return a user; whoever else wants to change the tenant's users waits.

    So two who remove each other's last admin do not both succeed.
    """
    key = id_of(tenant, connection)
    connection.execute(
        select(tenants.c.id).where(tenants.c.id == key).with_for_update(key_share=True)
    )
    row = connection.execute(
        select(users).where(_TABLE.tenant_id == key, _TABLE.name == name).with_for_update()
    ).one_or_none()
    if row is None:
        raise _missing(tenant, name)
    return _user(row)


def _spare(tenant: str, connection: Connection, user: User) -> None:
    others = connection.scalar(
        select(func.count())
        .select_from(users)
        .where(
            _TABLE.tenant_id == id_of(tenant, connection),
            _TABLE.role.in_(ADMINS),
            _TABLE.id != user.id,
        )
    )
    if user.role in ADMINS and not others:
        message = f"user {user.name!r} is the last admin of tenant {tenant!r}"
        raise LastAdminError(message, hint="make another user an admin first")


def _missing(tenant: str, name: str) -> NotFoundError:
    message = f"tenant {tenant!r} has no user {name!r}"
    return NotFoundError(message, hint="noctis user list shows them")


def _user(row: Row[Any]) -> User:
    return User(row.id, row.name, row.role, row.created_at, row.password_hash)
