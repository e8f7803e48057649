"""What is to be told of alerts: kept with what happened, until the broker has it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from noctis.alerts import Name, Transition
from noctis.identity import DeviceId

__all__ = ["Event", "told", "untold"]

_UNTOLD: Final = text("""
SELECT e.id, t.name AS tenant, d.name AS device, e.alert_id, e.rule, e.state, e.at, e.message,
       e.details
  FROM alert_events e
  JOIN tenants t ON t.id = e.tenant_id
  JOIN devices d ON d.id = e.device_id
 WHERE e.told_at IS NULL AND e.shard = ANY(:shards)
 ORDER BY e.id LIMIT :limit
""")
_TOLD: Final = text(
    "UPDATE alert_events SET told_at = clock_timestamp() WHERE id = ANY(:events)"
)


@dataclass(frozen=True, slots=True)
class Event:
    """A transition of an alert; its ``id`` is the same however often it is told."""

    id: int
    device: DeviceId
    alert_id: int
    rule: Name
    state: Transition
    at: datetime
    message: str
    details: dict[str, Any]


def untold(connection: Connection, shards: Collection[int], *, limit: int) -> list[Event]:
    """Return what the broker does not have yet of these shards' devices, oldest first."""
    keys = {"shards": sorted(shards), "limit": limit}
    return [
        Event(row.id, DeviceId(row.tenant, row.device), *row[3:])
        for row in connection.execute(_UNTOLD, keys)
    ]


def told(connection: Connection, events: Sequence[int]) -> None:
    """Write down that the broker has events."""
    connection.execute(_TOLD, {"events": list(events)})
