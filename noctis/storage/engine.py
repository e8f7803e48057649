"""Connections to PostgreSQL, and transactions that end in time whatever the server does.

A frozen server (SIGSTOP, a stalled disk) answers neither queries nor cancellations, and
statement_timeout, keepalives and tcp_user_timeout all stay silent. So the deadline is ours:
every wait of psycopg ends at the transaction's deadline, and the connection is closed then,
since nobody knows what it would still say.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import ceil
from time import monotonic
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy import exc as sa_exc
from typing_extensions import override

from noctis import faults
from noctis.errors import (
    ConfigurationError,
    StorageError,
    StorageUnavailableError,
    StorageUnreachableError,
)

__all__ = ["Connection", "Engine", "create", "transaction", "translated"]

T = TypeVar("T")

CONNECT_SECONDS: Final = 5
OUTSIDE_SECONDS: Final = 60.0  # of one wait where no transaction has set a deadline
# A batch with thousands of keys looks expensive to the planner, and compiling its plan takes
# longer than the batch (0.17 s each time): no JIT.
SESSION: Final = (
    "-c timezone=UTC -c statement_timeout=120s -c idle_in_transaction_session_timeout=60s "
    "-c jit=off"
)
NO_ANSWER: Final = "the server did not answer in time"
# Classes of SQLSTATE that pass: connection, transaction rollback (deadlock), resources
# (disk full), operator intervention (shutdown, timeout), system error; and two single states:
# read-only during a failover, lock not available.
_PASSING_CLASSES: Final = frozenset({"08", "40", "53", "57", "58"})
_PASSING_STATES: Final = frozenset({"25006", "55P03"})
# Those of them that say that there is no server to talk to: connection, shutdown, starting up,
# no more connections. One whose disk is full still answers whoever reads.
_GONE_CLASSES: Final = frozenset({"08"})
_GONE_STATES: Final = frozenset({"57P01", "57P02", "57P03", "53300"})
_OLD_SCHEMA_STATES: Final = frozenset({"42P01", "42703"})  # no such table, no such column

_deadline: ContextVar[float | None] = ContextVar("noctis_storage_deadline", default=None)


def _seconds_left() -> float:
    deadline = _deadline.get()
    return OUTSIDE_SECONDS if deadline is None else deadline - monotonic()


class _DeadlineError(psycopg.OperationalError):
    """The server did not answer before the transaction's deadline."""


class _Connection(psycopg.Connection[Any]):
    """A connection that is closed, and raises, when the deadline passes while it waits."""

    @override
    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        self._pass("database.execute")
        left = _seconds_left()
        own = left if timeout is None else min(timeout, left)
        try:
            return super().wait(gen, interval=interval, timeout=max(0.0, own))
        except psycopg.OperationalError as error:
            if _seconds_left() > 0.0:
                raise
            self.pgconn.finish()
            raise _DeadlineError(NO_ANSWER) from error

    @override
    def commit(self) -> None:
        self._pass("database.commit")
        super().commit()
        self._pass("database.committed")

    def _pass(self, name: faults.Name) -> None:
        """Pass a fault point; an error there is a connection that breaks."""
        try:
            faults.point(name)
        except faults.InjectedError as error:
            self.pgconn.finish()
            raise psycopg.OperationalError(str(error)) from error


def create(url: str, *, application: str = "noctis", connections: int = 5) -> Engine:
    """Return an engine with a pool of up to ``connections`` checked connections.

    Nothing is connected yet. ``application`` names the service in ``pg_stat_activity``. Raise
    ConfigurationError when ``url`` is not the URL of a PostgreSQL database.
    """
    try:
        parsed = make_url(url)
    except sa_exc.ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() != "postgresql":
        message = "the database's URL is not one of PostgreSQL"
        hint = "write NOCTIS_DATABASE_URL as postgresql://user:password@host:port/database"
        raise ConfigurationError(message, hint=hint)
    own = {} if "options" in parsed.query else {"options": SESSION}
    target = make_conninfo(
        parsed.set(drivername="postgresql").render_as_string(hide_password=False),
        application_name=application,
        keepalives_idle=30,
        keepalives_interval=10,
        keepalives_count=3,
        **own,
    )

    def connect() -> _Connection:
        left = _seconds_left()
        if left <= 0.0:
            raise _DeadlineError(NO_ANSWER)
        try:
            faults.point("database.connect")
        except faults.InjectedError as error:
            raise psycopg.OperationalError(str(error)) from error
        return _Connection.connect(target, connect_timeout=ceil(min(CONNECT_SECONDS, left)))

    return create_engine(
        "postgresql+psycopg://",
        creator=connect,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=CONNECT_SECONDS,
        pool_pre_ping=True,
        pool_recycle=1800,
        use_native_hstore=False,
    )


@contextmanager
def transaction(engine: Engine, seconds: float = 10.0) -> Iterator[Connection]:
    """Run the block in one transaction: commit at its end, roll back when it raises.

    The deadline covers connecting, every statement and the commit. Raise
    StorageUnreachableError when the server is not there or does not answer before the
    deadline (the outcome of a commit is unknown then), StorageUnavailableError when it
    refuses for now (deadlock, full disk, read-only): the same work may be tried again. Raise
    StorageError when the database refuses for good. Other errors of the block pass through.
    """
    deadline = min(monotonic() + seconds, _deadline.get() or float("inf"))
    token = _deadline.set(deadline)
    try:
        with engine.begin() as connection:
            yield connection
    except sa_exc.TimeoutError as error:
        message = "every connection to the database is busy"
        raise StorageUnavailableError(message, hint="try again, or allow more") from error
    except (sa_exc.DBAPIError, psycopg.Error) as error:
        raise translated(error) from error
    finally:
        _deadline.reset(token)


def translated(error: sa_exc.DBAPIError | psycopg.Error) -> StorageError:
    """Return the storage error that a driver's error stands for."""
    cause = error.orig if isinstance(error, sa_exc.DBAPIError) else error
    broken = isinstance(error, sa_exc.DBAPIError) and error.connection_invalidated
    state = cause.sqlstate if isinstance(cause, psycopg.Error) else None
    text = str(cause).strip().partition("\n")[0] or "the connection broke"
    unavailable = f"the database is unavailable: {text}"
    if state is None:
        if broken or isinstance(cause, psycopg.OperationalError):
            return StorageUnreachableError(unavailable, hint="try again")
    elif broken or state[:2] in _GONE_CLASSES or state in _GONE_STATES:
        return StorageUnreachableError(unavailable, hint="try again")
    elif state[:2] in _PASSING_CLASSES or state in _PASSING_STATES:
        return StorageUnavailableError(unavailable, hint="try again")
    message = f"the database refused: {text}"
    if state in _OLD_SCHEMA_STATES:
        hint = f"SQLSTATE {state}: is the schema up to date? noctis migrate"
        return StorageError(message, hint=hint)
    return StorageError(message, hint=f"SQLSTATE {state}" if state else "")
