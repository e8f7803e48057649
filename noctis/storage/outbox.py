"""The ingestor's notes on late epochs, as the settler watches them."""

from sqlalchemy import Connection, func, select

from noctis.storage.models import outbox

__all__ = ["newest"]


def newest(connection: Connection) -> int:
    """Return the number of the newest note of the platform; 0 when there is none."""
    return connection.scalar(select(func.max(outbox.c.id))) or 0
