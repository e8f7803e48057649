"""The job that keeps ``epochs_hourly``: each hour once when it is over, and again when noted.

All hours before the job's mark are rolled up. An epoch that is stored when its hour may be
behind the mark is noted in the same transaction (``ingest``), and its hours are rolled up
again. A step is one short transaction, or, on a continuous aggregate, a refresh that commits
by itself between reading the notes and deleting them: cut off anywhere, it is done again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import psycopg
from sqlalchemy import Connection, text

from noctis.storage import rollup_notes
from noctis.storage.ingest import LATE
from noctis.storage.rollup_notes import AT_ONCE, HOUR
from noctis.storage.rollup_schema import COLUMNS, NAME, aggregates, hour_of
from noctis.storage.timescale import Edition, edition

__all__ = ["JOB", "Step", "hold", "step"]

JOB: Final = "rollups"
LOCK: Final = 0x4E0C716  # of the database, arbitrary: who has it may write hours

Stretch = tuple[datetime, datetime]
Noted = tuple[int, datetime, datetime]

SLACK: Final = timedelta(minutes=10)
"""How far the ingestors' clocks may differ from the database's, and a transaction may last."""

NOTED_HOURS: Final = 2000  # of single devices in a step: 240,000 epochs, below a second
NOTED_HOURS_OF_ALL: Final = 48  # where an hour is refreshed for all devices at once
STRETCH: Final = timedelta(hours=6)  # of all devices, when the mark moves on

_MARK: Final = text("""
SELECT until, clock_timestamp() AS now FROM jobs
 WHERE name = :job AND pg_try_advisory_xact_lock(:lock)
""")
_MOVE: Final = text("""
UPDATE jobs SET until = :until WHERE name = :job AND (until IS NULL OR until < :until)
""")
# An index gives a device's first epoch behind a moment; the table as a whole has none by time.
_NEXT: Final = text("""
SELECT min(found.epoch_start)
  FROM devices d
 CROSS JOIN LATERAL (
    SELECT e.epoch_start FROM epochs e
     WHERE e.device_id = d.id AND e.epoch_start < :until
       AND e.epoch_start >= coalesce(CAST(:since AS timestamptz), '-infinity')
     ORDER BY e.epoch_start LIMIT 1
  ) found
""")
_EVERY: Final = text("SELECT id FROM devices ORDER BY id")
_SPANS: Final = (
    "unnest(CAST(:devices AS integer[]), CAST(:since AS timestamptz[]), "
    "CAST(:until AS timestamptz[])) s(device_id, since, until)"
)
_CLEAR: Final = text(
    f"DELETE FROM {NAME} h USING {_SPANS} "  # noqa: S608 - a constant of the schema
    "WHERE h.device_id = s.device_id AND h.hour >= s.since AND h.hour < s.until"
)
# LATERAL: one look into the key's index for each span, whatever the planner believes.
_FILL: Final = text(f"""
INSERT INTO {NAME} ({", ".join(COLUMNS)})
SELECT found.*
  FROM {_SPANS}
 CROSS JOIN LATERAL (
    SELECT tenant_id, device_id, {hour_of("epoch_start")} AS hour,
           {aggregates()}
      FROM epochs e
     WHERE e.device_id = s.device_id AND e.epoch_start >= s.since AND e.epoch_start < s.until
     GROUP BY tenant_id, device_id, {hour_of("epoch_start")}
  ) found
""")  # noqa: S608 - every part is a constant of the schema
_HOLD: Final = text("SELECT pg_advisory_xact_lock(:lock)")
_LOCK: Final = "SELECT pg_advisory_lock(%s)"
_UNLOCK: Final = "SELECT pg_advisory_unlock(%s)"
_REFRESH: Final = f"CALL refresh_continuous_aggregate('{NAME}', %s, %s)"


@dataclass(frozen=True, slots=True)
class Step:
    """What a step did: hours of notes, and how far the mark stands; ``busy``: more waits."""

    noted_hours: int
    until: datetime | None
    busy: bool


def step(connection: Connection, *, now: datetime | None = None) -> Step:
    """Roll a bounded part up of what is due; the caller commits.

    Several may do this at once: one works, the others find nothing to do or wait.
    ``now`` is the database's clock unless given.
    """
    mark = connection.execute(_MARK, {"job": JOB, "lock": LOCK}).one_or_none()
    if mark is None:
        return Step(0, None, busy=False)
    bound = ((now or mark.now) - LATE - SLACK).replace(minute=0, second=0, microsecond=0)
    stretch = _stretch(connection, mark.until, bound)
    is_aggregate = edition(connection) is Edition.FULL
    hours = NOTED_HOURS_OF_ALL if is_aggregate else NOTED_HOURS
    notes = rollup_notes.waiting(connection)
    made = rollup_notes.plan(notes, hours=hours, by_device=not is_aggregate)
    (_refresh if is_aggregate else _roll)(connection, made.spans, stretch)
    rollup_notes.settle(connection, made)
    until = mark.until
    if stretch is not None:
        until = stretch[1]
        connection.execute(_MOVE, {"job": JOB, "until": until})
    noted = sum((until - since) // HOUR for _, since, until in made.spans)
    is_more_noted = bool(made.rest) or len(made.done) < len(notes) or len(notes) == AT_ONCE
    return Step(noted, until, busy=is_more_noted or (until is not None and until < bound))


def hold(connection: Connection) -> None:
    """Wait until no step runs, and let none begin before the transaction ends.

    For whoever deletes epochs and their hours: a step that had read the epochs before would
    write the hours again.
    """
    connection.execute(_HOLD, {"lock": LOCK})


def _stretch(connection: Connection, mark: datetime | None, bound: datetime) -> Stretch | None:
    """Return the next hours that are over and not rolled up, from the first epoch on."""
    if mark is not None and mark >= bound:
        return None
    first = connection.scalar(_NEXT, {"since": mark, "until": bound})
    if first is None:
        return (bound - HOUR, bound)  # nothing was stored: the mark moves all the same
    since = first.replace(minute=0, second=0, microsecond=0)
    return since, min(since + STRETCH, bound)


def _roll(connection: Connection, noted: Sequence[Noted], stretch: Stretch | None) -> None:
    """Roll up whole hours of devices anew; an hour without epochs has no row then."""
    _roll_spans(connection, noted)
    if stretch is not None:
        keys = connection.scalars(_EVERY).all()
        _roll_spans(connection, [(key, *stretch) for key in keys])


def _roll_spans(connection: Connection, spans: Sequence[Noted]) -> None:
    if not spans:
        return
    keys, since, until = zip(*spans, strict=True)
    values = {"devices": list(keys), "since": list(since), "until": list(until)}
    connection.execute(_CLEAR, values)
    connection.execute(_FILL, values)


def _refresh(connection: Connection, noted: Sequence[Noted], stretch: Stretch | None) -> None:
    """Refresh whole hours of the continuous aggregate, each call a transaction of its own."""
    spans = [(since, until) for _, since, until in noted]
    if stretch is not None:
        spans.append(stretch)
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - the engine makes no other
    driver.commit()
    driver.autocommit = True
    try:
        driver.execute(_LOCK, (LOCK,))
        for span in spans:
            driver.execute(_REFRESH, span)
    finally:
        if not driver.closed:
            driver.execute(_UNLOCK, (LOCK,))
            driver.autocommit = False
