"""Epochs as rows: packed by numpy, written by binary COPY or by INSERT ... ON CONFLICT.

COPY is the fastest way in and knows no duplicates, so many rows that are not known to be
stored are copied, inside a savepoint; the slower statement takes few rows, the repeated ones,
and all of them where a key turns out to be stored. Both take one buffer of big-endian bytes for
all rows, never a Python object for each value.
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
from noctis.frames import EPOCH_SECONDS
from noctis.storage.arrays import (
    POSTGRES_EPOCH_US,
    Array,
    Kind,
    array,
    driver,
    dtype,
    fetch,
)

__all__ = ["BULK", "ROW", "conflicting", "copy_payload", "copy_statement", "insert"]

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
_KEY_KINDS: Final[tuple[Kind, ...]] = ("integer", "bigint", "bigint")
BLOCK: Final = 2048
"""Rows packed at a time: they stay in the processor's cache."""

BULK: Final = 256
"""Fewer rows than this are inserted: one trip to the server, where COPY takes three."""
EPOCH_US: Final = 1_000_000 * EPOCH_SECONDS
PAYLOAD: Final = ("run_seq", "in_bed", *NAMES)
COPY_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TAIL: Final = b"\xff\xff"

_KINDS: Final[dict[type, Kind]] = {
    Boolean: "boolean",
    BigInteger: "bigint",
    SmallInteger: "smallint",
    Integer: "integer",
    TIMESTAMP: "timestamptz",
}


def insert(
    connection: Connection, table: Table, rows: NDArray[np.void], *, may_repeat: bool
) -> NDArray[np.bool_]:
    """Write rows of distinct keys, sorted by them; return which were new.

    ``may_repeat``: look first which of them are stored already, as of rows sent again.
    """
    if len(rows) < BULK:
        return _inserted(connection, table, rows)
    fresh = np.ones(len(rows), np.bool_)
    if may_repeat:
        fresh = ~np.isin(rows["frame"], _repeated(connection, table, rows))
    new = np.empty(len(rows), np.bool_)
    if fresh.any():
        new[fresh] = _copied(connection, table, rows[fresh]) or _inserted(
            connection, table, rows[fresh]
        )
    if not fresh.all():
        new[~fresh] = _inserted(connection, table, rows[~fresh])
    return new


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
        identity=_aggregated(IDENTITY),
        rows=_unnest(table, names),
        names=_identifiers(names),
        table=sql.Identifier(table.name),
        key=_identifiers(key),
        sent=_identifiers(PAYLOAD, "sent"),
        stored=_identifiers(PAYLOAD, "stored"),
    )
    return _among(rows, fetch(connection, statement, _arrays(table, rows, names), _KEY_KINDS))


def copy_payload(table: Table, rows: NDArray[np.void]) -> bytes:
    """Return rows in the binary format of COPY, as ``copy_statement`` takes them."""
    names = _copied_names(table)
    layout = _row_layout(table)
    parts = [COPY_HEAD]
    for begin in range(0, len(rows), BLOCK):
        part = rows[begin : begin + BLOCK]
        block = np.empty(len(part), layout)
        block["fields"] = len(names) + COUNT
        for name in names:
            values = _column(table, part, name)
            block[name]["length"], block[name]["value"] = values.itemsize, values
        block["codes"]["length"], block["codes"]["value"] = 2, part["codes"]
        parts.append(block.tobytes())
    return b"".join([*parts, COPY_TAIL])


def copy_statement(table: Table) -> sql.Composed:
    """Return the statement that takes what ``copy_payload`` made."""
    return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table.name), _identifiers([*_copied_names(table), *NAMES])
    )


def _copied_names(table: Table) -> list[str]:
    """Return the columns as they are copied, those of the codes aside, which come last."""
    return [name for name in table.columns.keys() if name not in NAMES]  # noqa: SIM118


def _row_layout(table: Table) -> np.dtype[np.void]:
    cells = [(name, _cell(dtype(_kind(table, name)))) for name in _copied_names(table)]
    codes = ("codes", _cell(dtype("smallint")), (COUNT,))
    return np.dtype([("fields", ">i2"), *cells, codes])


