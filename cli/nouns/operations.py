"""Operations: what takes long and was ordered over a facade."""

from typing import Protocol
from uuid import UUID

from api.operations import told
from cli.facade import Facade
from cli.nouns.documents import Document, Open, plain
from cli.nouns.tenancy import check_own
from noctis.errors import ConfigurationError
from noctis.storage import operations
from noctis.storage.tenants import id_of

__all__ = ["AskedOperations", "Operations", "StoredOperations"]


class Operations(Protocol):
    """What can be asked of operations."""

    def list_of(self, tenant: str, limit: int) -> list[Document]:
        """Return a tenant's operations, the newest first."""

    def get(self, tenant: str, key: UUID) -> Document:
        """Return how far an operation is."""

    def cancel(self, tenant: str, key: UUID) -> Document:
        """Let an operation end after what is in hand."""

    def resume(self, tenant: str, key: UUID) -> Document:
        """Go on with an operation that was cancelled or failed."""


class StoredOperations:
    """Operations in this machine's database."""

    def __init__(self, opened: Open) -> None:
        self._opened = opened

    def list_of(self, tenant: str, limit: int) -> list[Document]:
        """Return a tenant's operations of every kind."""
        with self._opened() as connection:
            id_of(tenant, connection)
            found = operations.list_of(
                tenant, connection, operations.KINDS, before=None, limit=limit
            )
        return [plain(told(it)) for it in found]

    def get(self, tenant: str, key: UUID) -> Document:
        """Return an operation."""
        with self._opened() as connection:
            document: Document = plain(told(operations.get(tenant, connection, key)))
        return document

    def cancel(self, tenant: str, key: UUID) -> Document:
        """Cancel an operation; one that is finished stays as it is."""
        with self._opened() as connection:
            document: Document = plain(told(operations.cancel(tenant, connection, key)))
        return document

    def resume(self, tenant: str, key: UUID) -> Document:
        """Resume an operation; raise ConfigurationError for one that is done."""
        with self._opened() as connection:
            if operations.get(tenant, connection, key).state == "done":
                message = f"operation {key} is done"
                raise ConfigurationError(message, hint="order another one")
            document: Document = plain(told(operations.resume(tenant, connection, key)))
        return document


class AskedOperations:
    """Operations of the kinds that a facade lets its caller follow."""

    def __init__(self, facade: Facade) -> None:
        self._facade = facade

    def list_of(self, tenant: str, limit: int) -> list[Document]:
        """Return the tenant's operations."""
        check_own(self._facade, tenant)
        found = self._facade.ask("GET", "/v1/operations", params={"page_size": limit})
        return [plain(it) for it in found["operations"]]

    def get(self, tenant: str, key: UUID) -> Document:
        """Return an operation."""
        return self._told("GET", tenant, str(key))

    def cancel(self, tenant: str, key: UUID) -> Document:
        """Cancel an operation."""
        return self._told("POST", tenant, f"{key}:cancel")

    def resume(self, tenant: str, key: UUID) -> Document:
        """Resume an operation."""
        return self._told("POST", tenant, f"{key}:resume")

    def _told(self, method: str, tenant: str, place: str) -> Document:
        check_own(self._facade, tenant)
        document: Document = plain(self._facade.ask(method, f"/v1/operations/{place}"))
        return document
