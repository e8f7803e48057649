"""Access tokens that are void before they expire: those a subject had when it was changed.

Whoever is removed, revoked, or given another role or password is noted here; facades read
the few notes every second or two. A note outlives the tokens it is about.
"""

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from noctis.storage.tenants import id_of
from noctis.storage.user_models import void_tokens

__all__ = ["KEPT", "ban", "digest", "disown", "forget", "list_all"]

NOBODY: Final = 0  # no tenant has this key

KEPT: Final = timedelta(hours=1)
"""How long a note is kept; no access token may live longer."""


def digest(subject: str) -> bytes:
    """Return what a note calls a subject."""
    return sha256(subject.encode()).digest()


def ban(tenant: str, connection: Connection, subject: str) -> None:
    """Declare void what ``subject`` was issued until now."""
    now = func.clock_timestamp()
    connection.execute(
        insert(void_tokens)
        .values(tenant_id=id_of(tenant, connection), subject=digest(subject), since=now)
        .on_conflict_do_update(
            index_elements=[void_tokens.c.subject],
            set_={"since": func.greatest(void_tokens.c.since, now)},
        )
    )


def forget(connection: Connection) -> int:
    """Delete the notes on tokens that have all expired; return how many."""
    over = void_tokens.c.since < func.clock_timestamp() - KEPT
    return connection.execute(delete(void_tokens).where(over)).rowcount


def disown(tenant_id: int, connection: Connection) -> None:
    """Let the notes of a tenant that is gone belong to nobody; they hold digests alone."""
    mine = void_tokens.c.tenant_id == tenant_id
    connection.execute(update(void_tokens).where(mine).values(tenant_id=NOBODY))


def list_all(connection: Connection) -> tuple[datetime, dict[bytes, datetime]]:
    """Return the database's time, and until when what was issued to which subject is void.

    Subjects are called by their ``digest``.
    """
    now = connection.execute(select(func.clock_timestamp())).scalar_one()
    rows = connection.execute(select(void_tokens.c.subject, void_tokens.c.since))
    return now, {row.subject: row.since for row in rows}
