"""PostgreSQL arrays as statement parameters, packed by numpy rather than value by value."""

import struct
from typing import Final, Literal

import numpy as np
import psycopg
from numpy.typing import ArrayLike, NDArray
from psycopg.adapt import Dumper
from psycopg.pq import Format
from typing_extensions import override

__all__ = ["Array", "Kind", "array", "cells", "dtype"]

Kind = Literal["boolean", "smallint", "integer", "bigint", "timestamptz"]

# The element's bytes and object id. Times are microseconds since 2000-01-01.
_WIRE: Final[dict[Kind, tuple[str, int]]] = {
    "boolean": ("u1", 16),
    "bigint": (">i8", 20),
    "smallint": (">i2", 21),
    "integer": (">i4", 23),
    "timestamptz": (">i8", 1184),
}


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


def cells(values: NDArray[np.generic]) -> NDArray[np.void]:
    """Return values as PostgreSQL's binary formats have them: each behind its length."""
    packed = np.empty(len(values), [("length", ">i4"), ("value", values.dtype)])
    packed["length"] = values.itemsize
    packed["value"] = values
    return packed


def array(values: ArrayLike, kind: Kind) -> Array:
    """Return a parameter to be written as ``CAST(... AS kind[])``; no nulls."""
    elements = np.asarray(values).astype(dtype(kind))
    head = struct.pack(">iiiii", 1, 0, _WIRE[kind][1], len(elements), 1)
    return Array(head + cells(elements).tobytes())
