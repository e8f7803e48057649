"""Gaps: epochs that are missing between stored ones of a window of time.

Each device's window is a range of its primary key: an index alone is read, however many epochs
there are outside the window. What a device itself told of, by a new run, is no gap.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

__all__ = ["ARRIVING_S", "MISSING", "Gap", "list_all"]

ARRIVING_S: Final = 300
"""Epochs that began less long ago may be on their way, and are not looked at."""

MISSING: Final = """
SELECT e.tenant_id, e.device_id, e.stored,
       greatest(0, high - low + 1 - stored - coalesce(known, 0)) AS missing
  FROM (
    SELECT d.tenant_id, d.id AS device_id, own.*
      FROM devices d CROSS JOIN LATERAL (
        SELECT stream, min(seq) AS low, max(seq) AS high, count(*) AS stored FROM epochs
         WHERE device_id = d.id
           AND epoch_start >= now() - make_interval(secs => :since)
           AND epoch_start < now() - make_interval(secs => :until)
         GROUP BY stream
      ) own
  ) e
  LEFT JOIN LATERAL (
    SELECT sum(1 + least(r.voids, r.run_seq - low)) AS known FROM runs r
     WHERE r.device_id = e.device_id AND r.stream = e.stream
       AND r.run_seq BETWEEN low AND high
  ) told ON true
"""
"""A row for each stream with epochs in the window: how many are stored, how many missing."""

_GAPS: Final = text(f"""
SELECT t.name AS tenant, d.name AS device, sum(lost.missing)::bigint AS missing,
       sum(lost.stored)::bigint AS stored
  FROM ({MISSING}) lost
  JOIN devices d ON d.id = lost.device_id
  JOIN tenants t ON t.id = lost.tenant_id AND NOT t.synthetic
 WHERE lost.missing > 0
 GROUP BY t.name, d.name ORDER BY missing DESC, t.name, d.name LIMIT :limit
""")  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class Gap:
    """A device that stored so many epochs of a window, and between them misses others."""

    tenant: str
    device: str
    missing: int
    stored: int


def list_all(connection: Connection, since_s: int, *, limit: int) -> list[Gap]:
    """Return the devices that miss epochs of the last ``since_s`` seconds, the most first."""
    keys = {"since": since_s, "until": ARRIVING_S, "limit": limit}
    return [Gap(*row) for row in connection.execute(_GAPS, keys)]
