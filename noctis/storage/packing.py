"""Epochs as PostgreSQL takes them: packed by numpy, column by column, never value by value."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from psycopg import sql
from sqlalchemy import BigInteger, Boolean, Integer, SmallInteger, Table
from sqlalchemy.dialects.postgresql import TIMESTAMP

from noctis.features import COUNT, NAMES
from noctis.storage.arrays import POSTGRES_EPOCH_US, Array, Kind, array, dtype

__all__ = ["ROW", "arrays", "copy_payload", "copy_statement", "identifiers", "unnest"]

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
COPY_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TAIL: Final = b"\xff\xff"
BLOCK: Final = 2048
"""Rows packed at a time: they stay in the processor's cache."""

_KINDS: Final[dict[type, Kind]] = {
    Boolean: "boolean",
    BigInteger: "bigint",
    SmallInteger: "smallint",
    Integer: "integer",
    TIMESTAMP: "timestamptz",
}


def copy_payload(table: Table, rows: NDArray[np.void]) -> bytes:
    """Return rows in the binary format of COPY, as ``copy_statement`` takes them."""
    names = _names(table)
    layout = _row_layout(table)
    parts = [COPY_HEAD]
    for begin in range(0, len(rows), BLOCK):
        part = rows[begin : begin + BLOCK]
        block = np.empty(len(part), layout)
        block["fields"] = len(names) + COUNT
        for name in names:
            values = column(table, part, name)
            block[name]["length"], block[name]["value"] = values.itemsize, values
        block["codes"]["length"], block["codes"]["value"] = 2, part["codes"]
        parts.append(block.tobytes())
    return b"".join([*parts, COPY_TAIL])


def copy_statement(table: Table) -> sql.Composed:
    """Return the statement that takes what ``copy_payload`` made."""
    return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table.name), identifiers([*_names(table), *NAMES])
    )


def _names(table: Table) -> list[str]:
    """Return the columns as they are copied, those of the codes aside, which come last."""
    return [name for name in table.columns.keys() if name not in NAMES]  # noqa: SIM118


def _row_layout(table: Table) -> np.dtype[np.void]:
    cells = [(name, _cell(dtype(kind_of(table, name)))) for name in _names(table)]
    codes = ("codes", _cell(dtype("smallint")), (COUNT,))
    return np.dtype([("fields", ">i2"), *cells, codes])


def _cell(value: np.dtype[np.generic]) -> np.dtype[np.void]:
    """Return a value behind its length, as PostgreSQL's binary formats have it."""
    return np.dtype([("length", ">i4"), ("value", value)])


def kind_of(table: Table, name: str) -> Kind:
    return _KINDS[type(table.columns[name].type)]


def column(table: Table, rows: NDArray[np.void], name: str) -> NDArray[np.generic]:
    """Return a column's values as they look on the wire."""
    kind = kind_of(table, name)
    values = rows["codes"][:, NAMES.index(name)] if name in NAMES else rows[name]
    if kind == "timestamptz":
        values = values - POSTGRES_EPOCH_US
    return values.astype(dtype(kind))


def arrays(table: Table, rows: NDArray[np.void], names: Sequence[str]) -> list[Array]:
    """Return rows column by column, as parameters of what ``unnest`` makes."""
    return [array(column(table, rows, name), kind_of(table, name)) for name in names]


def unnest(table: Table, names: Iterable[str]) -> sql.Composable:
    """Return a source of rows whose columns are parameters, of the types of the table's."""
    casts = (f"%b::{kind_of(table, name)}[]" for name in names)
    return sql.SQL("unnest({})").format(sql.SQL(", ").join(sql.SQL(cast) for cast in casts))


def identifiers(names: Iterable[str], table: str | None = None) -> sql.Composable:
    """Return names as a statement lists them."""
    path = [] if table is None else [table]
    return sql.SQL(", ").join(sql.Identifier(*path, name) for name in names)
