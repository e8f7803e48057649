"""How the platform stands, tenant by tenant and as a whole, for monitors."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from noctis.storage.gaps import ARRIVING_S, MISSING

__all__ = [
    "GAP_S",
    "LINE",
    "LINE_S",
    "SILENT_S",
    "STORED_S",
    "Line",
    "Silent",
    "Standing",
    "TenantStanding",
    "line",
    "of_platform",
    "of_tenants",
    "silent",
]

SILENT_S: Final = 660
"""A device tells its status every five minutes: so long without one, and two are missing."""

GAP_S: Final = (1200, ARRIVING_S)
"""Epochs that began so long ago are looked at for gaps; younger ones may be on their way."""

_TENANTS: Final = text(f"""
WITH reported AS (
  SELECT d.tenant_id, r.body,
         CASE WHEN r.device_id IS NULL THEN 'new'
              WHEN r.body ->> 'state' = 'lost' THEN 'lost'
              WHEN r.reported_at < now() - make_interval(secs => :silent) THEN 'silent'
              WHEN r.body ->> 'state' = 'sleeping' THEN 'sleeping'
              ELSE 'online' END AS state
    FROM devices d LEFT JOIN device_reports r ON r.device_id = d.id
   WHERE d.revoked_at IS NULL
), standing AS (
  SELECT tenant_id,
         count(*) FILTER (WHERE state = 'online') AS online,
         count(*) FILTER (WHERE state = 'sleeping') AS sleeping,
         count(*) FILTER (WHERE state = 'silent') AS silent,
         count(*) FILTER (WHERE state = 'lost') AS lost,
         count(*) FILTER (WHERE state = 'new') AS new,
         sum((body ->> 'backlog')::bigint) AS backlog,
         sum((body ->> 'overwritten')::bigint) AS overwritten,
         sum((body ->> 'damaged')::bigint) AS damaged
    FROM reported GROUP BY tenant_id
), gaps AS (
  SELECT tenant_id, sum(missing) AS missing FROM ({MISSING}) lost GROUP BY tenant_id
)
SELECT t.name, coalesce(online, 0), coalesce(sleeping, 0), coalesce(silent, 0),
       coalesce(lost, 0), coalesce(new, 0), coalesce(backlog, 0)::bigint,
       coalesce(overwritten, 0)::bigint, coalesce(damaged, 0)::bigint,
       coalesce(missing, 0)::bigint
  FROM tenants t
  LEFT JOIN standing s ON s.tenant_id = t.id
  LEFT JOIN gaps g ON g.tenant_id = t.id
 WHERE NOT t.synthetic
 ORDER BY t.name
""")  # noqa: S608 - a constant
_SILENT: Final = text("""
SELECT t.name AS tenant, d.name AS device, r.body ->> 'state' AS state, r.reported_at,
       coalesce((r.body ->> 'backlog')::bigint, 0) AS backlog
  FROM device_reports r
  JOIN devices d ON d.id = r.device_id AND d.revoked_at IS NULL
  JOIN tenants t ON t.id = d.tenant_id AND NOT t.synthetic
 WHERE r.reported_at < now() - make_interval(secs => :silent) OR r.body ->> 'state' = 'lost'
 ORDER BY r.reported_at, t.name, d.name LIMIT :limit
