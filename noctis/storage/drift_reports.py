"""Reports on drift as they are kept: one of each tenant, device and day."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from noctis.identity import DeviceId
from noctis.topics import shard_of

__all__ = ["Kept", "Subject", "counts", "due", "forget", "keep", "newest"]


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose drift is looked at: a tenant's devices together, or one of them."""

    tenant_id: int
    tenant: str
    device_id: int | None
    device: str | None
    last_evening: date

    @property
    def name(self) -> str:
        """``tenant``, or ``tenant/device``."""
        return self.tenant if self.device is None else f"{self.tenant}/{self.device}"


@dataclass(frozen=True, slots=True)
class Kept:
    """A kept report; ``body`` is what ``drift.report.Report.as_json`` returned."""

    tenant: str
    device: str | None
    model: str
    day: date
    verdict: str
    body: dict[str, Any]
    made_at: datetime


# New or revised nights, or words of a person, since the last report, or another version.
_DUE: Final = text("""
WITH nights AS (
  SELECT d.tenant_id, d.id AS device_id, max(h.made_at) AS made_at, max(r.evening) AS evening
    FROM night_histograms h
    JOIN recordings r ON r.id = h.recording_id AND r.state = 'closed'
    JOIN devices d ON d.id = h.device_id
   GROUP BY 1, 2
), subjects AS (
  SELECT * FROM nights
  UNION ALL
  SELECT tenant_id, NULL, max(made_at), max(evening) FROM nights GROUP BY tenant_id
)
SELECT s.tenant_id, t.name AS tenant, s.device_id, d.name AS device, s.evening
  FROM subjects s
  JOIN tenants t ON t.id = s.tenant_id
  LEFT JOIN devices d ON d.id = s.device_id
 WHERE NOT EXISTS (
   SELECT FROM drift_reports k
    WHERE k.tenant_id = s.tenant_id AND k.device_id IS NOT DISTINCT FROM s.device_id
      AND k.model = :model AND k.made_at >= s.made_at
      AND NOT EXISTS (
        SELECT FROM drift_acknowledgements a
         WHERE a.tenant_id = s.tenant_id AND (a.device_id IS NULL OR a.device_id = s.device_id)
           AND a.acknowledged_at >= k.made_at))
 ORDER BY s.made_at, s.tenant_id, s.device_id NULLS FIRST
""")
_LAST: Final = text("""
SELECT verdict FROM drift_reports
 WHERE tenant_id = :tenant AND device_id IS NOT DISTINCT FROM CAST(:device AS integer)
 ORDER BY made_at DESC, id DESC LIMIT 1
""")
_KEEP: Final = text("""
INSERT INTO drift_reports (tenant_id, device_id, model, day, verdict, body, made_at)
VALUES (:tenant, :device, :model, :day, :verdict, CAST(:body AS jsonb), clock_timestamp())
ON CONFLICT ON CONSTRAINT uq_drift_reports_subject DO UPDATE
   SET model = excluded.model, verdict = excluded.verdict, body = excluded.body,
       made_at = excluded.made_at
""")
_NEWEST: Final = """
SELECT DISTINCT ON (k.tenant_id, k.device_id)
       t.name AS tenant, d.name AS device, k.model, k.day, k.verdict, k.body, k.made_at
  FROM drift_reports k
  JOIN tenants t ON t.id = k.tenant_id
  LEFT JOIN devices d ON d.id = k.device_id
 WHERE (CAST(:tenant AS text) IS NULL OR t.name = :tenant)
   AND (CAST(:device AS text) IS NULL OR d.name = :device)
 ORDER BY k.tenant_id, k.device_id NULLS FIRST, k.made_at DESC, k.id DESC
"""
_COUNTS: Final = text(f"""
SELECT CASE WHEN device IS NULL THEN 'tenant' ELSE 'device' END, verdict, count(*)
  FROM ({_NEWEST}) newest GROUP BY 1, 2
""")  # noqa: S608 - every part is a constant of the schema
_FORGET: Final = text("DELETE FROM drift_reports WHERE made_at < :before")


def due(
    connection: Connection, model: str, shards: Collection[int], *, limit: int
) -> list[Subject]:
    """Return whose nights changed since their last report on ``model``, longest waiting first.

    A tenant is looked after by the shard of its name.
    """
    found = [
        Subject(row.tenant_id, row.tenant, row.device_id, row.device, row.evening)
        for row in connection.execute(_DUE, {"model": model})
    ]
    mine = (it for it in found if shard_of(DeviceId(it.tenant, it.device or "all")) in shards)
    return list(mine)[:limit]


def keep(
    connection: Connection,
    subject: Subject,
    *,
    model: str,
    day: date,
    verdict: str,
    body: str,
) -> str | None:
    """Keep a report, JSON ``body``; return the verdict before it, None of a first one."""
    keys = {"tenant": subject.tenant_id, "device": subject.device_id}
    before: str | None = connection.scalar(_LAST, keys)
    connection.execute(
        _KEEP, {**keys, "model": model, "day": day, "verdict": verdict, "body": body}
    )
    return before


def newest(tenant: str | None, connection: Connection, device: str | None = None) -> list[Kept]:
    """Return the newest report of a tenant and of its devices, or of one; None: of all."""
    rows = connection.execute(text(_NEWEST), {"tenant": tenant, "device": device})
    return [Kept(*row) for row in rows]


def counts(connection: Connection) -> Mapping[tuple[str, str], int]:
    """Return how many newest reports there are by (``tenant`` or ``device``, verdict)."""
    rows = connection.execute(_COUNTS, {"tenant": None, "device": None})
    return {(kind, verdict): number for kind, verdict, number in rows}


def forget(connection: Connection, before: datetime) -> int:
    """Delete the reports that were made before then."""
    return connection.execute(_FORGET, {"before": before}).rowcount
