"""What people made of drift: who looked at what a report found, when, and what it was."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from noctis.storage.errors import NotFoundError

__all__ = ["Acknowledgement", "add", "of"]


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody looked at what a report found, and says what it was.

    ``changes``: streams that changed, and by which evening that was told. ``channels``: what
    was beyond chance against the training of ``model``, as ``hr_mean values``.
    """

    tenant: str
    device: str | None
    model: str
    changes: Mapping[str, date]
    channels: frozenset[str]
    by: str
    reason: str
    at: datetime


_ADD: Final = text("""
INSERT INTO drift_acknowledgements
       (tenant_id, device_id, model, findings, acknowledged_by, reason)
SELECT t.id, d.id, :model, CAST(:findings AS jsonb), :by, :reason
  FROM tenants t LEFT JOIN devices d ON d.tenant_id = t.id AND d.name = :device
 WHERE t.name = :tenant AND (d.id IS NOT NULL OR CAST(:device AS text) IS NULL)
RETURNING acknowledged_at
""")
# What is acknowledged of all of a tenant's devices is of each of them.
_OF: Final = text("""
SELECT t.name AS tenant, d.name AS device, a.model, a.findings, a.acknowledged_by, a.reason,
       a.acknowledged_at
  FROM drift_acknowledgements a
  JOIN tenants t ON t.id = a.tenant_id
  LEFT JOIN devices d ON d.id = a.device_id
 WHERE t.name = :tenant AND (a.device_id IS NULL OR d.name = CAST(:device AS text))
 ORDER BY a.id
""")


def add(
    tenant: str,
    connection: Connection,
    device: str | None,
    *,
    model: str,
    changes: Mapping[str, date],
    channels: Sequence[str],
    by: str,
    reason: str,
) -> Acknowledgement:
    """Keep that ``by`` looked at findings of a report on a tenant or a device of it.

    Raises NotFoundError where there is no such tenant or device.
    """
    told = {stream: day.isoformat() for stream, day in changes.items()}
    at = connection.scalar(
        _ADD,
        {
            "tenant": tenant,
            "device": device,
            "model": model,
            "findings": json.dumps({"changes": told, "channels": list(channels)}),
            "by": by,
            "reason": reason,
        },
    )
    if at is None:
        whose = tenant if device is None else f"{tenant}/{device}"
        message = f"there is no {whose}"
        raise NotFoundError(message, hint="list them: noctis tenant list, noctis device list")
    return Acknowledgement(
        tenant, device, model, dict(changes), frozenset(channels), by, reason, at
    )


def of(tenant: str, connection: Connection, device: str | None) -> list[Acknowledgement]:
    """Return what was acknowledged of a tenant, or of a device and of its tenant, in order."""
    rows = connection.execute(_OF, {"tenant": tenant, "device": device})
    return [
        Acknowledgement(
            row.tenant,
            row.device,
            row.model,
            _days(row.findings),
            frozenset(row.findings["channels"]),
            row.acknowledged_by,
            row.reason,
            row.acknowledged_at,
        )
        for row in rows
    ]


def _days(findings: Mapping[str, Any]) -> dict[str, date]:
    return {key: date.fromisoformat(day) for key, day in findings["changes"].items()}
