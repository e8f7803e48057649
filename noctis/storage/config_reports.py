"""What devices say that they are set to, beside what is desired of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from noctis.identity import DeviceId
from noctis.status import ConfigReport
from noctis.storage.command_models import config_reports, device_configs
from noctis.storage.devices import get as device_of
from noctis.storage.models import devices, tenants

__all__ = ["BELIEVED", "last", "store"]

BELIEVED: Final = 1 << 31
"""Versions from here on are no version that the platform ever gave: whoever says so lies."""

_OWNER: Final = (
    select(devices.c.id)
    .join(tenants, tenants.c.id == devices.c.tenant_id)
    .where(tenants.c.name == bindparam("tenant"), devices.c.name == bindparam("device"))
)


def store(connection: Connection, reports: Mapping[DeviceId, ConfigReport]) -> None:
    """Keep the newest report of each device; those of strangers are passed over.

    A device that follows a later version than is desired has outlived a database that was put
    back to its backup: what is desired gets a version above it, and so is told again.
    """
    for device in sorted(reports):  # in order: two companions never wait in a circle
        key = connection.scalar(_OWNER, {"tenant": device.tenant, "device": device.device})
        if key is None:
            continue
        report = reports[device]
        body = report.model_dump()
        new = insert(config_reports).values(
            device_id=key, version=report.version, body=body, reported_at=func.now()
        )
        connection.execute(
            new.on_conflict_do_update(
                index_elements=["device_id"],
                set_={name: new.excluded[name] for name in ("version", "body", "reported_at")},
            )
        )
        if report.version < BELIEVED:
            connection.execute(
                update(device_configs)
                .where(
                    device_configs.c.device_id == key,
                    device_configs.c.version < report.version,
                )
                .values(version=report.version + 1)
            )


def last(
    tenant: str, connection: Connection, device: str
) -> tuple[ConfigReport, datetime] | None:
    """Return what a device last said and when; None where it never did."""
    key = device_of(tenant, connection, device).id
    row = connection.execute(
        select(config_reports.c.body, config_reports.c.reported_at).where(
            config_reports.c.device_id == key
        )
    ).one_or_none()
    return None if row is None else (ConfigReport.model_validate(row.body), row.reported_at)
