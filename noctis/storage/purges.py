"""Rows that nobody needs any more, of each tenant: old orders, sessions that ended."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from noctis.storage.refreshes import AT_ALL, UNUSED
from noctis.storage.tenants import id_of

__all__ = ["AT_ONCE", "step"]

AT_ONCE: Final = 1000

# One that is cancelled may be resumed until it goes; one that nobody has done yet stays.
_OPERATIONS: Final = text("""
DELETE FROM operations WHERE number = ANY(ARRAY(
  SELECT number FROM operations
   WHERE tenant_id = :tenant AND coalesce(finished_at, cancelled_at) < :before
   ORDER BY number LIMIT :limit))
""")
_FAMILIES: Final = text("""
DELETE FROM refresh_families WHERE id = ANY(ARRAY(
  SELECT id FROM refresh_families
   WHERE tenant_id = :tenant AND (turned_at <= :unused OR began_at <= :over) LIMIT :limit))
""")


def step(
    tenant: str,
    connection: Connection,
    now: datetime,
    *,
    ended_before: datetime,
    limit: int = AT_ONCE,
) -> dict[str, int]:
    """Delete some of what a tenant has no use for; return how many rows of which table.

    Operations that ended before ``ended_before``, and families of refresh tokens none of which
    is good any more. Nothing is left where nothing is returned. Raise NotFoundError.
    """
    keys = {"tenant": id_of(tenant, connection), "limit": limit}
    old = {"unused": now - UNUSED, "over": now - AT_ALL}
    gone = {
        "operations": connection.execute(_OPERATIONS, {**keys, "before": ended_before}),
        "refresh_families": connection.execute(_FAMILIES, {**keys, **old}),
    }
    return {table: done.rowcount for table, done in gone.items() if done.rowcount}
