"""What the database at hand can do: TimescaleDB in full, its Apache edition, or neither."""

from enum import Enum

from sqlalchemy import Connection, text

__all__ = ["Edition", "edition", "enable"]


class Edition(Enum):
    """What there is of TimescaleDB."""

    FULL = "timescale"  # hypertables, compression, policies, continuous aggregates
    APACHE = "apache"  # hypertables only
    NONE = "none"  # plain PostgreSQL


def enable(connection: Connection) -> Edition:
    """Create the extension where the server can load it; return what that gives."""
    available = connection.scalar(
        text("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'")
    )
    preloaded = connection.scalar(text("SHOW shared_preload_libraries")) or ""
    if available and "timescaledb" in preloaded:
        connection.execute(text("CREATE EXTENSION IF NOT EXISTS timescaledb"))
    return edition(connection)


def edition(connection: Connection) -> Edition:
    """Return what there is of TimescaleDB in this database."""
    installed = text("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")
    if not connection.scalar(installed):
        return Edition.NONE
    licence = connection.scalar(text("SELECT current_setting('timescaledb.license', true)"))
    return Edition.FULL if licence == "timescale" else Edition.APACHE
