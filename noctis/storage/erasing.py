"""The steps of an erasure: short transactions, each of which may be done again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, func, or_, select, text, update

from noctis.identity import DeviceId
from noctis.storage import audit, certificates, commands, disposal, void_tokens
from noctis.storage.drift_models import drift_reports
from noctis.storage.erasures import Erasure
from noctis.storage.models import accounts, erasures, streams, tenants
from noctis.storage.models import devices as owners
from noctis.storage.runs import unsigned

__all__ = ["Subject", "finish", "is_ripe", "look_again", "step", "subjects"]


@dataclass(frozen=True, slots=True)
class Subject:
    """A device whose rows go."""

    id: int
    device: DeviceId


def subjects(connection: Connection, erasure: Erasure) -> list[Subject]:
    """Return the devices that an erasure is about."""
    tenant = (erasure.subject or "").partition("/")[0]
    query = select(owners.c.id, owners.c.name).where(owners.c.tenant_id == erasure.tenant_id)
    if erasure.device_id is not None:
        query = query.where(owners.c.id == erasure.device_id)
    rows = connection.execute(query.order_by(owners.c.id))
    return [Subject(row.id, DeviceId(tenant, row.name)) for row in rows]


def step(
    connection: Connection, erasure: Erasure, subject: Subject, *, limit: int = disposal.AT_ONCE
) -> dict[str, int]:
    """Delete some of a device's rows; return how many of which table, nothing at the end."""
    gone = disposal.anything(erasure.tenant_id, connection, subject.id, limit=limit)
    device = subject.device
    letters = connection.execute(_LETTERS, {"tenant": device.tenant, "device": device.device})
    if letters.rowcount:
        gone["dead_letters"] = letters.rowcount
    _note(connection, erasure, gone)
    return gone


# A device has a hundred at most.
_LETTERS: Final = text("""
DELETE FROM dead_letters
 WHERE tenant = :tenant AND (CAST(:device AS text) IS NULL OR device = :device)
""")


def _note(connection: Connection, erasure: Erasure, gone: Mapping[str, int]) -> None:
    """Add rows that went to the erasure's counts."""
    if not gone:
        return
    mine = erasures.c.id == erasure.id
    known = connection.execute(select(erasures.c.counts).where(mine).with_for_update())
    counts = dict(known.scalar_one())
    for table, count in gone.items():
        counts[table] = counts.get(table, 0) + count
    connection.execute(update(erasures).where(mine).values(counts=counts))


def look_again(connection: Connection, erasure: Erasure) -> None:
    """Write down that all rows are gone now, and that another look is to come."""
    connection.execute(
        update(erasures)
        .where(erasures.c.id == erasure.id)
        .values(erased_at=func.clock_timestamp())
    )


def is_ripe(connection: Connection, erasure: Erasure, seconds: float) -> bool:
    """Tell whether all rows were gone so many seconds ago."""
    age = func.extract("epoch", func.clock_timestamp() - erasures.c.erased_at)
    query = select(age >= seconds).where(erasures.c.id == erasure.id)
    return bool(connection.scalar(query))


def finish(connection: Connection, erasure: Erasure, found: Sequence[Subject]) -> None:
    """Let the names go: the devices', the accounts', and the erasure's own.

    What of their rows has come since the last step goes in the same transaction. A device
    that is kept may send again, in a new stream.
    """
    for subject in found:
        while step(connection, erasure, subject):
            pass
    keys = [subject.id for subject in found]
    # What was told of all of the tenant's devices was told of these too.
    of_all = (drift_reports.c.tenant_id == erasure.tenant_id) & drift_reports.c.device_id.is_(
        None
    )
    connection.execute(delete(drift_reports).where(of_all))
    is_mine: ColumnElement[bool] = streams.c.device_id.in_(keys)
    if erasure.kind == "tenant":
        is_mine = or_(is_mine, streams.c.tenant_id == erasure.tenant_id)
        tenant = erasure.subject or ""
        letters = connection.execute(_LETTERS, {"tenant": tenant, "device": None})
        _note(connection, erasure, {"dead_letters": letters.rowcount})
    for name in [None] if erasure.kind == "tenant" else [str(it.device) for it in found]:
        audit.forget(erasure.tenant_id, connection, name, erasure=erasure.id)
    audit.record_platform(
        connection, "erased", by="companion", erasure=erasure.id, kind=erasure.kind
    )
    if erasure.keep_device:
        _order_erase(connection, keys)
    closed = func.coalesce(streams.c.closed_at, func.now())
    ownerless = {"device_id": None, "tenant_id": None, "closed_at": closed}
    connection.execute(update(streams).where(is_mine).values(ownerless))
    if erasure.keep_device:
        kept = update(owners).where(owners.c.id.in_(keys))
        connection.execute(kept.values(revoked_at=None))
    else:
        _forget(connection, erasure, found)
    connection.execute(
        update(erasures)
        .where(erasures.c.id == erasure.id)
        .values(subject=None, done_at=func.clock_timestamp())
    )


def _order_erase(connection: Connection, keys: Sequence[int]) -> None:
    """Have devices that are kept erase what they hold of the closed streams."""
    for key in keys:
        mine = select(streams.c.stream).where(streams.c.device_id == key)
        newest = mine.order_by(streams.c.first_seen.desc()).limit(_STREAMS)
        commands.order_erase(
            connection, key, [unsigned(it) for it in connection.scalars(newest)]
        )


_STREAMS: Final = 8
"""The newest of a device's: one of them is what it is at, unless it never told of that."""


def _forget(connection: Connection, erasure: Erasure, found: Sequence[Subject]) -> None:
    """Delete devices and accounts, and the tenant where it is meant."""
    names = [str(subject.device) for subject in found]
    is_mine: ColumnElement[bool] = accounts.c.username.in_(names)
    if erasure.kind == "tenant":
        is_mine = accounts.c.tenant_id == erasure.tenant_id
    gone = delete(accounts).where(is_mine).returning(accounts.c.username)
    usernames = list(connection.scalars(gone))
    certificates.disown(erasure.tenant_id, connection, usernames)
    keys = [subject.id for subject in found]
    connection.execute(delete(owners).where(owners.c.id.in_(keys)))
    if erasure.kind == "tenant":
        void_tokens.disown(erasure.tenant_id, connection)
        connection.execute(delete(tenants).where(tenants.c.id == erasure.tenant_id))
