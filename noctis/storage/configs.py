"""What devices are to be set to: one configuration each, with a version that rises."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from noctis.errors import NoctisError, StorageError
from noctis.identity import DeviceId
from noctis.storage.command_models import config_reports, device_configs
from noctis.storage.config_reports import BELIEVED
from noctis.storage.devices import get as device_of
from noctis.storage.models import devices, tenants

__all__ = [
    "Config",
    "Desired",
    "UnreadableError",
    "changed",
    "check",
    "get",
    "put",
    "to_tell",
    "told",
]

LONGEST: Final = 480
"""Characters of a configuration as JSON: with its version, what a device's parser reads."""

_KEY: Final = re.compile("[a-z][a-z0-9_]{0,31}")
_WORD: Final = re.compile(r"[ -!#-\[\]-~]{0,64}")
_MOST: Final = 1 << 32


class UnreadableError(NoctisError):
    """A configuration that no device could read; ``name`` is what is wrong with, if one is."""

    def __init__(self, message: str, name: str | None = None) -> None:
        super().__init__(message, hint="see docs/protocol.md, Configuration")
        self.name = name


@dataclass(frozen=True, slots=True)
class Config:
    """A device's configuration; version 0, empty and never changed, where none was given."""

    version: int
    body: dict[str, Any]
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Desired:
    """A configuration that a device is to be told."""

    device: DeviceId
    version: int
    body: dict[str, Any]


_NONE = Config(0, {}, None)


def get(tenant: str, connection: Connection, device: str, *, to_change: bool = False) -> Config:
    """Return a device's configuration; raise NotFoundError for an unknown device.

    ``to_change``: nobody else changes it before the transaction ends.
    """
    key = device_of(tenant, connection, device).id
    if to_change:  # the device's row: there may be no configuration yet
        connection.execute(select(devices.c.id).where(devices.c.id == key).with_for_update())
    row = connection.execute(
        select(
            device_configs.c.version, device_configs.c.body, device_configs.c.changed_at
        ).where(device_configs.c.device_id == key)
    ).one_or_none()
    return _NONE if row is None else Config(*row)


def check(desired: Mapping[str, object]) -> None:
    """Let pass what a device can read: it reads a configuration as strictly as a command."""
    for name, value in desired.items():
        if not _KEY.fullmatch(name) or name == "version":
            message = f"{name}: a name is a letter, then a-z, 0-9 and _, and not 'version'"
            raise UnreadableError(message, name)
        if not _is_plain(value):
            message = f"{name}: no bool, no whole number below 2^32, no short plain string"
            raise UnreadableError(message, name)
    length = len(json.dumps(desired, separators=(",", ":")))
    if length > LONGEST:
        message = f"{length} characters; {LONGEST} are the most"
        raise UnreadableError(message)


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return _WORD.fullmatch(value) is not None
    return isinstance(value, bool) or (isinstance(value, int) and 0 <= value < _MOST)


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return the names whose values differ, as a list for people."""
    names = before.keys() | after.keys()
    return ", ".join(sorted(name for name in names if before.get(name) != after.get(name)))


def put(
    tenant: str, connection: Connection, device: str, body: Mapping[str, str | int | bool]
) -> Config:
    """Give a device another configuration, of the next version; the same one changes nothing.

    The version is above the one that the device follows, too: it takes no older one.
    Raise NotFoundError for an unknown device, StorageError for a revoked one.
    """
    known = device_of(tenant, connection, device)
    if known.revoked_at is not None:
        message = f"device {tenant}/{device} is revoked: it cannot be told anything"
        raise StorageError(message, hint="add it under a new name")
    before = get(tenant, connection, device, to_change=True)
    if before.version and before.body == dict(body):
        return before
    version = max(before.version, _followed(connection, known.id)) + 1
    new = insert(device_configs).values(device_id=known.id, version=version, body=dict(body))
    connection.execute(
        new.on_conflict_do_update(
            index_elements=["device_id"],
            set_={
                "version": new.excluded.version,
                "body": new.excluded.body,
                "changed_at": func.now(),
            },
        )
    )
    return get(tenant, connection, device)


def _followed(connection: Connection, key: int) -> int:
    """Return the version that a device says it follows; 0 for none that can be believed."""
    version = connection.scalar(
        select(config_reports.c.version).where(config_reports.c.device_id == key)
    )
    return version if version is not None and version < BELIEVED else 0


def to_tell(connection: Connection, here: Collection[DeviceId]) -> list[Desired]:
    """Return the configurations that were never told, and of ``here`` those not reported."""
    names = [(device.tenant, device.device) for device in here]
    untold = _select().where(device_configs.c.told_version < device_configs.c.version)
    present = (
        _select()
        .outerjoin(config_reports, config_reports.c.device_id == device_configs.c.device_id)
        .where(
            tuple_(tenants.c.name, devices.c.name).in_(names),
            config_reports.c.version.is_distinct_from(device_configs.c.version),
        )
    )
    queries = [untold, present] if names else [untold]
    found = {row.device_id: row for query in queries for row in connection.execute(query)}
    return [
        Desired(DeviceId(row.tenant, row.device), row.version, row.body)
        for row in found.values()
    ]


def told(connection: Connection, given: Collection[Desired]) -> None:
    """Note that the broker has these configurations."""
    for each in given:
        owner = (
            select(devices.c.id)
            .join(tenants, tenants.c.id == devices.c.tenant_id)
            .where(tenants.c.name == each.device.tenant, devices.c.name == each.device.device)
            .scalar_subquery()
        )
        connection.execute(
            update(device_configs)
            .where(device_configs.c.device_id == owner)
            .values(told_version=func.greatest(device_configs.c.told_version, each.version))
        )


def _select() -> Select[Any]:
    return (
        select(
            device_configs.c.device_id,
            tenants.c.name.label("tenant"),
            devices.c.name.label("device"),
            device_configs.c.version,
            device_configs.c.body,
        )
        .join(devices, devices.c.id == device_configs.c.device_id)
        .join(tenants, tenants.c.id == devices.c.tenant_id)
        .where(devices.c.revoked_at.is_(None))
    )
