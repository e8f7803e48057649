"""Epochs as rows: packed by numpy, written by binary COPY or by INSERT ... ON CONFLICT.

COPY is the fastest way in and knows no duplicates, so it is tried first, inside a savepoint;
the slower statement follows when a key is stored already. Both take one buffer of big-endian
bytes for all rows, never a Python object for each value.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from sqlalchemy import BigInteger, Boolean, Connection, Integer, SmallInteger, Table
from sqlalchemy.dialects.postgresql import TIMESTAMP

from noctis.errors import StorageUnavailableError
from noctis.features import COUNT, NAMES
from noctis.storage.arrays import Array, Kind, array, cells, dtype

__all__ = ["ROW", "conflicting", "copy_payload", "identities", "insert"]

# A row before it is written. Times are microseconds since 1970; ``frame`` says where the row
# came from and is not stored.
ROW: Final = np.dtype(
    [
        ("tenant_id", np.int32),
        ("device_id", np.int32),
        ("epoch_start", np.int64),
        ("stream", np.int64),
        ("seq", np.int64),
        ("run_seq", np.int64),
        ("in_bed", np.bool_),
        ("codes", np.int16, (COUNT,)),
        ("received_at", np.int64),
        ("frame", np.int64),
    ]
)
IDENTITY: Final = ("device_id", "stream", "seq")
PAYLOAD: Final = ("run_seq", "in_bed", *NAMES)
POSTGRES_EPOCH_US: Final = 946_684_800_000_000  # 2000-01-01, where PostgreSQL counts from
COPY_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
STRETCH_GAP_US: Final = 3_600_000_000
COPY_TAIL: Final = b"\xff\xff"

_KINDS: Final[dict[type, Kind]] = {
    Boolean: "boolean",
    BigInteger: "bigint",
    SmallInteger: "smallint",
    Integer: "integer",
    TIMESTAMP: "timestamptz",
}


def identities(rows: NDArray[np.void]) -> list[tuple[int, int, int]]:
    """Return (device, stream, seq) of each row."""
    return list(zip(*(rows[name].tolist() for name in IDENTITY), strict=True))


def insert(
    connection: Connection, table: Table, rows: NDArray[np.void], *, optimistic: bool
) -> NDArray[np.bool_]:
    """Write rows of distinct keys, sorted by them; return which were new.

    ``optimistic``: expect all of them to be new.
    """
    if optimistic and _copied(connection, table, rows):
        return np.ones(len(rows), np.bool_)
    names = list(table.columns.keys())
    statement = sql.SQL(
        "INSERT INTO {table} ({names}) SELECT * FROM {rows} "
        "ON CONFLICT DO NOTHING RETURNING {identity}"
    ).format(
        table=sql.Identifier(table.name),
        names=_identifiers(names),
        rows=_unnest(table, names),
        identity=_identifiers(IDENTITY),
    )
    new = set(_rows(connection, statement, _arrays(table, rows, names)))
    return np.fromiter((key in new for key in identities(rows)), np.bool_, len(rows))


def conflicting(
    connection: Connection, table: Table, rows: NDArray[np.void]
) -> NDArray[np.bool_]:
    """Tell of each row, stored before, whether it was with another payload.

    Rows as ``insert`` has them. Raise StorageUnavailableError for a row that is not stored:
    nobody may acknowledge what the database took neither now nor before.
    """
    names = list(table.columns.keys())
    key = [column.name for column in table.primary_key.columns]
    stored, spans = _stored(table, rows)
    statement = sql.SQL(
        "SELECT {identity}, ({sent}) IS DISTINCT FROM ({stored}) FROM {source} AS stored "
        "JOIN {rows} AS sent({names}) USING ({key})"
    ).format(
        identity=_identifiers(IDENTITY),
        sent=_identifiers(PAYLOAD, "sent"),
        stored=_identifiers(PAYLOAD, "stored"),
        source=stored,
        rows=_unnest(table, names),
        names=_identifiers(names),
        key=_identifiers(key),
    )
    found = _rows(connection, statement, [*spans, *_arrays(table, rows, names)])
    differs = {(device, stream, seq): differ for device, stream, seq, differ in found}
    keys = identities(rows)
    if any(one not in differs for one in keys):
        message = f"rows of {table.name} are neither new nor stored"
        raise StorageUnavailableError(message, hint="try again")
    return np.fromiter((differs[one] for one in keys), np.bool_, len(rows))


def _stored(table: Table, rows: NDArray[np.void]) -> tuple[sql.Composable, list[Array]]:
    """Return where to look for rows, and the parameters of that.

    Timed rows are looked for by stretches of their devices' time: a look by key would unpack a
    whole batch of a compressed chunk for every single row.
    """
    if "epoch_start" not in table.columns:
        return sql.Identifier(table.name), []
    starts, devices = rows["epoch_start"], rows["device_id"]
    breaks = (np.diff(devices) != 0) | (np.abs(np.diff(starts)) > STRETCH_GAP_US)
    begins = np.concatenate(([0], np.flatnonzero(breaks) + 1))
    spans = np.empty(len(begins), ROW)
    spans["tenant_id"], spans["device_id"] = rows["tenant_id"][begins], devices[begins]
    spans["epoch_start"] = np.minimum.reduceat(starts, begins)
    spans["received_at"] = np.maximum.reduceat(starts, begins)
    names = ("tenant_id", "device_id", "epoch_start", "received_at")
    query = sql.SQL(
        "(SELECT e.* FROM {spans} AS span(tenant, device, since, until) CROSS JOIN LATERAL ("
        "SELECT * FROM {table} WHERE tenant_id = span.tenant AND device_id = span.device "
        "AND epoch_start BETWEEN span.since AND span.until OFFSET 0) e)"
    ).format(spans=_unnest(table, names), table=sql.Identifier(table.name))
    return query, _arrays(table, spans, names)


def copy_payload(table: Table, rows: NDArray[np.void]) -> bytes:
    """Return rows in the format of COPY ... FROM STDIN (FORMAT BINARY), all columns."""
    columns = {name: cells(_column(table, rows, name)) for name in table.columns.keys()}  # noqa: SIM118
    kinds = [(name, values.dtype) for name, values in columns.items()]
    buffer = np.empty(len(rows), np.dtype([("#fields", ">i2"), *kinds]))
    buffer["#fields"] = len(columns)
    for name, values in columns.items():
        buffer[name] = values
    return COPY_HEAD + buffer.tobytes() + COPY_TAIL


def _copied(connection: Connection, table: Table, rows: NDArray[np.void]) -> bool:
    """Copy the rows into the table; False, and nothing is changed, when a key exists."""
    payload = copy_payload(table, rows)
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table.name), _identifiers(table.columns.keys())
    )
    savepoint = connection.begin_nested()
    with suppress(psycopg.errors.UniqueViolation):
        with _driver(connection).cursor().copy(statement) as copy:
            copy.write(payload)
        savepoint.commit()
        return True
    savepoint.rollback()
    return False


def _kind(table: Table, name: str) -> Kind:
    return _KINDS[type(table.columns[name].type)]


def _column(table: Table, rows: NDArray[np.void], name: str) -> NDArray[np.generic]:
    """Return a column's values as they look on the wire."""
    kind = _kind(table, name)
    values = rows["codes"][:, NAMES.index(name)] if name in NAMES else rows[name]
    if kind == "timestamptz":
        values = values - POSTGRES_EPOCH_US
    return values.astype(dtype(kind))


def _arrays(table: Table, rows: NDArray[np.void], names: Sequence[str]) -> list[Array]:
    return [array(_column(table, rows, name), _kind(table, name)) for name in names]


def _unnest(table: Table, names: Iterable[str]) -> sql.Composable:
    casts = (f"%b::{_kind(table, name)}[]" for name in names)
    return sql.SQL("unnest({})").format(sql.SQL(", ").join(sql.SQL(cast) for cast in casts))


def _identifiers(names: Iterable[str], table: str | None = None) -> sql.Composable:
    path = [] if table is None else [table]
    return sql.SQL(", ").join(sql.Identifier(*path, name) for name in names)


def _rows(
    connection: Connection, statement: sql.Composed, arrays: list[Array]
) -> list[tuple[int, ...]]:
    with _driver(connection).cursor(binary=True) as cursor:
        return cursor.execute(statement, arrays).fetchall()


def _driver(connection: Connection) -> "psycopg.Connection[tuple[int, ...]]":
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - the engine makes no other
    return driver
