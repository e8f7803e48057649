"""What TimescaleDB does to the epochs by itself, read and changed: compress, refresh, chunk.

How long epochs stay is not among them: that is each tenant's own (see ``retention``).
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, text

from noctis.errors import StorageError
from noctis.storage.rollup_notes import HOUR
from noctis.storage.rollup_schema import NAME
from noctis.storage.timescale import Edition, edition

__all__ = ["Policies", "Window", "read", "set_chunk_interval", "set_compression", "set_refresh"]

HYPERTABLE: Final = "epochs"
MINUTE: Final = timedelta(minutes=1)
YOUNGEST_COMPRESSED: Final = timedelta(days=1)  # younger epochs are still coming in, one by one

_CHUNK: Final = text("""
SELECT time_interval FROM timescaledb_information.dimensions
 WHERE hypertable_name = :table AND dimension_number = 1
""")
_JOB: Final = text("""
SELECT config, schedule_interval FROM timescaledb_information.jobs
 WHERE hypertable_name = :table AND proc_name = :kind
""")
_AFTER: Final = text("SELECT CAST(:value AS interval)")
_SET_CHUNK: Final = text("SELECT set_chunk_time_interval(CAST(:table AS regclass), :value)")
_NO_COMPRESSION: Final = text("SELECT remove_compression_policy(:table, if_exists => true)")
_COMPRESSION: Final = text("SELECT add_compression_policy(:table, CAST(:value AS interval))")
_NO_REFRESH: Final = text(
    "SELECT remove_continuous_aggregate_policy(:table, if_exists => true)"
)
_REFRESH: Final = text("""
SELECT add_continuous_aggregate_policy(:table, CAST(:since AS interval),
                                       CAST(:until AS interval), CAST(:every AS interval))
""")


@dataclass(frozen=True, slots=True)
class Window:
    """What the policy refreshes: hours between ``since`` and ``until`` ago, every so often."""

    since: timedelta
    until: timedelta
    every: timedelta


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies of a database; None where the edition has no such thing, or it is off.

    ``chunk_interval``: how much time a chunk holds, for chunks to come; ``compress_after``:
    how old a chunk is when it is compressed; ``refresh``: of the hourly rollup.
    """

    chunk_interval: timedelta | None
    compress_after: timedelta | None
    refresh: Window | None


def read(connection: Connection) -> Policies:
    """Return what is set."""
    found = edition(connection)
    if found is Edition.NONE:
        return Policies(None, None, None)
    chunk = connection.scalar(_CHUNK, {"table": HYPERTABLE})
    if found is Edition.APACHE:
        return Policies(chunk, None, None)
    compression = _job(connection, HYPERTABLE, "policy_compression")
    refresh = _job(connection, NAME, "policy_refresh_continuous_aggregate")
    after = None if compression is None else compression.config["compress_after"]
    return Policies(
        chunk,
        None if after is None else _interval(connection, after),
        None if refresh is None else _window(connection, refresh),
    )


def _job(connection: Connection, table: str, kind: str) -> Any:  # noqa: ANN401 - a row
    return connection.execute(_JOB, {"table": table, "kind": kind}).one_or_none()


def _window(connection: Connection, job: Any) -> Window:  # noqa: ANN401 - a row
    since, until = (
        _interval(connection, job.config[name]) for name in ("start_offset", "end_offset")
    )
    return Window(since, until, job.schedule_interval)


def _interval(connection: Connection, value: str) -> timedelta:
    found: timedelta = connection.execute(_AFTER, {"value": value}).scalar_one()
    return found


def set_chunk_interval(connection: Connection, interval: timedelta) -> bool:
    """Set how much time new chunks hold; return whether that is a change.

    Chunks that are there stay as they are. Raise StorageError on plain PostgreSQL, and for
    less than an hour or more than a year.
    """
    _require(connection, "chunks", Edition.FULL, Edition.APACHE)
    if not HOUR <= interval <= timedelta(days=366):
        message = f"a chunk cannot hold {interval}"
        raise StorageError(message, hint="choose between an hour and a year; a week is usual")
    if read(connection).chunk_interval == interval:
        return False
    connection.execute(_SET_CHUNK, {"table": HYPERTABLE, "value": interval})
    return True


def set_compression(connection: Connection, after: timedelta) -> bool:
    """Set how old chunks are when they are compressed; return whether that is a change.

    Raise StorageError where there is no compression, and for less than a day.
    """
    _require(connection, "compression", Edition.FULL)
    if after < YOUNGEST_COMPRESSED:
        message = f"chunks cannot be compressed after {after}: epochs still come into them"
        raise StorageError(message, hint="choose a day or more; 14 days is usual")
    if read(connection).compress_after == after:
        return False
    connection.execute(_NO_COMPRESSION, {"table": HYPERTABLE})
    connection.execute(_COMPRESSION, {"table": HYPERTABLE, "value": after})
    return True


def set_refresh(connection: Connection, window: Window) -> bool:
    """Set what the policy refreshes of the hourly rollup; return whether that is a change.

    What comes late outside of the window is refreshed by the companion all the same. Raise
    StorageError where there are no continuous aggregates, and for a window of less than two
    hours or without an end before now.
    """
    _require(connection, "continuous aggregates", Edition.FULL)
    if (
        window.until < HOUR
        or window.since - window.until < 2 * HOUR
        or window.every < HOUR / 60
    ):
        message = f"hours from {window.since} to {window.until} ago cannot be refreshed"
        hint = "end an hour ago or earlier, begin two hours before that, at most once a minute"
        raise StorageError(message, hint=hint)
    if read(connection).refresh == window:
        return False
    connection.execute(_NO_REFRESH, {"table": NAME})
    connection.execute(
        _REFRESH,
        {"table": NAME, "since": window.since, "until": window.until, "every": window.every},
    )
    return True


def _require(connection: Connection, what: str, *editions: Edition) -> None:
    found = edition(connection)
    if found not in editions:
        name = "TimescaleDB's Apache edition" if found is Edition.APACHE else "plain PostgreSQL"
        message = f"this database is {name}: it has no {what}"
        hint = "use TimescaleDB with timescaledb.license = timescale, or leave it to the jobs"
        raise StorageError(message, hint=hint)
