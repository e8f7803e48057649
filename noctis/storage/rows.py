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
    """Tell of each row whether another payload is stored under its key."""
    names = list(table.columns.keys())
    key = [column.name for column in table.primary_key.columns]
    statement = sql.SQL(
        "SELECT {identity} FROM {rows} AS sent({names}) JOIN {table} AS stored USING ({key}) "
        "WHERE ({sent}) IS DISTINCT FROM ({stored})"
    ).format(
        identity=_identifiers(IDENTITY),
        rows=_unnest(table, names),
        names=_identifiers(names),
        table=sql.Identifier(table.name),
        key=_identifiers(key),
        sent=_identifiers(PAYLOAD, "sent"),
        stored=_identifiers(PAYLOAD, "stored"),
    )
    differ = set(_rows(connection, statement, _arrays(table, rows, names)))
    return np.fromiter((key in differ for key in identities(rows)), np.bool_, len(rows))


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
) -> list[tuple[int, int, int]]:
    with _driver(connection).cursor(binary=True) as cursor:
        return cursor.execute(statement, arrays).fetchall()


def _driver(connection: Connection) -> "psycopg.Connection[tuple[int, int, int]]":
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - the engine makes no other
    return driver
