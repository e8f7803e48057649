"""What a person makes of a night: a note, tags, that it is none, or that it is to go."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, func, update

from noctis.storage import recordings
from noctis.storage.night_models import recordings as table
from noctis.storage.recordings import Recording

__all__ = ["change", "delete"]


def change(
    tenant: str,
    connection: Connection,
    key: UUID,
    *,
    note: str | None,
    tags: Sequence[str],
    excluded: bool,
) -> Recording:
    """Store a person's words on a recording; return it as it is now.

    The figures and the revision are the night's own and stay. Raise NotFoundError.
    """
    known = recordings.get(tenant, connection, key, to_change=True)
    if (known.note, known.tags, known.excluded) == (note, tuple(tags), excluded):
        return known
    said = {"note": note, "tags": list(tags), "excluded": excluded}
    connection.execute(
        update(table).where(table.c.id == known.id).values(**said, edits=table.c.edits + 1)
    )
    return recordings.get(tenant, connection, key)


def delete(tenant: str, connection: Connection, key: UUID) -> None:
    """Let nobody see a recording any more, and forget what a person wrote; NotFoundError.

    The row stays hidden in its place: else the same epochs would be found as a night again.
    """
    known = recordings.get(tenant, connection, key, to_change=True)
    connection.execute(
        update(table)
        .where(table.c.id == known.id)
        .values(note=None, tags=[], deleted_at=func.now(), edits=table.c.edits + 1)
    )
