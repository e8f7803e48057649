"""Rows out of the database in bulk: COPY ... TO STDOUT (FORMAT BINARY) straight into numpy."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from sqlalchemy import Connection

__all__ = ["copied"]

_HEAD: Final = 19  # signature 11, flags 4, length of an extension 4
_TAIL: Final = 2


def copied(
    connection: Connection,
    query: sql.Composable,
    parameters: Mapping[str, object],
    fields: Mapping[str, str],
) -> NDArray[np.void]:
    """Return all rows of a query, shape (n,), with a field for each of its columns.

    ``fields`` maps the columns, in order, to numpy's types as they look on the wire, such as
    ``>i8`` for a bigint or a time (microseconds since 2000). No value may be null.
    """
    statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT BINARY)").format(query)
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - the engine makes no other
    with driver.cursor().copy(statement, parameters) as copy:
        data = b"".join(bytes(part) for part in copy)
    cells = [
        cell for name, kind in fields.items() for cell in ((f"#{name}", ">i4"), (name, kind))
    ]
    return np.frombuffer(data[_HEAD:-_TAIL], np.dtype([("#fields", ">i2"), *cells]))
