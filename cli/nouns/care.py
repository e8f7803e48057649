"""What is sent again, and what goes for good: of devices that a platform knows."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Protocol
from uuid import UUID

from cli.auditing import record
from cli.facade import Facade
from cli.local import operator
from cli.nouns.documents import Document, Open, plain
from cli.nouns.tenancy import check_own
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId
from noctis.storage import commands, devices, erasures, missing
from noctis.storage.commands import Range
from noctis.storage.erasures import Erasure

__all__ = ["AskedCare", "Care", "StoredCare"]

_ERASURE = ("kind", "state", "keep_device", "requested_at", "done_at", "counts")


class Care(Protocol):
    """What can be asked."""

    def resend(self, who: DeviceId, wanted: Range | None) -> Document:
        """Order a range, or all that is missing; return ``commands`` and ``overwritten``."""

    def commands(self, who: DeviceId, ids: Sequence[str]) -> list[Document]:
        """Return how far commands are."""

    def names(self, tenant: str) -> list[str]:
        """Return the names of a tenant's devices."""

    def erase(self, tenant: str, device: str | None, *, keep_device: bool) -> Document:
        """Order everything of a device, or of a tenant, to go; return the erasure."""

    def erasure(self, number: int) -> Document:
        """Return how far an erasure is."""

    def erasures(self) -> list[Document]:
        """Return all erasures."""


class StoredCare:
    """By this machine's database."""

    def __init__(self, opened: Open) -> None:
        self._opened = opened

    def resend(self, who: DeviceId, wanted: Range | None) -> Document:
        """Order epochs of a device."""
        with self._opened() as connection:
            ranges, overwritten = [wanted] if wanted else [], 0
            if wanted is None:
                found = missing.find(who.tenant, connection, who.device)
                ranges, overwritten = found.ranges, found.overwritten
            ids = commands.order_resend(who.tenant, connection, who.device, ranges)
            record(who.tenant, connection, "device_ordered", str(who), order="resend")
            made = commands.list_of(who.tenant, connection, who.device, ids)
        return {"commands": [plain(asdict(it)) for it in made], "overwritten": overwritten}

    def commands(self, who: DeviceId, ids: Sequence[str]) -> list[Document]:
        """Return commands of a device."""
        keys = [UUID(it) for it in ids]
        with self._opened() as connection:
            made = commands.list_of(who.tenant, connection, who.device, keys)
        return [plain(asdict(it)) for it in made]

    def names(self, tenant: str) -> list[str]:
        """Return a tenant's devices."""
        with self._opened() as connection:
            return [it.name for it in devices.list_of(tenant, connection)]

    def erase(self, tenant: str, device: str | None, *, keep_device: bool) -> Document:
        """Order an erasure."""
        subject = tenant if device is None else f"{tenant}/{device}"
        by = operator().removeprefix("cli:")
        with self._opened() as connection:
            made = erasures.request(tenant, connection, device, by=by, keep_device=keep_device)
            record(tenant, connection, "erasure_requested", subject, erasure=made.id)
        return _told(made)

    def erasure(self, number: int) -> Document:
        """Return an erasure."""
        with self._opened() as connection:
            return _told(erasures.get(connection, number))

    def erasures(self) -> list[Document]:
        """Return all erasures."""
        with self._opened() as connection:
            return [_told(it) for it in erasures.list_all(connection)]


class AskedCare:
    """By a facade, of the caller's tenant."""

    def __init__(self, facade: Facade) -> None:
        self._facade = facade

    def resend(self, who: DeviceId, wanted: Range | None) -> Document:
        """Order epochs of a device."""
        body: dict[str, Any] = {"missing": True}
        if wanted is not None:
            body = {"ranges": [asdict(wanted) | {"stream": f"{wanted.stream:016x}"}]}
        document: Document = plain(
            self._facade.ask("POST", f"{self._path(who)}:resend", body=body)
        )
        return document

    def commands(self, who: DeviceId, ids: Sequence[str]) -> list[Document]:
        """Return commands of a device."""
        paths = (f"{self._path(who)}/commands/{key}" for key in ids)
        return [plain(self._facade.ask("GET", path)) for path in paths]

    def names(self, tenant: str) -> list[str]:
        """Return the tenant's devices."""
        check_own(self._facade, tenant)
        return [it["name"] for it in self._facade.pages("/v1/devices", "devices")]

    def erase(self, tenant: str, device: str | None, *, keep_device: bool) -> Document:
        """Order an erasure of a device."""
        if device is None:
            message = "a facade erases devices, no tenant"
            hint = "run it where the platform runs, with NOCTIS_PROFILE=local"
            raise ConfigurationError(message, hint=hint)
        path = f"{self._path(DeviceId(tenant, device))}:erase"
        body = {"keep_device": keep_device}
        return _erased(plain(self._facade.ask("POST", path, body=body)))

    def erasure(self, number: int) -> Document:
        """Return an erasure of the tenant."""
        return _erased(plain(self._facade.ask("GET", f"/v1/erasures/{number}")))

    def erasures(self) -> list[Document]:
        """Raise ConfigurationError: a facade tells one at a time."""
        message = "a facade tells of one erasure, by its number"
        hint = "noctis erasure NUMBER; all are listed where the platform runs"
        raise ConfigurationError(message, hint=hint)

    def _path(self, who: DeviceId) -> str:
        check_own(self._facade, who.tenant)
        return f"/v1/devices/{who.device}"


def _told(made: Erasure) -> Document:
    return _erased(asdict(made) | {"state": made.state})


def _erased(told: Document) -> Document:
    """Return an erasure as commands show it; whose it was a facade does not tell."""
    shown = {name: plain(told[name]) for name in _ERASURE}
    whose = {"subject": told.get("subject"), "requested_by": told.get("requested_by")}
    return {"erasure": told["id"], **whose, **shown}
