"""Locks of the database's own that end with whoever holds them, however that one ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from noctis.storage.engine import translated

__all__ = ["OPERATIONS", "REPLAYS", "STRESS", "held"]

REPLAYS: Final = 1380274265
OPERATIONS: Final = 1380274266
STRESS: Final = 1380274267
"""What a lock's number counts; they share no lock."""

_TRY: Final = text("SELECT pg_try_advisory_lock(:kind, :number)")
_RELEASE: Final = text("SELECT pg_advisory_unlock_all()")


@contextmanager
def held(engine: Engine, kind: int, number: int) -> Iterator[bool]:
    """Keep something from others while the block runs, or while this process lives.

    False when another has it.
    """
    try:
        with engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            got = connection.scalar(_TRY, {"kind": kind, "number": number})
            try:
                yield bool(got)
            finally:
                connection.execute(_RELEASE)
    except DBAPIError as error:
        raise translated(error) from error