""")
LINE_S: Final = 600
"""The epochs that began so lately say how the line runs."""

STORED_S: Final = 2 * 86400
"""Of each device the last epoch that began so lately says when something was stored."""

# Each device's stretch is a range of its primary key: all else that is stored is not read.
LINE: Final = text("""
SELECT coalesce(sum(recent.epochs), 0) * 60.0 / :since AS per_minute,
       extract(epoch FROM now() - max(recent.last))::float8 AS last_s,
       coalesce(sum(recent.unstaged), 0)::bigint AS unstaged,
       extract(epoch FROM clock_timestamp() - max(newest.received_at))::float8 AS stored_s
  FROM devices d
  CROSS JOIN LATERAL (
    SELECT count(*) AS epochs, max(e.epoch_start) AS last,
           count(*) FILTER (WHERE NOT EXISTS (
             SELECT FROM predictions p WHERE p.device_id = e.device_id
                AND p.stream = e.stream AND p.seq = e.seq)) AS unstaged
      FROM epochs e
     WHERE e.device_id = d.id
       AND e.epoch_start >= now() - make_interval(secs => :since) AND e.epoch_start < now()
  ) recent
  LEFT JOIN LATERAL (
    SELECT e.received_at FROM epochs e
     WHERE e.device_id = d.id AND e.epoch_start >= now() - make_interval(secs => :stored)
     ORDER BY e.epoch_start DESC LIMIT 1
  ) newest ON true
""")
_PLATFORM: Final = text("""
SELECT pg_database_size(current_database()) AS database_bytes,
       (SELECT count(*) FROM stale_nights) AS stale_days,
       (SELECT count(*) FROM erasures WHERE done_at IS NULL) AS erasures,
       (SELECT count(*) FROM operations
         WHERE finished_at IS NULL AND cancelled_at IS NULL) AS operations,
       (SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0) FROM operations
         WHERE finished_at IS NULL AND cancelled_at IS NULL)::float8 AS oldest_operation_s
""")


@dataclass(frozen=True, slots=True)
class TenantStanding:
    """A tenant's devices that are not revoked, by state, and their epochs.

    ``online``, ``sleeping``, ``lost``: as the device, or its last will, said; ``silent``: said
    nothing for SILENT_S; ``new``: never said anything. By the devices' own last words:
    ``backlog`` epochs that are not acknowledged, ``overwritten`` and ``damaged`` since boot.
    ``missing``: epochs between the stored ones of GAP_S that are not stored.
    """

    name: str
    online: int
    sleeping: int
    silent: int
    lost: int
    new: int
    backlog: int
    overwritten: int
    damaged: int
    missing: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What waits in the database, and its size.

    ``stale_days``: days of devices whose nights are to be found again; ``operations``: ordered
    and not finished, the oldest of them ``oldest_operation_s`` ago.
    """

    database_bytes: int
    stale_days: int
    erasures: int
    operations: int
    oldest_operation_s: float


@dataclass(frozen=True, slots=True)
class Line:
    """How the line runs, by the epochs that began within LINE_S and are stored.

    ``last_s``: how long ago the last of them began, None without any. ``unstaged``: those that
    no model has staged yet. ``stored_s``: how long ago one was stored, be it one that a device
    brings late; None where none began within STORED_S.
    """

    per_minute: float
    last_s: float | None
    unstaged: int
    stored_s: float | None


@dataclass(frozen=True, slots=True)
class Silent:
    """A device that the broker lost, or that said nothing for SILENT_S; its last words."""

    tenant: str
    device: str
    state: str | None
    reported_at: datetime
    backlog: int


def silent(connection: Connection, *, limit: int) -> list[Silent]:
    """Return the devices that say nothing, the longest silent first."""
    keys = {"silent": SILENT_S, "limit": limit}
    return [Silent(*row) for row in connection.execute(_SILENT, keys)]


def of_tenants(connection: Connection) -> list[TenantStanding]:
    """Return how each tenant stands, in the order of their names."""
    since, until = GAP_S
    rows = connection.execute(_TENANTS, {"silent": SILENT_S, "since": since, "until": until})
    return [TenantStanding(*row) for row in rows]


def of_platform(connection: Connection) -> Standing:
    """Return how the platform stands."""
    return Standing(*connection.execute(_PLATFORM).one())


def line(connection: Connection) -> Line:
    """Return how the line runs, over all tenants."""
    rate, *rest = connection.execute(LINE, {"since": LINE_S, "stored": STORED_S}).one()
    return Line(float(rate), *rest)
