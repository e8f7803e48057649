"""What the settler works through: stored epochs that a model does not serve yet."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select, text

from noctis.identity import DeviceId
from noctis.storage.ingest import LATE
from noctis.storage.models import devices, tenants
from noctis.storage.origins import SERVED
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
    f"AND p.stream = e.stream AND p.seq = e.seq AND p.{SERVED} "
    "AND (d.model IS NULL OR p.model_id = d.model) OFFSET 0)"
)
_RUN: Final = "r.device_id = e.device_id AND r.stream = e.stream AND r.run_seq = e.run_seq"
_RECENT: Final = text(f"""
SELECT found.*
  FROM unnest(CAST(:devices AS integer[]), CAST(:models AS integer[]),
              CAST(:since AS timestamptz[])) d(id, model, since)
 CROSS JOIN LATERAL (
  (SELECT e.device_id, e.stream, {TIMED}, e.received_at FROM epochs e JOIN runs r ON {_RUN}
    WHERE e.device_id = d.id AND e.epoch_start >= d.since AND {_UNJUDGED}
    ORDER BY e.epoch_start, e.stream, e.seq LIMIT :limit)
  UNION ALL
  (SELECT e.device_id, e.stream, {UNTIMED}, e.received_at
     FROM epochs_untimed e JOIN runs r ON {_RUN}
    WHERE e.device_id = d.id AND e.received_at >= d.since AND {_UNJUDGED}
    ORDER BY e.stream, e.seq LIMIT :limit)
) found
LIMIT :limit
""")  # noqa: S608 - every part is a constant of the schema
# Devices take turns: one that drains half a year keeps no other one's late epochs waiting.
_NOTES: Final = text("""
SELECT id
  FROM (SELECT id, row_number() OVER (PARTITION BY device_id ORDER BY id) AS turn
          FROM outbox WHERE device_id = ANY(:devices)) notes
 ORDER BY turn, id LIMIT :limit
""")
_FORGET: Final = text("DELETE FROM outbox WHERE id = ANY(:notes)")
_SINCE: Final = text("""
SELECT shard, max(until) AS newest, max(until) FILTER (WHERE model_id = :model) AS own
  FROM settled GROUP BY shard
""")
# Not for less than a minute: looks are many.
_ADVANCE: Final = text("""
INSERT INTO settled (model_id, shard, until)
SELECT :model, * FROM unnest(CAST(:shards AS smallint[]), CAST(:until AS timestamptz[]))
ON CONFLICT (model_id, shard) DO UPDATE SET until = excluded.until
 WHERE settled.until < excluded.until - interval '1 minute'
""")
_NOTED: Final = text(f"""
SELECT found.*, o.id
  FROM outbox o
  JOIN unnest(CAST(:devices AS integer[]), CAST(:models AS integer[])) d(id, model)
    ON d.id = o.device_id
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
    others: Callable[[DeviceId], bool] | None = None,
) -> list[Stretch]:
    """Return stored epochs that the model does not serve: one stretch per device and stream.

    Late epochs are found by the outbox, whose settled notes are deleted on the way. The others
    are found by a look at all that came since everything was settled, however long nobody
    looked; a model that is new, or comes back, begins ``hours`` before the end of what other
    models have settled. At most about ``limit`` epochs come at once: look again until nothing
    comes. ``shards``: only devices of these. The caller commits.

    ``others``: whom another version serves. Of those only what no version serves yet comes, so
    that what people saw before that one began stays.
    """
    known = _devices(connection, shards)
    shard = {key: shard_of(device) for key, device in known.items()}
    moment = connection.execute(select(func.now())).scalar_one()
    since = _since(connection, model_id, moment, timedelta(hours=hours))
    models = [None if others and others(it) else model_id for it in known.values()]
    keys: dict[str, object] = {"devices": list(known), "models": models, "limit": limit}
    noted = _noted(connection, keys, limit)
    starts = [since[number] for number in shard.values()]
    recent = connection.execute(_RECENT, {**keys, "since": starts}).all()
    if len(recent) < limit:
        until = dict.fromkeys(
            range(SHARDS) if shards is None else shards, moment - SETTLE_DELAY
        )
        for row in recent:
            number = shard[row.device_id]
            until[number] = min(until[number], row.received_at)
        _advance(connection, model_id, until)
    unique = {tuple(row[:3]): row for row in (*noted, *recent)}
    rows = [unique[key] for key in sorted(unique)]
    return [
        stretch(device_id, unsigned(stream), [row[2:] for row in group])
        for (device_id, stream), group in groupby(rows, key=itemgetter(0, 1))
    ]


def _advance(connection: Connection, model_id: int, until: Mapping[int, datetime]) -> None:
    """Note up to which moment of receipt everything is settled, for each shard."""
    connection.execute(
        _ADVANCE,
        {
            "model": model_id,
            "shards": sorted(until),
            "until": [until[n] for n in sorted(until)],
        },
    )


def _devices(connection: Connection, shards: Collection[int] | None) -> dict[int, DeviceId]:
    """Return the devices by their surrogate keys, of these ``shards`` only."""
    rows = connection.execute(
        select(devices.c.id, tenants.c.name, devices.c.name)
        .join(tenants, tenants.c.id == devices.c.tenant_id)
        .order_by(devices.c.id)
    )
    found = {key: DeviceId(tenant, name) for key, tenant, name in rows}
    return {
        key: device
        for key, device in found.items()
        if shards is None or shard_of(device) in shards
    }


def _since(
    connection: Connection, model_id: int, moment: datetime, hours: timedelta
) -> defaultdict[int, datetime]:
    """Return for each shard the start of the first epoch to look at."""
    since: defaultdict[int, datetime] = defaultdict(lambda: moment - hours)
    for shard, newest, own in connection.execute(_SINCE, {"model": model_id}):
        first = newest - hours - LATE
        since[shard] = first if own is None else max(own - LATE, first)
    return since


def _noted(
    connection: Connection, keys: Mapping[str, object], limit: int
) -> Sequence[Row[Any]]:
    """Return unjudged epochs, about ``limit``, of each device's oldest notes."""
    found: list[Row[Any]] = []
    while not found and (notes := connection.scalars(_NOTES, keys).all()):
        for begin in range(0, len(notes), NOTES_AT_ONCE):
            found += _unjudged(connection, keys, notes[begin : begin + NOTES_AT_ONCE])
            if len(found) >= limit:
                break
    return found


def _unjudged(
    connection: Connection, keys: Mapping[str, object], notes: Sequence[int]
) -> Sequence[Row[Any]]:
    """Return the unjudged epochs of notes; those without are forgotten."""
    rows = connection.execute(_NOTED, {**keys, "notes": notes}).all()
    open_notes = {row.id for row in rows}
    connection.execute(_FORGET, {"notes": [key for key in notes if key not in open_notes]})
    return rows
