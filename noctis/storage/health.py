"""What a database server and the rows in it say of the platform's health: for all tenants."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from noctis.storage.timescale import edition, version

__all__ = [
    "DeadLetters",
    "Ending",
    "Holding",
    "Server",
    "Sleeper",
    "Slot",
    "ending",
    "letters",
    "server",
    "worst",
]

_SERVER: Final = text("""
SELECT current_setting('server_version'), clock_timestamp(),
       pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on',
       current_setting('max_connections')::int,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       pg_database_size(current_database()),
       (SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock')
""")
_REVISION: Final = text("SELECT version_num FROM alembic_version")
_HAS_SCHEMA: Final = text("SELECT to_regclass('public.alembic_version') IS NOT NULL")
_FOLDER: Final = text("""
SELECT CASE WHEN pg_has_role('pg_read_all_settings', 'MEMBER')
            THEN current_setting('data_directory') END
""")
_HOLDING: Final = text("""
SELECT a.pid, a.application_name, a.state,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8,
       (SELECT count(*) FROM pg_stat_activity w WHERE a.pid = ANY (pg_blocking_pids(w.pid)))
  FROM pg_stat_activity a
 WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()
   AND a.xact_start < clock_timestamp() - make_interval(secs => :seconds)
 ORDER BY 5 DESC, 4 DESC LIMIT 5
""")
_SLOTS: Final = text("""
SELECT slot_name, active,
       coalesce(CASE WHEN NOT pg_is_in_recovery()
                THEN pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) END, 0)::bigint
  FROM pg_replication_slots ORDER BY slot_name
""")
# The devices that hold most; what of each is stored is asked of these alone: of its newest
# epochs, as many as it holds, the share that is stored. One that sends what it made while it
# was away begins with the oldest, so that share is small; where it hears of nothing it is 1.
_WORST: Final = text("""
SELECT t.name || '/' || d.name, r.body ->> 'state', r.body ->> 'clock',
       extract(epoch FROM now() - r.reported_at)::float8, (r.body ->> 'backlog')::bigint,
       (SELECT extract(epoch FROM now() - max(e.received_at))::float8
          FROM (SELECT received_at FROM epochs WHERE device_id = d.id
                 ORDER BY epoch_start DESC LIMIT 200) e),
       (SELECT count(*) FILTER (WHERE e.stream = ('x' || (r.body ->> 'stream'))::bit(64)::bigint
                    AND e.seq >= (r.body ->> 'next_seq')::bigint - held)::float8 / held
          FROM (SELECT stream, seq FROM epochs WHERE device_id = d.id
                 ORDER BY epoch_start DESC LIMIT 200) e)
  FROM device_reports r
  CROSS JOIN LATERAL (SELECT greatest(1, least(200, (r.body ->> 'backlog')::bigint))) h (held)
  JOIN devices d ON d.id = r.device_id AND d.revoked_at IS NULL
  JOIN tenants t ON t.id = d.tenant_id
 ORDER BY (r.body ->> 'backlog')::bigint DESC, r.reported_at LIMIT :most
""")
# A device may hold two: the one that ends last is its own. Who let it end long ago is gone.
_ENDING: Final = text("""
SELECT username, extract(epoch FROM max(not_after) - now())::float8 FROM certificates
 WHERE username IS NOT NULL AND revoked_at IS NULL
 GROUP BY username
HAVING max(not_after) BETWEEN now() - make_interval(secs => :seconds)
                          AND now() + make_interval(secs => :seconds)
 ORDER BY 2, 1 LIMIT :most
""")
_LETTERS: Final = text("""
SELECT reason, sum(count)::bigint, count(DISTINCT (tenant, device)),
       min(tenant || '/' || device), max(last_seen)
  FROM dead_letters WHERE last_seen > now() - make_interval(secs => :seconds)
 GROUP BY reason ORDER BY 2 DESC
""")


@dataclass(frozen=True, slots=True)
class Holding:
    """A transaction that has been open for long, and how many others wait for it."""

    pid: int
    application: str
    state: str
    seconds: float
    waiting: int


@dataclass(frozen=True, slots=True)
class Slot:
    """A replication slot: ``kept`` bytes of the log stay on the disk for who reads it."""

    name: str
    is_active: bool
    kept: int


@dataclass(frozen=True, slots=True)
class Server:
    """A server, seen from a connection; ``revision`` None: it has no schema of ours.

    ``folder``: of its data, None where this role may not know.
    """

    version: str
    clock: datetime
    is_read_only: bool
    most_connections: int
    connections: int
    size: int
    waiting: int
    edition: str
    timescaledb: str | None
    revision: str | None
    folder: str | None
    holding: Sequence[Holding]
    slots: Sequence[Slot]


@dataclass(frozen=True, slots=True)
class Ending:
    """A device whose certificate is good for ``ends_s`` seconds; below 0 it has ended."""

    name: str
    ends_s: float


@dataclass(frozen=True, slots=True)
class Sleeper:
    """A device as it last told: ages in seconds, ``stored_s`` None where nothing is stored.

    ``known``: of its newest epochs, as many as it holds, the share that is stored.
    """

    name: str
    state: str
    clock: str
    told_s: float
    backlog: int
    stored_s: float | None
    known: float | None


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Messages of late that could not be understood, for one reason; ``device`` sent some."""

    reason: str
    count: int
    devices: int
    device: str
    last_seen: datetime


def server(connection: Connection, *, long_s: float = 30.0) -> Server:
    """Return how the server is; transactions open for ``long_s`` are told one by one."""
    row = connection.execute(_SERVER).one()
    is_ours = connection.scalar(_HAS_SCHEMA)
    facts: list[Any] = [
        *row,
        edition(connection).value,
        version(connection),
        connection.scalar(_REVISION) if is_ours else None,
        connection.scalar(_FOLDER),
        [Holding(*it) for it in connection.execute(_HOLDING, {"seconds": long_s})],
        [Slot(*it) for it in connection.execute(_SLOTS)],
    ]
    return Server(*facts)


def worst(connection: Connection, most: int = 50) -> list[Sleeper]:
    """Return the devices that hold the most epochs that are not acknowledged."""
    return [Sleeper(*row) for row in connection.execute(_WORST, {"most": most})]


def ending(connection: Connection, seconds: float, most: int = 50) -> list[Ending]:
    """Return the devices whose certificate ends, or ended, within so long, the next first."""
    return [
        Ending(*row) for row in connection.execute(_ENDING, {"seconds": seconds, "most": most})
    ]


def letters(connection: Connection, seconds: float = 3600.0) -> list[DeadLetters]:
    """Return why messages of late were put aside, the most frequent reason first."""
    return [DeadLetters(*row) for row in connection.execute(_LETTERS, {"seconds": seconds})]
