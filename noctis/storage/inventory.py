"""What a database is, how large its tables are, and what runs in it by itself."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from noctis.storage import jobs, policies
from noctis.storage.rollup_schema import NAME
from noctis.storage.timescale import Edition, edition, version

__all__ = ["Chunk", "Inventory", "PolicyRun", "TableSize", "take"]

_TABLES: Final = text("""
SELECT c.relname, greatest(c.reltuples, 0)::bigint, pg_total_relation_size(c.oid)
  FROM pg_class c
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
 ORDER BY c.relname
""")
# A continuous aggregate is a view; what it holds is a hypertable of another name.
_CHUNKS: Final = text("""
SELECT h.name, c.chunk_name, c.range_start, c.range_end, c.is_compressed,
       coalesce(s.total_bytes, 0)::bigint
  FROM (
    SELECT 'epochs' AS name, 'public' AS schema, 'epochs' AS hypertable
    UNION ALL
    SELECT view_name, materialization_hypertable_schema, materialization_hypertable_name
      FROM timescaledb_information.continuous_aggregates
  ) h
  JOIN timescaledb_information.chunks c
    ON c.hypertable_schema = h.schema AND c.hypertable_name = h.hypertable
  LEFT JOIN LATERAL chunks_detailed_size(format('%I.%I', h.schema, h.hypertable)::regclass) s
    ON s.chunk_schema = c.chunk_schema AND s.chunk_name = c.chunk_name
 ORDER BY h.name, c.range_start
""")
_SAVED: Final = text("""
SELECT coalesce(sum(before_compression_total_bytes), 0)::bigint,
       coalesce(sum(after_compression_total_bytes), 0)::bigint
  FROM hypertable_compression_stats('epochs')
""")
_RUNS: Final = text("""
SELECT j.proc_name, j.hypertable_name, j.schedule_interval, s.last_run_started_at,
       s.last_run_status, s.total_failures, s.next_start
  FROM timescaledb_information.jobs j
  LEFT JOIN timescaledb_information.job_stats s ON s.job_id = j.job_id
 WHERE j.hypertable_name IN ('epochs', :rollup)
 ORDER BY j.job_id
""")
_NOTES: Final = text("SELECT count(*) FROM rollup_notes")


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table with its indexes; ``rows`` is what the planner last counted."""

    name: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk of ``epochs`` or of the rollup: the time that it holds, and its size."""

    table: str
    name: str
    since: datetime
    until: datetime
    is_compressed: bool
    bytes: int


@dataclass(frozen=True, slots=True)
class PolicyRun:
    """A job of TimescaleDB's own: on which table, how often, and how its last run ended."""

    name: str
    table: str
    every: timedelta
    last_run_at: datetime | None
    last_status: str | None
    failures: int | None
    next_run_at: datetime | None


@dataclass(frozen=True, slots=True)
class Inventory:
    """All of it. Sizes in bytes; what compression saved is ``before`` less ``after``.

    ``timescaledb`` is its version, None on plain PostgreSQL, where ``chunks`` and ``runs`` are
    empty. ``notes``: hours of late epochs that wait to be rolled up.
    """

    edition: Edition
    postgresql: str
    timescaledb: str | None
    tables: list[TableSize]
    chunks: list[Chunk]
    compressed: tuple[int, int]
    policies: policies.Policies
    runs: list[PolicyRun]
    jobs: list[jobs.Job]
    notes: int


def take(connection: Connection) -> Inventory:
    """Return what there is."""
    found = edition(connection)
    is_full = found is Edition.FULL
    chunks = [] if found is Edition.NONE else connection.execute(_CHUNKS).all()
    runs = connection.execute(_RUNS, {"rollup": NAME}).all() if is_full else []
    before, after = connection.execute(_SAVED).one() if is_full else (0, 0)
    return Inventory(
        found,
        connection.execute(text("SHOW server_version")).scalar_one(),
        version(connection),
        [TableSize(*row) for row in connection.execute(_TABLES)],
        [Chunk(*row) for row in chunks],
        (before, after),
        policies.read(connection),
        [PolicyRun(*row) for row in runs],
        jobs.list_all(connection),
        connection.execute(_NOTES).scalar_one(),
    )
