"""Rows of a device taken away, some thousands in a transaction, from every table there is.

Tables are found in the catalogue: whatever has a column ``device_id`` belongs to a device.
Each function returns how many rows went; 0 says that nothing is left.
"""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, text

from noctis.storage import rolling
from noctis.storage.rollup_schema import NAME as ROLLUP
from noctis.storage.timescale import Edition, edition

__all__ = ["AT_ONCE", "FOREVER", "anything", "epochs", "rollups"]

AT_ONCE: Final = 5000
FOREVER: Final = datetime(9999, 1, 1, tzinfo=UTC)

# A closed stream must stay known, and what was done must stay told.
_STAY: Final = frozenset({"streams", "erasures"})
_TABLES: Final = text("""
SELECT c.table_name
  FROM information_schema.columns c
  JOIN information_schema.tables t USING (table_schema, table_name)
 WHERE c.table_schema = current_schema() AND c.column_name = 'device_id'
   AND t.table_type = 'BASE TABLE'
 ORDER BY c.table_name
""")
# Bounds by the leading columns of the key and, on TimescaleDB, of compressed segments: no
# row is looked at that stays.
_BOUND: Final = text("""
SELECT epoch_start FROM epochs
 WHERE device_id = :device AND epoch_start < :before
 ORDER BY epoch_start OFFSET :limit LIMIT 1
""")
_COUNT: Final = text("""
SELECT count(*) FROM epochs
 WHERE tenant_id = :tenant AND device_id = :device AND epoch_start < :before
""")
_EPOCHS: Final = text("""
DELETE FROM epochs
 WHERE tenant_id = :tenant AND device_id = :device AND epoch_start < :before
""")
_MATERIALISED: Final = text("""
SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)
  FROM timescaledb_information.continuous_aggregates WHERE view_name = :name
""")


def epochs(
    tenant_id: int, connection: Connection, device_id: int, before: datetime, *, limit: int
) -> int:
    """Delete a device's oldest epochs that start before a moment, about ``limit`` of them."""
    keys = {"tenant": tenant_id, "device": device_id, "before": before}
    bound = connection.scalar(_BOUND, {**keys, "limit": limit})
    if bound is not None:
        keys["before"] = bound
    # Not the statement's own count: whole compressed batches may go uncounted.
    count: int = connection.execute(_COUNT, keys).scalar_one()
    if count:
        connection.execute(_EPOCHS, keys)
    return count


def rollups(connection: Connection, device_id: int, before: datetime) -> int:
    """Delete a device's hours that are over before a moment."""
    rolling.hold(connection)  # else a step that read the epochs before writes hours again
    table = ROLLUP
    if edition(connection) is Edition.FULL:
        table = connection.execute(_MATERIALISED, {"name": ROLLUP}).scalar_one()
    done = connection.execute(
        text(
            f"DELETE FROM {table} WHERE device_id = :device "  # noqa: S608 - the catalogue's name
            "AND hour < CAST(:before AS timestamptz) - interval '1 hour'"
        ),
        {"device": device_id, "before": before},
    )
    return done.rowcount


def anything(
    tenant_id: int, connection: Connection, device_id: int, *, limit: int = AT_ONCE
) -> dict[str, int]:
    """Delete rows of a device, at most about ``limit``; return how many of which table."""
    gone = {"epochs": epochs(tenant_id, connection, device_id, FOREVER, limit=limit)}
    for table in connection.scalars(_TABLES).all():
        left = limit - sum(gone.values())
        if left <= 0:
            break
        if table not in _STAY and table not in gone:
            gone[table] = _some(connection, table, device_id, left)
    else:
        gone[ROLLUP] = gone.get(ROLLUP, 0) + rollups(connection, device_id, FOREVER)
    return {table: count for table, count in gone.items() if count}


def _some(connection: Connection, table: str, device_id: int, limit: int) -> int:
    # Recordings point at each other; of one device they are few, and go at once.
    some = None if table == "recordings" else limit
    done = connection.execute(
        text(
            f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} "  # noqa: S608 - the catalogue's name
            "WHERE device_id = :device LIMIT :limit))"
        ),
        {"device": device_id, "limit": some},
    )
    return done.rowcount
