"""Devices: what they are, how they are, what they are told to do and to be."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from uuid import UUID

from cli.auditing import record
from cli.facade import Facade
from cli.nouns.documents import Document, Open, plain
from cli.nouns.tenancy import check_own, own_tenant
from noctis.identity import DeviceId
from noctis.status import Status
from noctis.storage import (
    accounts,
    certificates,
    commands,
    config_reports,
    configs,
    devices,
    logs,
    reports,
)
from noctis.storage.commands import Nudge
from noctis.storage.standing import SILENT_S
from noctis.storage.tenants import list_all

__all__ = ["AskedDevices", "Devices", "StoredDevices"]

Setting = bool | int | str | None


class Devices(Protocol):
    """What can be asked of devices."""

    def list_of(self, tenant: str | None) -> list[Document]:
        """Return a tenant's devices by name; of all tenants in reach without one."""

    def get(self, who: DeviceId) -> Document:
        """Return a device with its last report; a facade tells no end of a certificate."""

    def add(self, who: DeviceId, time_zone: str) -> Document:
        """Add a device; return its user name and password."""

    def rotate(self, who: DeviceId) -> Document:
        """Give a device another password; return it with the user name."""

    def revoke(self, who: DeviceId) -> Document:
        """Take a device's account away for good; return the device."""

    def order(self, who: DeviceId, what: Nudge, seconds: int | None) -> Document:
        """Order something; return the command."""

    def command(self, who: DeviceId, key: str) -> Document:
        """Return how far a command is."""

    def logs(self, who: DeviceId, level: str, limit: int) -> list[Document]:
        """Return the newest lines of a level or graver, the newest first."""

    def config(self, who: DeviceId) -> Document:
        """Return what a device is to be set to, and what it is set to."""

    def configure(self, who: DeviceId, changes: Mapping[str, Setting]) -> None:
        """Change single names of what a device is to be set to; None: left to the device."""


class StoredDevices:
    """Devices in this machine's database."""

    def __init__(self, opened: Open) -> None:
        self._opened = opened

    def list_of(self, tenant: str | None) -> list[Document]:
        """Return a tenant's devices, without one those of all tenants."""
        with self._opened() as connection:
            owners = [tenant] if tenant else [it.name for it in list_all(connection)]
            return [
                _shown(owner, plain(each), _report(told.get(each.name)))
                for owner in owners
                for told in [reports.newest(owner, connection)]
                for each in devices.list_of(owner, connection)
            ]

    def get(self, who: DeviceId) -> Document:
        """Return a device with its last report."""
        with self._opened() as connection:
            known = devices.get(who.tenant, connection, who.device)
            report = _report(reports.last(who.tenant, connection, who.device))
            issued = certificates.list_of(who.tenant, connection, who.device)
        good = [it.not_after for it in issued if it.revoked_at is None]
        ends = plain(max(good, default=None))
        shown = _shown(who.tenant, plain(known), report)
        return shown | {"certificate_ends": ends, "reported": report}

    def add(self, who: DeviceId, time_zone: str) -> Document:
        """Add a device with an account."""
        with self._opened() as connection:
            devices.add(who.tenant, connection, who.device, time_zone=time_zone)
            password = accounts.add(who.tenant, connection, str(who), "device")
            record(who.tenant, connection, "device_added", str(who))
        return {"username": str(who), "password": password}

    def rotate(self, who: DeviceId) -> Document:
        """Give a device another password."""
        with self._opened() as connection:
            password = accounts.set_password(who.tenant, connection, str(who))
            record(who.tenant, connection, "device_rotated", str(who))
        return {"username": str(who), "password": password}

    def revoke(self, who: DeviceId) -> Document:
        """Revoke a device and its account."""
        with self._opened() as connection:
            devices.revoke(who.tenant, connection, who.device)
            record(who.tenant, connection, "device_revoked", str(who))
        return self.get(who)

    def order(self, who: DeviceId, what: Nudge, seconds: int | None) -> Document:
        """Order something of a device."""
        with self._opened() as connection:
            key = commands.order(who.tenant, connection, who.device, what, seconds=seconds)
            record(who.tenant, connection, "device_ordered", str(who), order=what)
        return self.command(who, str(key))

    def command(self, who: DeviceId, key: str) -> Document:
        """Return a command."""
        with self._opened() as connection:
            [told] = commands.list_of(who.tenant, connection, who.device, [UUID(key)])
        document: Document = plain(told)
        return document

    def logs(self, who: DeviceId, level: str, limit: int) -> list[Document]:
        """Return a device's lines."""
        with self._opened() as connection:
            found = logs.list_of(
                who.tenant, connection, who.device, level=logs.level_of(level), limit=limit
            )
        return [_line(plain(it)) for it in found]

    def config(self, who: DeviceId) -> Document:
        """Return a device's configuration."""
        with self._opened() as connection:
            wanted = configs.get(who.tenant, connection, who.device)
            found = config_reports.last(who.tenant, connection, who.device)
            heard = reports.last(who.tenant, connection, who.device)
        report = found[0] if found and heard else None
        followed = report.version if report else heard[0].config if heard else None
        follows = followed == wanted.version
        return {
            "version": wanted.version,
            "desired": wanted.body,
            "reported_version": followed,
            "settings": None if report is None else report.settings,
            "refused": report.refused if report and follows else {},
            "in_force": follows and not (report and report.refused),
        }

    def configure(self, who: DeviceId, changes: Mapping[str, Setting]) -> None:
        """Change a device's configuration."""
        with self._opened() as connection:
            known = configs.get(who.tenant, connection, who.device, to_change=True)
            wanted = _changed(known.body, changes)
            configs.check(wanted)
            made = configs.put(who.tenant, connection, who.device, wanted)
            if made.version != known.version:
                facts = {"changed": configs.changed(known.body, made.body)}
                record(who.tenant, connection, "device_configured", str(who), **facts)


