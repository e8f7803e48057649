"""The audit: who did what to whom, written in the transaction that does it, kept for good.

``record`` writes an entry of a tenant, ``record_platform`` one of nobody's. Both are told in
the log too, once the transaction is committed. The entry gets its place in the chain at COMMIT
(``noctis.audit_chain`` says how it is made). There are no secrets in it, and no names but in
the details, which an erasure takes along (``forget``).
"""

import json
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, delete, select, text

from noctis.audit import Author, origin
from noctis.audit import audit as told
from noctis.audit_chain import ERASED, ranges
from noctis.storage import engine
from noctis.storage.audit_models import audit, audit_details

__all__ = ["Fact", "forget", "record", "record_as", "record_platform"]

Fact = str | int | None

_TOLD_AT_ONCE: Final = 1_000
_APPEND: Final = text(
    "SELECT audit_append(:tenant, :action, :outcome, :actor, :target, :address, :facts)"
)
_ERASING: Final = text("SELECT set_config('noctis.audit_erasing', :on, true)")


def record(
    tenant: str,
    connection: Connection,
    action: str,
    *,
    by: str,
    target: str = "",
    address: str = "",
    outcome: str = "done",
    **facts: Fact,
) -> None:
    """Write down that something was done in a tenant, or for one: ``by`` whom, to what.

    It counts once the transaction is committed, as what it tells of does. Of a tenant that
    there is not no name is kept, since no erasure could take it.
    """
    _append(tenant, connection, action, (outcome, by, target, address), facts)


def record_platform(
    connection: Connection,
    action: str,
    *,
    by: str,
    target: str = "",
    address: str = "",
    outcome: str = "done",
    **facts: Fact,
) -> None:
    """Write down that something was done which belongs to no tenant; as ``record``."""
    _append("", connection, action, (outcome, by, target, address), facts)


def record_as(
    connection: Connection, author: Author, action: str, target: str = "", **facts: Fact
) -> None:
    """Write down what an author did, who may be of a tenant, whose erasure takes him then."""
    said = ("done", author.subject, target, author.address)
    _append(author.tenant, connection, action, said, facts)


def _append(
    tenant: str,
    connection: Connection,
    action: str,
    said: tuple[str, str, str, str],
    facts: Mapping[str, Fact],
) -> None:
    outcome, by, target, address = (it.replace("\0", "") for it in said)
    address = address or origin.get()
    connection.execute(
        _APPEND,
        {
            "tenant": tenant,
            "action": action,
            "outcome": outcome,
            "actor": by,
            "target": target,
            "address": address,
            "facts": json.dumps(facts, sort_keys=True, separators=(",", ":")),
        },
    )
    named = {"target": target, "address": address, "outcome": outcome}
    shown = {k: v for k, v in named.items() if v not in {"", "done"}} | dict(facts)
    engine.after_commit(connection, lambda: told(action, by=by, tenant=tenant, **shown))


def forget(tenant_id: int, connection: Connection, device: str | None, *, erasure: int) -> None:
    """Take the details of all that was done in a tenant, or to one device, ``tenant/device``.

    The chain tells which they were, so that it can be verified without them.
    """
    mine = audit_details.c.tenant_key == tenant_id
    if device is not None:
        mine &= audit_details.c.target == device
    gone = list(connection.scalars(select(audit_details.c.id).where(mine)))
    numbers = list(
        connection.scalars(
            select(audit.c.number).where(audit.c.details.in_(gone)).order_by(audit.c.number)
        )
    )
    connection.execute(_ERASING, {"on": "yes"})
    connection.execute(delete(audit_details).where(audit_details.c.id.in_(gone)))
    connection.execute(_ERASING, {"on": ""})
    for first in range(0, len(numbers), _TOLD_AT_ONCE):
        some = ranges(numbers[first : first + _TOLD_AT_ONCE])
        record_platform(
            connection,
            ERASED,
            by="companion",
            erasure=erasure,
            numbers=some,
            tenant_key=tenant_id,
        )
