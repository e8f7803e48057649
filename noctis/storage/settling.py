"""What the settler works through: stored epochs that a model has not judged yet."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select, text

from noctis.identity import DeviceId
from noctis.storage.ingest import LATE
from noctis.storage.models import devices, settled, tenants
from noctis.storage.runs import unsigned
from noctis.storage.stretches import TIMED, UNTIMED, Stretch, stretch
from noctis.topics import SHARDS, shard_of

__all__ = ["unsettled"]

NOTES_AT_ONCE: Final = 256
# Longer than any transaction of an ingestor: what was received before this is committed.
SETTLE_DELAY: Final = timedelta(minutes=15)

# OFFSET 0 keeps the planner from turning a few look-ups by key into a join of whole tables.
_UNJUDGED: Final = (
    "NOT EXISTS (SELECT FROM predictions p WHERE p.device_id = e.device_id "
    "AND p.stream = e.stream AND p.seq = e.seq AND p.model_id = :model OFFSET 0)"
)
_RUN: Final = "r.device_id = e.device_id AND r.stream = e.stream AND r.run_seq = e.run_seq"
_RECENT: Final = text(f"""
SELECT found.*
  FROM unnest(CAST(:devices AS integer[]), CAST(:since AS timestamptz[])) d(id, since)
 CROSS JOIN LATERAL (
  (SELECT e.device_id, e.stream, {TIMED} FROM epochs e JOIN runs r ON {_RUN}
    WHERE e.device_id = d.id AND e.epoch_start >= d.since AND {_UNJUDGED}
    ORDER BY e.epoch_start, e.stream, e.seq LIMIT :limit)
  UNION ALL
  (SELECT e.device_id, e.stream, {UNTIMED} FROM epochs_untimed e JOIN runs r ON {_RUN}
    WHERE e.device_id = d.id AND e.received_at >= d.since AND {_UNJUDGED}
    ORDER BY e.stream, e.seq LIMIT :limit)
) found
LIMIT :limit
""")  # noqa: S608 - every part is a constant of the schema
_NOTES: Final = text("""
SELECT id FROM outbox WHERE device_id = ANY(:devices) ORDER BY id LIMIT :limit
""")
_FORGET: Final = text("DELETE FROM outbox WHERE id = ANY(:notes)")
_ADVANCE: Final = text("""
INSERT INTO settled (model_id, shard, until)
SELECT :model, shard, :until FROM unnest(CAST(:shards AS smallint[])) shard
ON CONFLICT (model_id, shard) DO UPDATE SET until = greatest(settled.until, excluded.until)
""")
_NOTED: Final = text(f"""
SELECT found.*, o.id
  FROM outbox o
  JOIN runs r ON r.device_id = o.device_id AND r.stream = o.stream AND r.run_seq = o.run_seq
 CROSS JOIN LATERAL (
  SELECT e.device_id, e.stream, {TIMED} FROM epochs e
   WHERE e.device_id = o.device_id AND e.stream = o.stream AND e.run_seq = o.run_seq
     AND e.seq BETWEEN o.first_seq AND o.last_seq AND {_UNJUDGED}
     AND e.epoch_start >= r.utc + make_interval(secs => 30 * (o.first_seq - o.run_seq - 1))
     AND e.epoch_start <= r.utc + make_interval(secs => 30 * (o.last_seq - o.run_seq - 1))
  UNION ALL
  SELECT e.device_id, e.stream, {UNTIMED} FROM epochs_untimed e
   WHERE r.utc IS NULL AND e.device_id = o.device_id AND e.stream = o.stream
     AND e.run_seq = o.run_seq
     AND e.seq BETWEEN o.first_seq AND o.last_seq AND {_UNJUDGED}
  OFFSET 0
 ) found
 WHERE o.id = ANY(:notes)
""")  # noqa: S608 - every part is a constant of the schema


def unsettled(
    connection: Connection,
    model_id: int,
    *,
    shards: Collection[int] | None = None,
    hours: float = 6.0,
    limit: int = 5000,
) -> list[Stretch]:
    """Return stored epochs that the model has not judged: one stretch per device and stream.

    Late epochs are found by the outbox, whose settled notes are deleted on the way, the others
    by a look at everything since the last look that found nothing; for a model that is new, at
    the last ``hours``. At most about ``limit`` epochs come at once: call it until it returns
    nothing. ``shards``: only devices of these. The caller commits.
    """
    known = _devices(connection, shards)
    moment = connection.execute(select(func.now())).scalar_one()
    since = _since(connection, model_id, moment - timedelta(hours=hours))
    keys: dict[str, object] = {"model": model_id, "devices": list(known), "limit": limit}
    noted = _noted(connection, keys)
    starts = [since[shard] for shard in known.values()]
    recent = connection.execute(_RECENT, {**keys, "since": starts}).all()
    if not noted and not recent:
        owned = sorted(range(SHARDS) if shards is None else shards)
        until = moment - SETTLE_DELAY
        connection.execute(_ADVANCE, {"model": model_id, "shards": owned, "until": until})
    unique = {tuple(row[:3]): row for row in (*noted, *recent)}
    rows = [unique[key] for key in sorted(unique)]
    return [
        stretch(device_id, unsigned(stream), [row[2:] for row in group])
        for (device_id, stream), group in groupby(rows, key=itemgetter(0, 1))
    ]


def _devices(connection: Connection, shards: Collection[int] | None) -> dict[int, int]:
    """Return the shard of each device by its surrogate key, of these ``shards`` only."""
    rows = connection.execute(
        select(devices.c.id, tenants.c.name, devices.c.name)
        .join(tenants, tenants.c.id == devices.c.tenant_id)
        .order_by(devices.c.id)
    )
    found = {key: shard_of(DeviceId(tenant, name)) for key, tenant, name in rows}
    return {key: shard for key, shard in found.items() if shards is None or shard in shards}


def _since(
    connection: Connection, model_id: int, first: datetime
) -> defaultdict[int, datetime]:
    """Return for each shard where to look from; ``first`` where the model never looked."""
    rows = connection.execute(
        select(settled.c.shard, settled.c.until).where(settled.c.model_id == model_id)
    )
    since: defaultdict[int, datetime] = defaultdict(lambda: first)
    since.update({shard: until - LATE for shard, until in rows})
    return since


def _noted(connection: Connection, keys: Mapping[str, object]) -> Sequence[Row[Any]]:
    """Return the unjudged epochs of the oldest notes; notes without any are forgotten."""
    notes = connection.scalars(_NOTES, {**keys, "limit": NOTES_AT_ONCE}).all()
    while notes:
        rows = connection.execute(_NOTED, {**keys, "notes": notes}).all()
        open_notes = {row.id for row in rows}
        connection.execute(_FORGET, {"notes": [key for key in notes if key not in open_notes]})
        if rows:
            return rows
        notes = connection.scalars(_NOTES, {**keys, "limit": NOTES_AT_ONCE}).all()
    return []
