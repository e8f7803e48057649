"""Notes on which nights must be found again, left by whoever changes what a night shows.

``stale_nights`` holds, for each device and day, the span in which something changed: new
predictions (``predictions.store``), a recording whose time to close has come. ``moved_runs``
is filled by a trigger on ``runs``: a run whose ``shift`` changed, or which tells the time of
runs of its boot that had no clock, so that epochs stand elsewhere from now on.

A note is cleared by who read it, unless it changed meanwhile.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from noctis.epoch import EPOCH_SECONDS
from noctis.identity import DeviceId
from noctis.topics import shard_of

__all__ = [
    "CREATE_TRIGGER",
    "DAYS_AT_ONCE",
    "DROP_TRIGGER",
    "UPSERT",
    "Mark",
    "StaleDevice",
    "clear",
    "hold",
    "note_closing",
    "note_moved",
    "note_unrevised",
    "of_device",
    "stale_devices",
]

RIPE: Final = timedelta(minutes=5)
"""Longer than any transaction lasts: what did not see a run move is committed by then."""

DAYS_AT_ONCE: Final = 7

UPSERT: Final = """
INSERT INTO stale_nights (device_id, day, since, until)
SELECT device_id, CAST(since AT TIME ZONE 'UTC' AS date), min(since), max(until)
  FROM spans GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (device_id, day) DO UPDATE
   SET since = least(stale_nights.since, excluded.since),
       until = greatest(stale_nights.until, excluded.until),
       changes = stale_nights.changes + 1"""
"""Notes the rows (device_id, since, until) of ``spans``, in the order of the key."""

# A run with a clock tells the time of a neighbour without one, or of those beyond it.
CREATE_TRIGGER: Final = (
    """
CREATE FUNCTION note_moved_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' OR EXISTS (
       SELECT FROM (
         (SELECT utc FROM runs WHERE device_id = NEW.device_id AND stream = NEW.stream
             AND boot = NEW.boot AND run_seq < NEW.run_seq ORDER BY run_seq DESC LIMIT 1)
         UNION ALL
         (SELECT utc FROM runs WHERE device_id = NEW.device_id AND stream = NEW.stream
             AND boot = NEW.boot AND run_seq > NEW.run_seq ORDER BY run_seq LIMIT 1)
       ) neighbours WHERE utc IS NULL)
  THEN
    INSERT INTO moved_runs (device_id, stream, run_seq, moved_at)
    VALUES (NEW.device_id, NEW.stream, NEW.run_seq, clock_timestamp())
    ON CONFLICT (device_id, stream, run_seq)
    DO UPDATE SET moved_at = excluded.moved_at, is_seen = false;
  END IF;
  RETURN NULL;
END $$
""",
    """
CREATE TRIGGER note_new_anchor AFTER INSERT ON runs FOR EACH ROW
WHEN (NEW.utc IS NOT NULL) EXECUTE FUNCTION note_moved_run()
""",
    """
CREATE TRIGGER note_shift AFTER UPDATE ON runs FOR EACH ROW
WHEN ((OLD.utc, OLD.shift) IS DISTINCT FROM (NEW.utc, NEW.shift))
EXECUTE FUNCTION note_moved_run()
""",
)
DROP_TRIGGER: Final = (
    "DROP TRIGGER note_shift ON runs",
    "DROP TRIGGER note_new_anchor ON runs",
    "DROP FUNCTION note_moved_run()",
)

_CLOSING: Final = text(f"""
WITH spans AS (
  SELECT device_id, started_at AS since, ended_at AS until
    FROM recordings WHERE state = 'open' AND closes_at <= :now
)
{UPSERT}
""")  # noqa: S608 - every part is a constant of the schema
_UNREVISED: Final = text(f"""
WITH spans AS (
  SELECT device_id, started_at AS since, ended_at AS until
    FROM recordings
   WHERE state = 'closed' AND staged_by = 'live' AND ended_at >= :since
)
{UPSERT}
""")  # noqa: S608 - every part is a constant of the schema
_MOVED: Final = text("""
SELECT device_id, stream, run_seq, moved_at, is_seen FROM moved_runs
 WHERE NOT is_seen OR moved_at < CAST(:ripe AS timestamptz)
 ORDER BY device_id, stream, run_seq
 LIMIT 1