class AskedDevices:
    """Devices of the tenant that a facade lets its caller see."""

    def __init__(self, facade: Facade) -> None:
        self._facade = facade

    def list_of(self, tenant: str | None) -> list[Document]:
        """Return the tenant's devices."""
        owner = own_tenant(self._facade, tenant)
        found = self._facade.pages("/v1/devices", "devices")
        return [_shown(owner, plain(it), plain(it["reported"])) for it in found]

    def get(self, who: DeviceId) -> Document:
        """Return a device with its last report."""
        told = plain(self._facade.ask("GET", self._path(who)))
        shown = _shown(who.tenant, told, told["reported"])
        return shown | {"certificate_ends": None, "reported": told["reported"]}

    def add(self, who: DeviceId, time_zone: str) -> Document:
        """Provision a device."""
        check_own(self._facade, who.tenant)
        body = {"name": who.device, "time_zone": time_zone}
        told = self._facade.ask("POST", "/v1/devices", body=body)
        return _credential(told["credential"])

    def rotate(self, who: DeviceId) -> Document:
        """Give a device another password."""
        return _credential(self._facade.ask("POST", f"{self._path(who)}:rotate"))

    def revoke(self, who: DeviceId) -> Document:
        """Revoke a device."""
        self._facade.ask("POST", f"{self._path(who)}:revoke")
        return self.get(who)

    def order(self, who: DeviceId, what: Nudge, seconds: int | None) -> Document:
        """Order something of a device."""
        body = None if seconds is None else {"seconds": seconds}
        document: Document = plain(
            self._facade.ask("POST", f"{self._path(who)}:{what}", body=body)
        )
        return document

    def command(self, who: DeviceId, key: str) -> Document:
        """Return a command."""
        document: Document = plain(self._facade.ask("GET", f"{self._path(who)}/commands/{key}"))
        return document

    def logs(self, who: DeviceId, level: str, limit: int) -> list[Document]:
        """Return a device's lines."""
        query = {"level": logs.level_of(level), "page_size": limit}
        told = self._facade.ask("GET", f"{self._path(who)}/logs", params=query)
        return [_line(plain(it)) for it in told["lines"]]

    def config(self, who: DeviceId) -> Document:
        """Return a device's configuration."""
        told = self._facade.ask("GET", f"{self._path(who)}/config")
        report = told["reported"] or {}
        follows = report.get("version") == told["version"]
        return {
            "version": told["version"],
            "desired": told["desired"],
            "reported_version": report.get("version"),
            "settings": report.get("settings"),
            "refused": report["refused"] if follows else {},
            "in_force": told["in_force"],
        }

    def configure(self, who: DeviceId, changes: Mapping[str, Setting]) -> None:
        """Change a device's configuration, unless somebody else did meanwhile."""
        path = f"{self._path(who)}/config"
        known = self._facade.exchange("GET", path)
        body = {"desired": _changed(known.json()["desired"], changes)}
        self._facade.ask("PUT", path, body=body, headers={"If-Match": known.headers["ETag"]})

    def _path(self, who: DeviceId) -> str:
        check_own(self._facade, who.tenant)
        return f"/v1/devices/{who.device}"


def _shown(tenant: str, known: Document, report: Document | None) -> Document:
    """Return a device in the names that commands show."""
    status = report["status"] if report else {}
    return {
        "device": f"{tenant}/{known['name']}",
        "state": _state(known, report),
        "last_seen": report["at"] if report else None,
        "backlog": status.get("backlog"),
        "firmware": status.get("firmware") or None,
        "certificate": status.get("certificate") or None,
        "time_zone": known["time_zone"],
        "created_at": known["created_at"],
        "revoked_at": known["revoked_at"],
    }


def _state(known: Document, report: Document | None) -> str:
    """Return the word for how a device is, as monitors count it (noctis.storage.standing)."""
    if known["revoked_at"]:
        return "revoked"
    if report is None:
        return "new"
    said: str = report["status"]["state"]
    age = datetime.now(UTC) - datetime.fromisoformat(report["at"])
    return "silent" if said != "lost" and age.total_seconds() > SILENT_S else said


def _report(told: tuple[Status, datetime] | None) -> Document | None:
    return None if told is None else {"at": plain(told[1]), "status": plain(told[0])}


def _credential(told: Document) -> Document:
    return {"username": told["username"], "password": told["password"]}


_LINE: Final = ("at", "level", "text", "times", "boot", "number")


def _line(told: Document) -> Document:
    return {name: told[name] for name in _LINE}


def _changed(body: Mapping[str, Any], changes: Mapping[str, Setting]) -> Document:
    return {key: it for key, it in {**body, **changes}.items() if it is not None}
