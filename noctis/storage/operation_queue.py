"""The queue of operations, of all tenants, as whoever does them sees it.

Who holds an operation's lock does it. The lock ends with its holder: nobody need say that a
process has died, and the next one takes the operation up.
"""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, text

from noctis.storage import locks
from noctis.storage.operations import WorkKind

__all__ = [
    "MOST_ATTEMPTS",
    "Work",
    "finish",
    "held",
    "is_wanted",
    "link",
    "progress",
    "release",
    "take",
    "waiting",
]

MOST_ATTEMPTS: Final = 5
"""So often an operation may end the process that does it, before it is given up."""

_WAITING: Final = text("""
SELECT number FROM operations
 WHERE finished_at IS NULL AND cancelled_at IS NULL ORDER BY attempts, number LIMIT 100
""")
_TAKE: Final = text("""
UPDATE operations o SET attempts = attempts + 1, started_at = coalesce(started_at, now())
 WHERE o.number = :number
   AND o.finished_at IS NULL AND o.cancelled_at IS NULL
RETURNING o.number, coalesce((SELECT name FROM tenants WHERE id = o.tenant_id), ''),
          o.kind, o.request, o.replay_id, o.attempts
""")
_RELEASE: Final = text("""
UPDATE operations SET attempts = attempts - 1 WHERE number = :number AND attempts > 0
""")
_PROGRESS: Final = text("""
UPDATE operations SET done = :done, total = :total
 WHERE number = :number AND finished_at IS NULL RETURNING cancelled_at IS NULL
""")
_IS_WANTED: Final = text("""
SELECT cancelled_at IS NULL FROM operations WHERE number = :number FOR UPDATE
""")
_LINK: Final = text("UPDATE operations SET replay_id = :replay WHERE number = :number")
_FINISH: Final = text("""
UPDATE operations SET finished_at = now(), result = CAST(:result AS jsonb), error = :error
 WHERE number = :number AND finished_at IS NULL AND cancelled_at IS NULL
""")


@dataclass(frozen=True, slots=True)
class Work:
    """An operation to be done for a tenant; ``attempts``: this one included.

    The platform's own, a load (``noctis.storage.stress``), has an empty tenant.
    """

    number: int
    tenant: str
    kind: WorkKind
    request: dict[str, Any]
    replay_id: int | None
    attempts: int


def waiting(connection: Connection) -> list[int]:
    """Return the operations that are to be done, some of them being done: the oldest first."""
    return list(connection.scalars(_WAITING))


def take(connection: Connection, number: int) -> Work | None:
    """Return what is to be done; None where it was finished or cancelled meanwhile."""
    row = connection.execute(_TAKE, {"number": number}).one_or_none()
    return None if row is None else Work(*row)


def release(connection: Connection, number: int) -> None:
    """Put an operation back that was not finished for no fault of its own."""
    connection.execute(_RELEASE, {"number": number})


def progress(connection: Connection, number: int, done: int, total: int) -> bool:
    """Note how far an operation is; False when it is not wanted any more."""
    keys = {"number": number, "done": done, "total": total}
    return bool(connection.execute(_PROGRESS, keys).scalar_one_or_none())


def is_wanted(connection: Connection, number: int) -> bool:
    """Tell whether an operation is still to be done; nobody cancels it in this transaction."""
    return bool(connection.scalar(_IS_WANTED, {"number": number}))


def link(connection: Connection, number: int, replay: int) -> None:
    """Note which replay an operation does."""
    connection.execute(_LINK, {"number": number, "replay": replay})


def finish(
    connection: Connection,
    number: int,
    *,
    result: Mapping[str, object] | None = None,
    error: str | None = None,
) -> None:
    """Note what came of an operation: a result, or why it failed."""
    document = None if result is None else json.dumps(result, allow_nan=False)
    connection.execute(_FINISH, {"number": number, "result": document, "error": error})


def held(engine: Engine, number: int) -> AbstractContextManager[bool]:
    """Keep an operation from others while the block runs; False when another has it."""
    return locks.held(engine, locks.OPERATIONS, number)