""")
# Where the run's epochs and those that it gives a time to stand now, where they stood, and
# every recording that has moved epochs.
_SPREAD: Final = text(f"""
WITH run AS (
  SELECT * FROM runs WHERE device_id = :device AND stream = :stream AND run_seq = :run_seq
), spans AS (
  SELECT e.device_id, e.epoch_start AS since, e.epoch_start AS until
    FROM run
    JOIN epochs e ON e.device_id = run.device_id AND e.stream = run.stream
     AND e.run_seq = run.run_seq AND e.epoch_start >= run.utc
     AND e.epoch_start < run.utc + interval '{EPOCH_SECONDS} seconds' * coalesce(
           (SELECT min(n.run_seq) FROM runs n WHERE n.device_id = run.device_id
               AND n.stream = run.stream AND n.run_seq > run.run_seq) - run.run_seq, 100000000)
  UNION ALL
  SELECT t.device_id, t.epoch_start, t.epoch_start
    FROM epoch_timeline t
   WHERE t.device_id = :device AND t.stream = :stream
     AND t.run_seq IN (SELECT r.run_seq FROM runs r JOIN run USING (device_id, stream, boot))
     AND t.placement IN ('anchored', 'corrected')
  UNION ALL
  SELECT device_id, started_at, ended_at
    FROM recordings WHERE device_id = :device AND moved > 0 AND state <> 'withdrawn'
)
{UPSERT}
""")  # noqa: S608 - every part is a constant of the schema
_SEEN: Final = text("""
UPDATE moved_runs SET is_seen = true
 WHERE device_id = :device AND stream = :stream AND run_seq = :run_seq AND moved_at = :moved_at
""")
_FORGET: Final = text("""
DELETE FROM moved_runs
 WHERE device_id = :device AND stream = :stream AND run_seq = :run_seq AND moved_at = :moved_at
""")
_DEVICES: Final = text("""
SELECT d.id, t.name AS tenant, d.name AS device, d.time_zone
  FROM devices d JOIN tenants t ON t.id = d.tenant_id
 WHERE d.id IN (SELECT device_id FROM stale_nights)
 ORDER BY d.id
""")
_LOCK: Final = text("SELECT pg_advisory_xact_lock(1313426503, :device)")
_MARKS: Final = text("""
SELECT day, since, until, changes FROM stale_nights
 WHERE device_id = :device ORDER BY day LIMIT :limit
""")
# Locked in the order of the key, as settlers do, so that nobody waits in a circle.
_CLEAR: Final = text("""
DELETE FROM stale_nights
 WHERE device_id = :device AND day IN (
   SELECT s.day FROM stale_nights s
     JOIN unnest(CAST(:days AS date[]), CAST(:changes AS bigint[])) seen(day, changes)
       ON s.day = seen.day AND s.changes = seen.changes
    WHERE s.device_id = :device ORDER BY s.day FOR UPDATE OF s)
""")


@dataclass(frozen=True, slots=True)
class StaleDevice:
    """A device, by its surrogate key, with nights to be found again."""

    id: int
    device: DeviceId
    time_zone: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A span of a day in which something changed; ``changes`` counts how often."""

    day: date
    since: datetime
    until: datetime
    changes: int


def note_closing(connection: Connection, now: datetime) -> None:
    """Mark the open recordings that close by time alone."""
    connection.execute(_CLOSING, {"now": now})


def note_unrevised(connection: Connection, since: datetime) -> None:
    """Mark the nights that closed since then and show live stages still."""
    connection.execute(_UNREVISED, {"since": since})


def note_moved(connection: Connection, now: datetime) -> bool:
    """Mark what a run that moved shows now, and showed before; False: none has moved.

    Each is looked at twice, the second time when no transaction can be under way that did not
    see it move.
    """
    run = connection.execute(_MOVED, {"ripe": now - RIPE}).one_or_none()
    if run is None:
        return False
    key = {"device": run.device_id, "stream": run.stream, "run_seq": run.run_seq}
    connection.execute(_SPREAD, key)
    done = _FORGET if run.moved_at < now - RIPE else _SEEN
    connection.execute(done, {**key, "moved_at": run.moved_at})
    return True


def stale_devices(connection: Connection, shards: Collection[int]) -> list[StaleDevice]:
    """Return the devices of these shards that have marks."""
    found = [
        StaleDevice(row.id, DeviceId(row.tenant, row.device), row.time_zone)
        for row in connection.execute(_DEVICES)
    ]
    return [it for it in found if shard_of(it.device) in shards]


def of_device(connection: Connection, device_id: int) -> list[Mark]:
    """Return a device's oldest marks, of a week at most, and keep its nights from others.

    Until the transaction ends, nobody else gets any marks of the device.
    """
    hold(connection, device_id)
    rows = connection.execute(_MARKS, {"device": device_id, "limit": DAYS_AT_ONCE})
    return [Mark(*row) for row in rows]


def hold(connection: Connection, device_id: int) -> None:
    """Keep a device's nights from others until the transaction ends."""
    connection.execute(_LOCK, {"device": device_id})


def clear(connection: Connection, device_id: int, marks: Sequence[Mark]) -> None:
    """Forget these marks, less those that changed since they were read."""
    connection.execute(
        _CLEAR,
        {
            "device": device_id,
            "days": [mark.day for mark in marks],
            "changes": [mark.changes for mark in marks],
        },
    )
