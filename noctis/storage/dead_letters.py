"""Messages that could not be understood, kept once each for whoever looks into it."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert

from noctis.storage.models import dead_letters

__all__ = ["KEPT_BYTES", "KEPT_PER_DEVICE", "DeadLetter", "list_of", "put"]

KEPT_PER_DEVICE: Final = 100
KEPT_BYTES: Final = 16 << 10
# The row that counts what came after a device's hundred; no message has this digest.
_REST: Final = b""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message, why it was not understood, and how often it came.

    ``sha256`` is of all its bytes; empty for what counts those that are not kept.
    """

    device: str
    topic: str
    reason: str
    detail: str
    payload: bytes
    count: int
    first_seen: datetime
    last_seen: datetime
    sha256: bytes


def put(
    tenant: str,
    connection: Connection,
    device: str,
    *,
    topic: str,
    reason: str,
    detail: str,
    payload: bytes,
) -> bool:
    """Keep a message of a tenant's device; return whether its bytes were new and are kept.

    A repeat only counts. The names may be unknown, and empty where the topic names nobody.
    Of one device 100 messages are kept, of each message 16 KiB; the rest is counted in a
    letter of the reason ``overflow``.
    """
    digest = sha256(payload).digest()
    mine = (dead_letters.c.tenant == tenant) & (dead_letters.c.device == device)
    repeated = connection.execute(
        update(dead_letters)
        .where(mine, dead_letters.c.sha256 == digest)
        .values(count=dead_letters.c.count + 1, last_seen=func.now())
    )
    if repeated.rowcount:
        return False
    kept = connection.scalar(select(func.count()).select_from(dead_letters).where(mine)) or 0
    new = {"topic": topic, "reason": reason, "detail": detail, "payload": payload[:KEPT_BYTES]}
    rest = {"topic": "", "reason": "overflow", "detail": "", "payload": b""}
    is_kept = kept < KEPT_PER_DEVICE
    connection.execute(
        insert(dead_letters)
        .values(
            tenant=tenant,
            device=device,
            sha256=digest if is_kept else _REST,
            **(new if is_kept else rest),
        )
        .on_conflict_do_update(
            index_elements=["tenant", "device", "sha256"],
            set_={"count": dead_letters.c.count + 1, "last_seen": func.now()},
        )
    )
    return is_kept


def list_of(tenant: str, connection: Connection, *, limit: int = 100) -> list[DeadLetter]:
    """Return a tenant's dead letters, the latest first."""
    columns = [dead_letters.c[name] for name in DeadLetter.__dataclass_fields__]
    rows = connection.execute(
        select(*columns)
        .where(dead_letters.c.tenant == tenant)
        .order_by(dead_letters.c.last_seen.desc(), dead_letters.c.id)
        .limit(limit)
    )
    return [DeadLetter(*row) for row in rows]
