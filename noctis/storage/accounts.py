"""Accounts: who may connect to the broker, or ask the facade for a token.

A device is ``tenant/device``, an app ``app@tenant``, a service ``svc-name-n``. Passwords are
stored hashed, in the format that the broker reads.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert

from noctis.errors import IdentityError
from noctis.identity import SERVICE_PREFIX, DeviceId, app_username, check_name, check_role
from noctis.storage import void_tokens
from noctis.storage.errors import AlreadyExistsError, NotFoundError
from noctis.storage.models import accounts, tenants
from noctis.storage.passwords import generate, hash_password, verify
from noctis.storage.tenants import id_of

__all__ = [
    "Account",
    "App",
    "Kind",
    "active",
    "add",
    "apps",
    "authenticate",
    "list_of",
    "revoke",
    "revoke_service",
    "set_password",
    "set_role",
    "set_service",
]

Kind = Literal["device", "app", "service"]
# Verified where there is no such account, so that the answer takes as long.
_NOBODY: Final = hash_password(generate())


@dataclass(frozen=True, slots=True)
class Account:
    """An account that may connect; ``tenant`` is None for a service."""

    username: str
    kind: str
    tenant: str | None
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class App:
    """An app that may ask for a token; ``role`` None: it may read what it always could."""

    tenant: str
    role: str | None


def add(
    tenant: str,
    connection: Connection,
    username: str,
    kind: str,
    password: str | None = None,
    *,
    role: str | None = None,
) -> str:
    """Add the account of a tenant's device or app; return its password, never shown again.

    Without ``password`` one is generated. An app may have a ``role``. Raise IdentityError for
    a name that is not the tenant's or not of that kind, NotFoundError for an unknown tenant,
    AlreadyExistsError for a taken name.
    """
    _check_username(tenant, username, kind)
    if role is not None and kind != "app":
        message = f"account {username!r} is no app's: it has no role"
        raise IdentityError(message)
    secret = password or generate()
    statement = (
        insert(accounts)
        .values(
            tenant_id=id_of(tenant, connection),
            username=username,
            kind=kind,
            password_hash=hash_password(secret),
            role=None if role is None else check_role(role),
        )
        .on_conflict_do_nothing()
        .returning(accounts.c.id)
    )
    if connection.execute(statement).one_or_none() is None:
        message = f"there is an account {username!r} already"
        raise AlreadyExistsError(message, hint="set a new password, or choose another name")
    return secret


def set_service(connection: Connection, username: str, password: str | None = None) -> str:
    """Give a service's account a password, making the account if need be; return it."""
    check_name(username, "service")
    if not username.startswith(SERVICE_PREFIX):
        message = f"service {username!r} does not begin with {SERVICE_PREFIX!r}"
        raise IdentityError(message, hint="write it as svc-ingestor-0")
    secret = password or generate()
    hashed = hash_password(secret)
    connection.execute(
        insert(accounts)
        .values(username=username, kind="service", password_hash=hashed)
        .on_conflict_do_update(
            index_elements=[accounts.c.username],
            set_={"password_hash": hashed, "revoked_at": None},
        )
    )
    return secret


def set_password(
    tenant: str, connection: Connection, username: str, password: str | None = None
) -> str:
    """Give a tenant's account another password and return it; raise NotFoundError."""
    secret = password or generate()
    _update(tenant, connection, username, password_hash=hash_password(secret))
    void_tokens.ban(tenant, connection, username)
    return secret


def set_role(tenant: str, connection: Connection, username: str, role: str | None) -> None:
    """Give a tenant's app another role, or none; raise NotFoundError."""
    changed = None if role is None else check_role(role)
    _update(tenant, connection, username, kind="app", role=changed)
    void_tokens.ban(tenant, connection, username)


def revoke(tenant: str, connection: Connection, username: str) -> None:
    """Revoke a tenant's account for good; raise NotFoundError when the tenant has none such."""
    _update(tenant, connection, username, revoked_at=func.now())
    void_tokens.ban(tenant, connection, username)


def revoke_service(connection: Connection, username: str) -> None:
    """Revoke a service's account; ``set_service`` brings it back."""
    connection.execute(
        update(accounts)
        .where(accounts.c.username == username, accounts.c.kind == "service")
        .values(revoked_at=func.now())
    )


def list_of(tenant: str, connection: Connection) -> list[Account]:
    """Return a tenant's accounts that may connect, by name."""
    id_of(tenant, connection)
    return [account for account in active(connection) if account.tenant == tenant]


def apps(tenant: str, connection: Connection) -> list[tuple[str, str | None, datetime]]:
    """Return a tenant's apps that may connect, by name: user name, role, since when."""
    rows = connection.execute(
        select(accounts.c.username, accounts.c.role, accounts.c.created_at)
        .where(
            accounts.c.tenant_id == id_of(tenant, connection),
            accounts.c.kind == "app",
            accounts.c.revoked_at.is_(None),
        )
        .order_by(accounts.c.username)
    )
    return [(row.username, row.role, row.created_at) for row in rows]


def active(connection: Connection) -> list[Account]:
    """Return every account of the platform that may connect, by name: for the broker."""
    rows = connection.execute(
        select(accounts.c.username, accounts.c.kind, tenants.c.name, accounts.c.password_hash)
        .join(tenants, tenants.c.id == accounts.c.tenant_id, isouter=True)
        .where(accounts.c.revoked_at.is_(None))
        .order_by(accounts.c.username)
    )
    return [Account(*row) for row in rows]


def authenticate(connection: Connection, username: str, password: str) -> App | None:
    """Return the app whose password is right, None otherwise.

    Devices and services do not ask for tokens.
    """
    row = connection.execute(
        select(accounts.c.password_hash, accounts.c.role, tenants.c.name)
        .join(tenants, tenants.c.id == accounts.c.tenant_id)
        .where(
            accounts.c.username == username,
            accounts.c.kind == "app",
            accounts.c.revoked_at.is_(None),
        )
    ).one_or_none()
    right = verify(password, _NOBODY if row is None else row.password_hash)
    return App(row.name, row.role) if row is not None and right else None


def _update(
    tenant: str,
    connection: Connection,
    username: str,
    kind: Kind | None = None,
    **values: object,
) -> None:
    kinds = ("device", "app") if kind is None else (kind,)
    done = connection.execute(
        update(accounts)
        .where(
            accounts.c.kind.in_(kinds),
            accounts.c.username == username,
            accounts.c.tenant_id == id_of(tenant, connection),
            accounts.c.revoked_at.is_(None),
        )
        .values(**values)
    )
    if not done.rowcount:
        message = f"tenant {tenant!r} has no account {username!r} that may connect"
        raise NotFoundError(message, hint="noctis device list and noctis app list show them")


def _check_username(tenant: str, username: str, kind: str) -> None:
    if kind == "device":
        right = DeviceId.parse(username).tenant == tenant
    elif kind == "app":
        right = username == app_username(username.partition("@")[0], tenant)
    else:
        message = f"a tenant's account is a 'device' or an 'app', not {kind!r}"
        raise IdentityError(message)
    if not right:
        message = f"account {username!r} does not belong to tenant {tenant!r}"
        raise IdentityError(
            message, hint="write a device as tenant/device, an app as app@tenant"
        )
