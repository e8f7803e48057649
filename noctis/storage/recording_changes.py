"""What a person makes of a night: a note, tags, that it is none, or that it is to go.

And nights that a person declares: they begin and end when somebody said so.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, func, update
from sqlalchemy import delete as delete_from

from noctis.storage import devices, night_news, recordings
from noctis.storage.night_models import recordings as table
from noctis.storage.recordings import FOUND, Night, Recording

__all__ = ["change", "declare", "delete", "move"]


def change(
    tenant: str,
    connection: Connection,
    key: UUID,
    *,
    note: str | None,
    tags: Sequence[str],
    excluded: bool,
    kind: str | None = None,
) -> Recording:
    """Store a person's words on a recording; return it as it is now.

    The figures and the revision are the night's own and stay. ``kind``: None, it stays as well.
    Raise NotFoundError.
    """
    known = recordings.get(tenant, connection, key, to_change=True)
    said = {"note": note, "tags": tags, "excluded": excluded, "kind": kind or known.kind}
    if all(getattr(known, name) == it for name, it in {**said, "tags": tuple(tags)}.items()):
        return known
    said["tags"] = list(tags)
    connection.execute(
        update(table).where(table.c.id == known.id).values(**said, edits=table.c.edits + 1)
    )
    night_news.note(connection, devices.get(tenant, connection, known.device).id)
    return recordings.get(tenant, connection, key)


def delete(tenant: str, connection: Connection, key: UUID) -> None:
    """Let nobody see a recording any more, and forget what a person wrote; NotFoundError.

    One that was found stays hidden in its place: else the same epochs would be found as a night
    again. One that was declared is gone.
    """
    known = recordings.get(tenant, connection, key, to_change=True)
    if known.kind != FOUND:
        connection.execute(delete_from(table).where(table.c.id == known.id))
        return
    connection.execute(
        update(table)
        .where(table.c.id == known.id)
        .values(note=None, tags=[], deleted_at=func.now(), edits=table.c.edits + 1)
    )
    night_news.note(connection, devices.get(tenant, connection, known.device).id)


def declare(
    tenant: str,
    connection: Connection,
    device: str,
    night: Night,
    *,
    kind: str,
    by: str,
    note: str | None,
    tags: Sequence[str],
) -> Recording:
    """Store what a person declares to be a recording. Raise NotFoundError for the device."""
    key = devices.get(tenant, connection, device).id
    said = {"kind": kind, "declared_by": by, "note": note, "tags": list(tags)}
    return recordings.get(tenant, connection, recordings.add(connection, key, night, **said))


def move(tenant: str, connection: Connection, key: UUID, night: Night) -> None:
    """Let a recording that was declared show another stretch. Raise NotFoundError."""
    known = recordings.get(tenant, connection, key, to_change=True)
    recordings.revise(connection, known, night)
