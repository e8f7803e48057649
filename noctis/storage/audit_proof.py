"""The audit's chain, verified from its first entry to its last."""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, select, text

from noctis.audit_chain import Details, Finding, Link, Verifier
from noctis.storage.audit_models import audit, audit_details

__all__ = ["head", "links", "orphans", "verify"]

AT_ONCE: Final = 5_000


def head(connection: Connection) -> tuple[int, bytes] | None:
    """Return number and hash of the newest entry, None where there is none yet."""
    newest = select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    return None if row is None else (row.number, bytes(row.hash))


def links(connection: Connection, *, after: int = 0, limit: int = AT_ONCE) -> list[Link]:
    """Return entries of numbers above ``after`` in their order, as ``Verifier`` takes them."""
    it, other = audit.c, audit_details.c
    rows = connection.execute(
        select(
            *(it.number, it.at, it.details, it.tenant_key, it.action, it.outcome),
            *(it.commitment, it.hash, other.id),
            *(other.actor, other.target, other.address, other.facts, other.salt),
        )
        .join(audit_details, other.id == it.details, isouter=True)
        .where(it.number > after)
        .order_by(it.number)
        .limit(limit)
    )
    return [_link(row) for row in rows]


def _link(row: Any) -> Link:  # noqa: ANN401 - a row of many columns
    details = None
    if row.id is not None:
        details = Details(row.actor, row.target, row.address, row.facts, bytes(row.salt))
    return Link(
        number=row.number,
        at=row.at,
        details_id=row.details,
        tenant_key=row.tenant_key,
        action=row.action,
        outcome=row.outcome,
        commitment=bytes(row.commitment),
        hash=bytes(row.hash),
        details=details,
    )


def orphans(connection: Connection) -> list[Finding]:
    """Return what details show that no entry of the chain has: it was removed."""
    known = select(audit.c.number).where(audit.c.details == audit_details.c.id).exists()
    rows = connection.scalars(select(audit_details.c.id).where(~known).limit(100))
    return [Finding(0, f"details {it} have no entry: it was removed") for it in rows]


def verify(connection: Connection, anchor: bytes | None = None) -> Verifier:
    """Verify the whole chain as it is at one moment; what is wrong is in ``findings``.

    The transaction must see one moment: begin with it.
    """
    connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    verifier = Verifier(anchor)
    for part in _parts(connection):
        verifier.take(part)
    verifier.finish()
    verifier.findings += orphans(connection)
    return verifier


def _parts(connection: Connection) -> Iterator[list[Link]]:
    after = 0
    while part := links(connection, after=after):
        yield part
        after = part[-1].number
