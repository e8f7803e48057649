"""Alerts of a tenant, as people see them: listed, and acknowledged by one of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, text

from noctis.alerts import Name
from noctis.identity import DeviceId
from noctis.storage.errors import NotFoundError
from noctis.topics import shard_of

__all__ = ["Alert", "State", "acknowledge", "get", "list_of"]

State = Literal["open", "cleared"]

_LIST: Final = """
SELECT a.id, d.name AS device, a.rule, a.message, a.details, a.raised_at, a.cleared_at,
       a.acknowledged_at, a.acknowledged_by
  FROM alerts a
  JOIN tenants t ON t.id = a.tenant_id
  JOIN devices d ON d.id = a.device_id
 WHERE t.name = :tenant
"""
_PAGE: Final = text(f"""{_LIST}
   AND (CAST(:device AS text) IS NULL OR d.name = :device)
   AND (CAST(:rule AS text) IS NULL OR a.rule = :rule)
   AND (CAST(:is_open AS boolean) IS NULL OR (a.cleared_at IS NULL) = :is_open)
   AND (CAST(:is_acknowledged AS boolean) IS NULL
        OR (a.acknowledged_at IS NOT NULL) = :is_acknowledged)
   AND (CAST(:before AS bigint) IS NULL OR a.id < :before)
 ORDER BY a.id DESC LIMIT :limit
""")
_GET: Final = text(f"{_LIST} AND a.id = :id")
_ACKNOWLEDGE: Final = text("""
WITH acknowledged AS (
  UPDATE alerts a SET acknowledged_at = clock_timestamp(), acknowledged_by = :by
    FROM tenants t
   WHERE t.name = :tenant AND a.tenant_id = t.id AND a.id = :id AND acknowledged_at IS NULL
  RETURNING a.id, a.tenant_id, a.device_id, a.rule, a.acknowledged_at
)
INSERT INTO alert_events
       (tenant_id, device_id, alert_id, shard, rule, state, message, details, at)
SELECT tenant_id, device_id, id, :shard, rule, 'acknowledged', :message,
       jsonb_build_object('by', CAST(:by AS text)), acknowledged_at
  FROM acknowledged
""")


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert, open while ``cleared_at`` is None; ``message`` is what it said when raised."""

    id: int
    device: str
    rule: Name
    message: str
    details: dict[str, Any]
    raised_at: datetime
    cleared_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None

    @property
    def state(self) -> State:
        """``open`` or ``cleared``."""
        return "open" if self.cleared_at is None else "cleared"


def list_of(
    tenant: str,
    connection: Connection,
    *,
    device: str | None = None,
    rule: Name | None = None,
    state: State | None = None,
    acknowledged: bool | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Alert]:
    """Return alerts, the newest first; ``before``: those with a lower id."""
    keys = {
        "tenant": tenant,
        "device": device,
        "rule": rule,
        "is_open": None if state is None else state == "open",
        "is_acknowledged": acknowledged,
        "before": before,
        "limit": limit,
    }
    return [Alert(*row) for row in connection.execute(_PAGE, keys)]


def get(tenant: str, connection: Connection, key: int) -> Alert:
    """Return an alert; raise NotFoundError where the tenant has none of that id."""
    row = connection.execute(_GET, {"tenant": tenant, "id": key}).one_or_none()
    if row is None:
        message = f"tenant {tenant!r} has no alert {key}"
        raise NotFoundError(message, hint=f"noctis alert list {tenant} shows them")
    return Alert(*row)


def acknowledge(
    tenant: str, connection: Connection, key: int, *, by: str
) -> tuple[Alert, bool]:
    """Let ``by`` have seen an alert, and have that told; the first one counts, for good.

    Return the alert, and whether this was the first one. Raise NotFoundError where the tenant
    has none of that id.
    """
    known = get(tenant, connection, key)
    keys = {
        "tenant": tenant,
        "id": key,
        "by": by,
        "shard": shard_of(DeviceId(tenant, known.device)),
        "message": f"{known.device}: {by} has seen this alert.",
    }
    told = connection.execute(_ACKNOWLEDGE, keys)
    return get(tenant, connection, key), told.rowcount == 1
