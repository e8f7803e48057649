"""Connections to PostgreSQL, and transactions that end in time whatever the server does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from time import monotonic
from typing import Final

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy import exc as sa_exc

from noctis import faults
from noctis.errors import (
    ConfigurationError,
    StorageError,
    StorageUnavailableError,
    StorageUnreachableError,
)
from noctis.storage import driver
from noctis.storage.driver import (
    NO_ANSWER,
    DeadlineError,
    DriverConnection,
    DriverCursor,
    Prelude,
)

__all__ = [
    "Connection",
    "Engine",
    "after_commit",
    "create",
    "reading",
    "transaction",
    "translated",
]

CONNECT_SECONDS: Final = 5
# A batch with thousands of keys looks expensive to the planner, and compiling its plan takes
# longer than the batch (0.17 s each time): no JIT.
SESSION: Final = (
    "-c timezone=UTC -c statement_timeout=120s -c idle_in_transaction_session_timeout=60s "
    "-c jit=off"
)
# Classes of SQLSTATE that pass: connection, transaction rollback (deadlock), resources
# (disk full), operator intervention (shutdown, timeout), system error; and two single states:
# read-only during a failover, lock not available.
_PASSING_CLASSES: Final = frozenset({"08", "40", "53", "57", "58"})
_PASSING_STATES: Final = frozenset({"25006", "55P03"})
# Those of them that say that there is no server to talk to: connection, shutdown, starting up,
# no more connections. One whose disk is full still answers whoever reads.
_GONE_CLASSES: Final = frozenset({"08"})
_GONE_STATES: Final = frozenset({"57P01", "57P02", "57P03", "53300"})
_DISK_FULL: Final = "53100"
_OLD_SCHEMA_STATES: Final = frozenset({"42P01", "42703"})  # no such table, no such column
_AFTER: Final = "noctis_after_commit"


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

    def connect() -> DriverConnection:
        left = driver.seconds_left()
        if left <= 0.0:
            raise DeadlineError(NO_ANSWER)
        try:
            faults.point("database.connect")
        except faults.InjectedError as error:
            raise psycopg.OperationalError(str(error)) from error
        timeout = ceil(min(CONNECT_SECONDS, left))
        made = DriverConnection.connect(
            target, connect_timeout=timeout, cursor_factory=DriverCursor
        )
        made.note_answer()
        return made

    engine = create_engine(
        "postgresql+psycopg://",
        creator=connect,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=CONNECT_SECONDS,
        pool_recycle=1800,
        use_native_hstore=False,
    )
    event.listen(engine, "checkout", _check)
    return engine


def _check(connection: DriverConnection, *_others: object) -> None:
    """Ask the server of a doubtful connection for a sign of life; any other costs no time."""
    if not connection.is_doubtful:
        return
    try:
        connection.ping()
    except psycopg.Error as error:
        raise sa_exc.InvalidatePoolError from error


@contextmanager
def transaction(engine: Engine, seconds: float = 10.0) -> Iterator[Connection]:
    """Run the block in one transaction: commit at its end, roll back when it raises.

    The deadline covers connecting, every statement and the commit. Raise
    StorageUnreachableError when the server is not there or does not answer before the
    deadline (the outcome of a commit is unknown then), StorageUnavailableError when it
    refuses for now (deadlock, full disk, read-only): the same work may be tried again. Raise
    StorageError when the database refuses for good. Other errors of the block pass through.
    """
    told: list[Callable[[], None]] = []
    with _working(seconds), engine.begin() as connection:
        connection.info[_AFTER] = told
        yield connection
    for tell in told:
        tell()


def after_commit(connection: Connection, tell: Callable[[], None]) -> None:
    """Have ``transaction`` call ``tell`` once it is committed; not at all where it is not."""
    connection.info.setdefault(_AFTER, []).append(tell)


@contextmanager
def reading(
    engine: Engine, seconds: float = 10.0, *, before: Prelude | None = None
) -> Iterator[Connection]:
    """Run the block's statements, each in a transaction of its own that ends with its answer.

    ``before`` precedes each of them in its transaction, in the same round trip. The deadline
    covers all; errors are those of ``transaction``.
    """
    with _working(seconds), engine.connect() as connection:
        token = driver.prelude.set(before)
        try:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")
        finally:
            driver.prelude.reset(token)


@contextmanager
def _working(seconds: float) -> Iterator[None]:
    """Let the deadline hold for what the block does at a database; raise our own errors."""
    end = min(monotonic() + seconds, driver.deadline.get() or float("inf"))
    token = driver.deadline.set(end)
    try:
        yield
    except sa_exc.TimeoutError as error:
        message = "every connection to the database is busy"
        raise StorageUnavailableError(message, hint="try again, or allow more") from error
    except (sa_exc.DBAPIError, psycopg.Error) as error:
        raise translated(error) from error
    finally:
        driver.deadline.reset(token)


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
    elif state == _DISK_FULL:
        message = f"the database's disk is full: {text}"
        return StorageUnavailableError(message, hint="make room, and try again")
    elif state[:2] in _PASSING_CLASSES or state in _PASSING_STATES:
        return StorageUnavailableError(unavailable, hint="try again")
    message = f"the database refused: {text}"
    if state in _OLD_SCHEMA_STATES:
        hint = f"SQLSTATE {state}: is the schema up to date? noctis migrate"
        return StorageError(message, hint=hint)
    return StorageError(message, hint=f"SQLSTATE {state}" if state else "")
