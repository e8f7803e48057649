"""The platform's own jobs: how far each has come, and how its last run ended."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

__all__ = ["Job", "finished", "list_all", "started"]

_LIST: Final = text(
    "SELECT name, until, started_at, finished_at, error FROM jobs ORDER BY name"
)
_STARTED: Final = text("""
INSERT INTO jobs (name, started_at) VALUES (:name, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET started_at = excluded.started_at
""")
_FINISHED: Final = text("""
INSERT INTO jobs (name, finished_at, error) VALUES (:name, clock_timestamp(), :error)
ON CONFLICT (name) DO UPDATE SET finished_at = excluded.finished_at, error = excluded.error
""")


@dataclass(frozen=True, slots=True)
class Job:
    """A job of the companion.

    ``until``: all before this moment is done, None where a job has no such mark or has not
    begun; ``error``: why its last run failed, None when it ended well.
    """

    name: str
    until: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None


def list_all(connection: Connection) -> list[Job]:
    """Return the jobs by name."""
    return [Job(*row) for row in connection.execute(_LIST)]


def started(connection: Connection, name: str) -> None:
    """Write down that a run begins now."""
    connection.execute(_STARTED, {"name": name})


def finished(connection: Connection, name: str, *, error: str | None = None) -> None:
    """Write down that a run has ended now, and why it failed if it did."""
    connection.execute(_FINISHED, {"name": name, "error": error})
