"""PostgreSQL arrays as statement parameters, packed by numpy rather than value by value."""

import struct
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import psycopg
from numpy.typing import ArrayLike, NDArray
from psycopg.adapt import Dumper
from psycopg.pq import Format
from psycopg.sql import SQL, Composed
from sqlalchemy import Connection
from typing_extensions import override

__all__ = [
    "POSTGRES_EPOCH_US",
    "Array",
    "Kind",
    "array",
    "driver",
    "dtype",
    "fetch",
]

Kind = Literal["boolean", "smallint", "integer", "bigint", "timestamptz"]

# The element's bytes and object id. Times are microseconds since 2000-01-01.
_WIRE: Final[dict[Kind, tuple[str, int]]] = {
    "boolean": ("u1", 16),
    "bigint": (">i8", 20),
    "smallint": (">i2", 21),
    "integer": (">i4", 23),
    "timestamptz": (">i8", 1184),
}


_ARRAY_HEAD: Final = struct.Struct(">iiiii")
_NEVER: Final = np.iinfo(np.int64).min
POSTGRES_EPOCH_US: Final = 946_684_800_000_000  # 2000-01-01, where PostgreSQL counts from


class Array(bytes):
    """A whole array in PostgreSQL's binary format; the statement casts it to its type."""

    __slots__ = ()


class _ArrayDumper(Dumper):
    """Hands an array over as it is."""

    format = Format.BINARY
    oid = 0  # the statement's cast says of which type it is

    @override
    def dump(self, obj: Array) -> bytes:
        return bytes(obj)


psycopg.adapters.register_dumper(Array, _ArrayDumper)


def dtype(kind: Kind) -> np.dtype[np.generic]:
    """Return how values of a kind look on the wire, big-endian."""
    return np.dtype(_WIRE[kind][0])


def _cells(values: NDArray[np.generic]) -> NDArray[np.void]:
    """Return values as PostgreSQL's binary formats have them: each behind its length."""
    packed = np.empty(len(values), [("length", ">i4"), ("value", values.dtype)])
    packed["length"] = values.itemsize
    packed["value"] = values
    return packed


def array(values: ArrayLike, kind: Kind) -> Array:
    """Return a parameter to be written as ``CAST(... AS kind[])``; no nulls."""
    elements = np.asarray(values).astype(dtype(kind))
    head = _ARRAY_HEAD.pack(1, 0, _WIRE[kind][1], len(elements), 1)
    return Array(head + _cells(elements).tobytes())


def fetch(
    connection: Connection,
    statement: SQL | Composed,
    parameters: Sequence[object],
    kinds: Sequence[Kind],
) -> list[NDArray[np.generic]]:
    """Run a statement that answers with one row of arrays; return these, big-endian.

    No Python object is made for a value. Times are microseconds since 1970, and the least
    number where they are -infinity.
    """
    with driver(connection).cursor(binary=True) as cursor:
        cursor.execute(statement, parameters)
        result = cursor.pgresult
        if result is None:
            message = "a statement without a row was asked for arrays"
            raise AssertionError(message)
        return [_values(result.get_value(0, n), kind) for n, kind in enumerate(kinds)]


def driver(connection: Connection) -> "psycopg.Connection[tuple[int, ...]]":
    """Return the driver's connection, for what goes past SQLAlchemy."""
    found = connection.connection.driver_connection
    assert isinstance(found, psycopg.Connection)  # noqa: S101 - the engine makes no other
    return found


def _values(packed: bytes | None, kind: Kind) -> NDArray[np.generic]:
    """Return the elements of an array in PostgreSQL's binary format; none of them is null."""
    values = np.dtype([("length", ">i4"), ("value", dtype(kind))])
    if packed is None or len(packed) < _ARRAY_HEAD.size:
        return np.empty(0, dtype(kind))
    found: NDArray[np.generic] = np.frombuffer(packed, values, offset=_ARRAY_HEAD.size)["value"]
    if kind == "timestamptz":
        times = found.astype(np.int64)
        return np.where(times == _NEVER, times, times + POSTGRES_EPOCH_US)
    return found
