"""Operations of a tenant: ordered here, done by the runner (``operation_queue``)."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args
from uuid import UUID

from sqlalchemy import Connection, text

from noctis.storage import devices, locks, tenants
from noctis.storage.errors import NotFoundError

__all__ = [
    "KINDS",
    "Kind",
    "Operation",
    "State",
    "WorkKind",
    "add",
    "cancel",
    "columns",
    "get",
    "list_of",
    "open_count",
    "resume",
]

Kind = Literal["replay", "evaluation", "experiment"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
WorkKind = Kind | Literal["stress"]
"""A load is the platform's own: no tenant orders one or sees it."""
State = Literal["queued", "running", "cancelling", "cancelled", "failed", "done"]


def columns() -> str:
    """Return what is selected of ``operations o`` for an Operation, in its fields' order."""
    return f"""o.number, o.id, o.kind, o.request, o.requested_by, o.replay_id, o.done, o.total,
       o.result, o.error, o.created_at, o.started_at, o.cancelled_at, o.finished_at,
       EXISTS (SELECT FROM pg_locks l
                WHERE l.locktype = 'advisory' AND l.classid = {locks.OPERATIONS}
                  AND l.objid = o.number AND l.database = (SELECT oid FROM pg_database
                                     WHERE datname = current_database())) AS is_held"""  # noqa: S608 - a constant


_SELECT: Final = f"""
SELECT {columns()}
  FROM operations o JOIN tenants t ON t.id = o.tenant_id
 WHERE t.name = :tenant
"""  # noqa: S608 - a constant
_GET: Final = text(f"{_SELECT} AND o.id = :id")
_LIST: Final = text(f"""
{_SELECT} AND o.kind = ANY(CAST(:kinds AS text[]))
   AND (CAST(:before AS integer) IS NULL OR o.number < :before)
 ORDER BY o.number DESC LIMIT :limit
""")
_ADD: Final = text("""
INSERT INTO operations (tenant_id, device_id, kind, request, requested_by)
VALUES (:tenant, :device, :kind, CAST(:request AS jsonb), :by) RETURNING id
""")
_OPEN: Final = text("""
SELECT count(*) FROM operations
 WHERE tenant_id = :tenant AND finished_at IS NULL AND cancelled_at IS NULL
""")
_CANCEL: Final = text("""
WITH ended AS (
  UPDATE operations SET cancelled_at = coalesce(cancelled_at, now())
   WHERE id = :id AND tenant_id = :tenant AND finished_at IS NULL RETURNING replay_id
)
UPDATE replays SET cancelled_at = coalesce(cancelled_at, now())
 WHERE id IN (SELECT replay_id FROM ended) AND done_at IS NULL
""")
_RESUME: Final = text("""
UPDATE operations SET cancelled_at = NULL, finished_at = NULL, error = NULL, attempts = 0
 WHERE id = :id AND tenant_id = :tenant AND result IS NULL
   AND (cancelled_at IS NOT NULL OR finished_at IS NOT NULL)
""")


@dataclass(frozen=True, slots=True)
class Operation:
    """What somebody ordered, and how far it is: ``done`` of ``total`` (None: not known yet).

    ``number`` rises with each; ``request`` is what was asked for, ``result`` what came of it.
    """

    number: int
    id: UUID
    kind: WorkKind
    request: dict[str, Any]
    requested_by: str
    replay_id: int | None
    done: int
    total: int | None
    result: dict[str, Any] | None
    error: str | None
    created_at: datetime
    started_at: datetime | None
    cancelled_at: datetime | None
    finished_at: datetime | None
    is_held: bool

    @property
    def state(self) -> State:
        """What is to be said of it; ``cancelling``: what is in hand is finished."""
        if self.finished_at is not None:
            return "done" if self.error is None else "failed"
        if self.cancelled_at is not None:
            return "cancelling" if self.is_held else "cancelled"
        return "running" if self.is_held else "queued"


def add(
    tenant: str,
    connection: Connection,
    kind: Kind,
    request: Mapping[str, object],
    *,
    device: str | None,
    by: str,
) -> Operation:
    """Order an operation; raise NotFoundError when the tenant has no such device."""
    keys = {
        "tenant": tenants.id_of(tenant, connection),
        "device": None if device is None else devices.get(tenant, connection, device).id,
        "kind": kind,
        "request": json.dumps(request),
        "by": by,
    }
    return get(tenant, connection, connection.execute(_ADD, keys).scalar_one())


def open_count(tenant: str, connection: Connection) -> int:
    """Return how many operations of a tenant are neither finished nor cancelled."""
    key = tenants.id_of(tenant, connection)
    count: int = connection.execute(_OPEN, {"tenant": key}).scalar_one()
    return count


def get(tenant: str, connection: Connection, key: UUID) -> Operation:
    """Return an operation; raise NotFoundError when the tenant has none of that id."""
    row = connection.execute(_GET, {"tenant": tenant, "id": key}).one_or_none()
    if row is None:
        message = f"tenant {tenant!r} has no operation {key}"
        raise NotFoundError(message)
    return Operation(*row)


def list_of(
    tenant: str,
    connection: Connection,
    kinds: Collection[Kind],
    *,
    before: int | None,
    limit: int,
) -> list[Operation]:
    """Return a tenant's operations of some kinds, the newest first, older than ``before``."""
    keys = {"tenant": tenant, "kinds": list(kinds), "before": before, "limit": limit}
    return [Operation(*row) for row in connection.execute(_LIST, keys)]


def cancel(tenant: str, connection: Connection, key: UUID) -> Operation:
    """Let an operation end after what is in hand; one that is finished stays as it is."""
    owner = tenants.id_of(tenant, connection)
    connection.execute(_CANCEL, {"tenant": owner, "id": key})
    return get(tenant, connection, key)


def resume(tenant: str, connection: Connection, key: UUID) -> Operation:
    """Put an operation that was cancelled or failed back into the queue.

    Raise NotFoundError when the tenant has none of that id; one that is done stays as it is.
    """
    owner = tenants.id_of(tenant, connection)
    connection.execute(_RESUME, {"tenant": owner, "id": key})
    return get(tenant, connection, key)
