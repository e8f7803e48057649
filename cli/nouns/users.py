"""Users of a tenant, and their roles."""

from typing import Protocol

from cli.auditing import record
from cli.facade import Facade
from cli.nouns.documents import Document, Open, plain
from cli.nouns.tenancy import check_own, own_tenant
from noctis import passphrases
from noctis.identity import parse_login
from noctis.storage import users
from noctis.storage.tenants import list_all

__all__ = ["AskedUsers", "StoredUsers", "Users"]


class Users(Protocol):
    """What can be asked of users; a ``login`` is name@tenant."""

    def list_of(self, tenant: str | None) -> list[Document]:
        """Return a tenant's users by name."""

    def add(self, login: str, role: str, password: str) -> None:
        """Add a user."""

    def remove(self, login: str) -> None:
        """Remove a user, and end his sessions."""

    def set_password(self, login: str, password: str) -> None:
        """Give a user another password, and end his sessions."""

    def set_role(self, login: str, role: str) -> None:
        """Give a user another role, and end his sessions."""


class StoredUsers:
    """Users in this machine's database; whoever rules that may remove the last admin."""

    def __init__(self, opened: Open) -> None:
        self._opened = opened

    def list_of(self, tenant: str | None) -> list[Document]:
        """Return a tenant's users; without one those of all tenants."""
        with self._opened() as connection:
            owners = [tenant] if tenant else [it.name for it in list_all(connection)]
            return [
                _shown(owner, plain(each))
                for owner in owners
                for each in users.list_of(owner, connection)
            ]

    def add(self, login: str, role: str, password: str) -> None:
        """Add a user."""
        name, tenant = parse_login(login)
        hashed = passphrases.hash_passphrase(password)
        with self._opened() as connection:
            users.add(tenant, connection, name, role=role, password_hash=hashed)
            record(tenant, connection, "user_added", name, role=role)

    def remove(self, login: str) -> None:
        """Remove a user, the last admin too."""
        name, tenant = parse_login(login)
        with self._opened() as connection:
            users.remove(tenant, connection, name, spare_last_admin=False)
            record(tenant, connection, "user_removed", name)

    def set_password(self, login: str, password: str) -> None:
        """Give a user another password."""
        name, tenant = parse_login(login)
        hashed = passphrases.hash_passphrase(password)
        with self._opened() as connection:
            users.set_password(tenant, connection, name, hashed)
            record(tenant, connection, "user_password_set", name)

    def set_role(self, login: str, role: str) -> None:
        """Give a user another role."""
        name, tenant = parse_login(login)
        with self._opened() as connection:
            users.set_role(tenant, connection, name, role, spare_last_admin=False)
            record(tenant, connection, "user_role_set", name, role=role)


class AskedUsers:
    """Users of the tenant that a facade lets its caller manage."""

    def __init__(self, facade: Facade) -> None:
        self._facade = facade

    def list_of(self, tenant: str | None) -> list[Document]:
        """Return the tenant's users."""
        owner = own_tenant(self._facade, tenant)
        return [_shown(owner, plain(it)) for it in self._facade.pages("/v1/users", "users")]

    def add(self, login: str, role: str, password: str) -> None:
        """Add a user."""
        name, tenant = parse_login(login)
        check_own(self._facade, tenant)
        body = {"name": name, "role": role, "password": password}
        self._facade.ask("POST", "/v1/users", body=body)

    def remove(self, login: str) -> None:
        """Remove a user; the last admin stays."""
        self._facade.ask("DELETE", self._path(login))

    def set_password(self, login: str, password: str) -> None:
        """Give a user another password."""
        self._facade.ask("PATCH", self._path(login), body={"password": password})

    def set_role(self, login: str, role: str) -> None:
        """Give a user another role."""
        self._facade.ask("PATCH", self._path(login), body={"role": role})

    def _path(self, login: str) -> str:
        name, tenant = parse_login(login)
        check_own(self._facade, tenant)
        return f"/v1/users/{name}"


def _shown(tenant: str, known: Document) -> Document:
    return {
        "user": f"{known['name']}@{tenant}",
        "role": known["role"],
        "created_at": known["created_at"],
    }
