"""What the database at hand can do: TimescaleDB in full, its Apache edition, or neither."""

import re
from enum import Enum
from typing import Final

from sqlalchemy import Connection, text

from noctis.errors import StorageError

__all__ = ["OLDEST", "Edition", "edition", "enable", "version"]

OLDEST: Final = (2, 18, 1)
"""Before this, INSERT ... ON CONFLICT DO NOTHING into a compressed chunk ended at the first row
that was stored already, and the rows behind it were lost without a word."""


class Edition(Enum):
    """What there is of TimescaleDB."""

    FULL = "timescale"  # hypertables, compression, policies, continuous aggregates
    APACHE = "apache"  # hypertables only
    NONE = "none"  # plain PostgreSQL


def enable(connection: Connection) -> Edition:
    """Create the extension where the server can load it; return what that gives.

    Raise StorageError when it is one that loses rows.
    """
    available = connection.scalar(
        text("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'")
    )
    # Of a user who may not see it the setting is hidden here; SHOW would fail.
    preloaded = connection.scalar(
        text("SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries'")
    )
    if available and "timescaledb" in (preloaded or ""):
        connection.execute(text("CREATE EXTENSION IF NOT EXISTS timescaledb"))
    found = version(connection)
    if found is not None and _numbers(found) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        message = f"TimescaleDB {found} loses rows that come late into compressed chunks"
        hint = f"install {oldest} or newer, then: ALTER EXTENSION timescaledb UPDATE"
        raise StorageError(message, hint=hint)
    return edition(connection)


def edition(connection: Connection) -> Edition:
    """Return what there is of TimescaleDB in this database."""
    if version(connection) is None:
        return Edition.NONE
    licence = connection.scalar(text("SELECT current_setting('timescaledb.license', true)"))
    return Edition.FULL if licence == "timescale" else Edition.APACHE


def version(connection: Connection) -> str | None:
    """Return the version of TimescaleDB in this database, None where there is none."""
    installed = text("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
    found: str | None = connection.scalar(installed)
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("-")[0]))
