"""Apps of a tenant: programs that read its stages, each with an account."""

from typing import Protocol

from cli.auditing import record
from cli.facade import Facade
from cli.nouns.documents import Document, Open, plain
from cli.nouns.tenancy import check_own, own_tenant
from noctis.identity import app_username, parse_login
from noctis.storage import accounts
from noctis.storage.tenants import list_all

__all__ = ["Apps", "AskedApps", "StoredApps"]


class Apps(Protocol):
    """What can be asked of apps; a ``name`` is app@tenant."""

    def list_of(self, tenant: str | None) -> list[Document]:
        """Return a tenant's apps by name; of all tenants in reach without one."""

    def add(self, name: str, role: str | None) -> Document:
        """Add an app; return its user name and password."""

    def rotate(self, name: str) -> Document:
        """Give an app another password; return it with the user name."""

    def set_role(self, name: str, role: str | None) -> None:
        """Give an app another role, or none."""

    def remove(self, name: str) -> None:
        """Take an app's account away for good."""


class StoredApps:
    """Apps in this machine's database."""

    def __init__(self, opened: Open) -> None:
        self._opened = opened

    def list_of(self, tenant: str | None) -> list[Document]:
        """Return a tenant's apps; without one those of all tenants."""
        with self._opened() as connection:
            owners = [tenant] if tenant else [it.name for it in list_all(connection)]
            return [
                {"app": name, "role": role, "created_at": plain(at)}
                for owner in owners
                for name, role, at in accounts.apps(owner, connection)
            ]

    def add(self, name: str, role: str | None) -> Document:
        """Add an app."""
        username, tenant = _read(name)
        with self._opened() as connection:
            secret = accounts.add(tenant, connection, username, "app", role=role)
            record(tenant, connection, "app_added", username, role=role)
        return {"username": username, "password": secret}

    def rotate(self, name: str) -> Document:
        """Give an app another password."""
        username, tenant = _read(name)
        with self._opened() as connection:
            secret = accounts.set_password(tenant, connection, username)
            record(tenant, connection, "app_rotated", username)
        return {"username": username, "password": secret}

    def set_role(self, name: str, role: str | None) -> None:
        """Give an app another role."""
        username, tenant = _read(name)
        with self._opened() as connection:
            accounts.set_role(tenant, connection, username, role)
            record(tenant, connection, "app_role_set", username, role=role)

    def remove(self, name: str) -> None:
        """Revoke an app."""
        username, tenant = _read(name)
        with self._opened() as connection:
            accounts.revoke(tenant, connection, username)
            record(tenant, connection, "app_revoked", username)


class AskedApps:
    """Apps of the tenant that a facade lets its caller manage."""

    def __init__(self, facade: Facade) -> None:
        self._facade = facade

    def list_of(self, tenant: str | None) -> list[Document]:
        """Return the tenant's apps."""
        owner = own_tenant(self._facade, tenant)
        return [
            {
                "app": app_username(it["name"], owner),
                "role": it["role"],
                "created_at": plain(it["created_at"]),
            }
            for it in self._facade.ask("GET", "/v1/apps")["apps"]
        ]

    def add(self, name: str, role: str | None) -> Document:
        """Add an app."""
        short, tenant = parse_login(name)
        check_own(self._facade, tenant)
        body = {"name": short, "role": role}
        return _secret(self._facade.ask("POST", "/v1/apps", body=body))

    def rotate(self, name: str) -> Document:
        """Give an app another password."""
        return _secret(self._facade.ask("POST", f"{self._path(name)}:rotate"))

    def set_role(self, name: str, role: str | None) -> None:
        """Give an app another role."""
        self._facade.ask("PATCH", self._path(name), body={"role": role})

    def remove(self, name: str) -> None:
        """Revoke an app."""
        self._facade.ask("DELETE", self._path(name))

    def _path(self, name: str) -> str:
        short, tenant = parse_login(name)
        check_own(self._facade, tenant)
        return f"/v1/apps/{short}"


def _read(name: str) -> tuple[str, str]:
    short, tenant = parse_login(name)
    return app_username(short, tenant), tenant


def _secret(told: Document) -> Document:
    return {"username": told["client_id"], "password": told["client_secret"]}