def _cell(value: np.dtype[np.generic]) -> np.dtype[np.void]:
    """Return a value behind its length, as PostgreSQL's binary formats have it."""
    return np.dtype([("length", ">i4"), ("value", value)])


def _inserted(
    connection: Connection, table: Table, rows: NDArray[np.void]
) -> NDArray[np.bool_]:
    """Insert the rows that are not stored; return which were new."""
    names = list(table.columns.keys())
    statement = sql.SQL(
        "WITH new AS (INSERT INTO {table} ({names}) SELECT * FROM {rows} "
        "ON CONFLICT DO NOTHING RETURNING {identity}) SELECT {all} FROM new"
    ).format(
        table=sql.Identifier(table.name),
        names=_identifiers(names),
        rows=_unnest(table, names),
        identity=_identifiers(IDENTITY),
        all=_aggregated(IDENTITY),
    )
    return _among(rows, fetch(connection, statement, _arrays(table, rows, names), _KEY_KINDS))


def _copied(connection: Connection, table: Table, rows: NDArray[np.void]) -> bool:
    """Copy the rows into the table; False, and nothing is changed, when a key exists."""
    payload = copy_payload(table, rows)
    savepoint = connection.begin_nested()
    with suppress(psycopg.errors.UniqueViolation):
        with driver(connection).cursor().copy(copy_statement(table)) as copy:
            copy.write(payload)
        savepoint.commit()
        return True
    savepoint.rollback()
    return False


def _repeated(
    connection: Connection, table: Table, rows: NDArray[np.void]
) -> NDArray[np.int64]:
    """Return the frames of which an epoch is stored already; one look at the key for each."""
    frames, first = np.unique(rows["frame"], return_index=True)
    ends = np.zeros(len(frames), np.int64)
    np.maximum.at(ends, np.searchsorted(frames, rows["frame"]), rows["seq"])
    low = rows[first]
    timed = "epoch_start" in table.columns
    during = "AND stored.epoch_start BETWEEN sent.since AND sent.until" if timed else ""
    statement = sql.SQL(
        "SELECT array_agg(sent.frame) FROM unnest(%b::bigint[], %b::integer[], %b::bigint[], "
        "%b::bigint[], %b::bigint[], %b::timestamptz[], %b::timestamptz[]) "
        "AS sent(frame, device_id, stream, low, high, since, until) CROSS JOIN LATERAL "
        "(SELECT FROM {table} AS stored WHERE stored.device_id = sent.device_id "
        "{during} AND stored.stream = sent.stream "
        "AND stored.seq BETWEEN sent.low AND sent.high LIMIT 1) AS found"
    ).format(table=sql.Identifier(table.name), during=sql.SQL(during))
    since = low["epoch_start"] - POSTGRES_EPOCH_US
    until = since + EPOCH_US * (ends - low["seq"])
    sent = [
        array(frames, "bigint"),
        array(low["device_id"], "integer"),
        array(low["stream"], "bigint"),
        array(low["seq"], "bigint"),
        array(ends, "bigint"),
        array(since, "timestamptz"),
        array(until, "timestamptz"),
    ]
    [found] = fetch(connection, statement, sent, ["bigint"])
    return found.astype(np.int64)


def _among(rows: NDArray[np.void], keys: Sequence[NDArray[np.generic]]) -> NDArray[np.bool_]:
    """Tell which rows' keys are among these; rows: sorted by their key, which is distinct."""
    if len(keys[0]) == len(rows):
        return np.ones(len(rows), np.bool_)
    columns = [
        np.concatenate([rows[name].astype(np.int64), of.astype(np.int64)])
        for name, of in zip(IDENTITY, keys, strict=True)
    ]
    order = np.lexsort(columns[::-1])  # stable: a row comes before the key that equals it
    ordered = np.stack(columns)[:, order]
    paired = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).all(axis=0))
    among = np.zeros(len(rows), np.bool_)
    among[order[paired]] = True
    return among


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


def _aggregated(names: Iterable[str]) -> sql.Composable:
    return sql.SQL(", ").join(
        sql.SQL("array_agg({})").format(sql.Identifier(name)) for name in names
    )
