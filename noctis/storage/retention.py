"""What is older than its tenant keeps, and how it goes: in steps, each a short transaction.

Epochs count from the start that their own run's clock gave them, epochs without a clock from
their receipt. Nothing is remembered between steps: whoever is cut off begins again.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from noctis.epoch import EPOCH_SECONDS
from noctis.identity import DeviceId
from noctis.storage import disposal, night_news
from noctis.storage.timescale import Edition, edition
from noctis.topics import shard_of

__all__ = ["Due", "drop_chunks", "due", "step", "unknown_letters"]


@dataclass(frozen=True, slots=True)
class Due:
    """A device, and the moment before which nothing of it stays.

    ``by_chunk``: its epochs go when the whole chunk of the hypertable does.
    """

    tenant_id: int
    device_id: int
    device: DeviceId
    before: datetime
    by_chunk: bool


_DUE: Final = text("""
SELECT t.id AS tenant_id, d.id AS device_id, t.name AS tenant, d.name AS device,
       now() - kept AS before, kept >= longest AS is_longest
  FROM tenants t
 CROSS JOIN LATERAL coalesce(make_interval(days => t.retention_days), :kept) kept
 CROSS JOIN (SELECT greatest(:kept, max(make_interval(days => retention_days))) AS longest
               FROM tenants) l
  JOIN devices d ON d.tenant_id = t.id
 ORDER BY d.id
""")
_LONGEST: Final = text("""
SELECT now() - greatest(:kept, max(make_interval(days => retention_days))) FROM tenants
""")
_UNTIMED: Final = text("""
DELETE FROM epochs_untimed WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM epochs_untimed
   WHERE device_id = :device AND received_at < :before LIMIT :limit))
""")
# A stream's predictions from its beginning on, by the key: what is deleted lies in front.
_PREDICTIONS: Final = text("""
DELETE FROM predictions WHERE ctid = ANY(ARRAY(
  SELECT p.ctid FROM streams s
   CROSS JOIN LATERAL (
     SELECT ctid, coalesce(epoch_start, created_at) AS start FROM predictions
      WHERE device_id = :device AND stream = s.stream
      ORDER BY seq, model_id LIMIT :limit) p
   WHERE s.device_id = :device AND p.start < :before))
""")
_RECORDINGS: Final = text("""
DELETE FROM recordings old
 WHERE device_id = :device AND ended_at < :before
   AND NOT EXISTS (SELECT FROM recordings r WHERE r.device_id = :device
                      AND r.replaced_by = old.id AND r.ended_at >= :before)
""")
_LABELS: Final = text("""
DELETE FROM reference_stages WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM reference_stages
   WHERE device_id = :device AND start < :before LIMIT :limit))
""")
# What was told of it goes with it; one that is open stays.
_ALERTS: Final = text("""
DELETE FROM alerts WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM alerts
   WHERE device_id = :device AND cleared_at < :before LIMIT :limit))
""")
_LETTERS: Final = text("""
DELETE FROM dead_letters WHERE tenant = :tenant AND device = :name AND last_seen < :before
""")
# A run stays while epochs refer to it, or while it may tell the time of others of its boot.
_RUNS: Final = text(f"""
DELETE FROM runs WHERE ctid = ANY(ARRAY(
  SELECT r.row FROM (
    SELECT ctid AS row, stream, run_seq, boot, utc, received_at,
           make_interval(secs => {EPOCH_SECONDS} * (
             lead(run_seq) OVER (PARTITION BY stream ORDER BY run_seq) - run_seq - 1)) AS span
      FROM runs WHERE device_id = :device) r
   WHERE r.received_at < :before AND r.span IS NOT NULL
     AND (r.utc IS NULL OR r.utc + r.span < :before)
     AND NOT EXISTS (
       SELECT FROM epochs_untimed u
         JOIN runs b ON b.device_id = u.device_id AND b.stream = u.stream
                    AND b.run_seq = u.run_seq
        WHERE u.device_id = :device AND u.stream = r.stream AND b.boot = r.boot)
     AND NOT EXISTS (
       SELECT FROM epochs e
        WHERE e.device_id = :device AND e.epoch_start >= r.utc
          AND e.epoch_start < r.utc + r.span AND e.stream = r.stream
          AND e.run_seq = r.run_seq)
   LIMIT :limit))
""")  # noqa: S608 - a constant of the protocol
_UNKNOWN_LETTERS: Final = text("""
DELETE FROM dead_letters l
 WHERE last_seen < now() - CAST(:kept AS interval)
   AND NOT EXISTS (SELECT FROM tenants t JOIN devices d ON d.tenant_id = t.id
                    WHERE t.name = l.tenant AND d.name = l.device)
""")
_CHUNKS: Final = text("""
SELECT count(*) FROM drop_chunks('epochs', older_than => CAST(:before AS timestamptz))
""")


def due(connection: Connection, shards: Collection[int], kept: timedelta) -> list[Due]:
    """Return the devices of these shards; ``kept``: of tenants without days of their own."""
    by_chunk = edition(connection) is not Edition.NONE
    rows = connection.execute(_DUE, {"kept": kept})
    found = [
        Due(
            row.tenant_id,
            row.device_id,
            DeviceId(row.tenant, row.device),
            row.before,
            by_chunk=by_chunk and row.is_longest,
        )
        for row in rows
    ]
    return [it for it in found if shard_of(it.device) in shards]


def step(connection: Connection, due: Due, *, limit: int = disposal.AT_ONCE) -> dict[str, int]:
    """Delete some of what is due; return how many rows of which table, nothing at the end."""
    keys = {
        "device": due.device_id,
        "before": due.before,
        "limit": limit,
        "tenant": due.device.tenant,
        "name": due.device.device,
    }
    gone = {}
    if not due.by_chunk:
        gone["epochs"] = disposal.epochs(
            due.tenant_id, connection, due.device_id, due.before, limit=limit
        )
    statements = {
        "epochs_untimed": _UNTIMED,
        "predictions": _PREDICTIONS,
        "recordings": _RECORDINGS,
        "reference_stages": _LABELS,
        "dead_letters": _LETTERS,
        "alerts": _ALERTS,
        "runs": _RUNS,
    }
    for table, statement in statements.items():
        gone[table] = connection.execute(statement, keys).rowcount
    if gone["recordings"]:
        night_news.note(connection, due.device_id)  # a broker keeps the last one as well
    gone["epochs_hourly"] = disposal.rollups(connection, due.device_id, due.before)
    return {table: count for table, count in gone.items() if count}


def unknown_letters(connection: Connection, kept: timedelta) -> int:
    """Delete the old dead letters of senders whom nobody knows."""
    return connection.execute(_UNKNOWN_LETTERS, {"kept": kept}).rowcount


def drop_chunks(connection: Connection, kept: timedelta) -> int:
    """Drop the chunks of ``epochs`` that are older than what any tenant keeps.

    Return how many; 0 on plain PostgreSQL, which has none.
    """
    if edition(connection) is Edition.NONE:
        return 0
    before = connection.execute(_LONGEST, {"kept": kept}).scalar_one()
    dropped: int = connection.execute(_CHUNKS, {"before": before}).scalar_one()
    return dropped
