"""The database as asynchronous services use it: in threads, each call with a deadline.

While nobody answers, a breaker lets calls fail at once; one at a time asks whether the
database is back.
"""

import time
from collections.abc import Callable
from copy import copy
from threading import Event
from typing import Final, Self, TypeVar

import anyio
import anyio.to_thread
from sqlalchemy import Connection, text

from noctis.breaker import Breaker, BreakerOpenError, Ticket
from noctis.errors import StorageUnavailableError, StorageUnreachableError
from noctis.settings import Settings
from noctis.storage import engine, guards

__all__ = ["Connection", "Database", "ping"]

T = TypeVar("T")

PROBE_S: Final = 2.0
"""What a server that is back may take to answer the one who asks."""


class Database:
    """Runs storage functions in threads, no more of them than there are connections.

    ``seconds`` is the deadline of a call that names none. It works for all tenants; ``of`` one
    tenant it sees and changes nothing else, whatever a function asks for.
    """

    def __init__(self, settings: Settings, *, application: str, connections: int = 5) -> None:
        url = settings.database_url.get_secret_value()
        self._engine = engine.create(url, application=application, connections=connections)
        self.seconds = settings.database_seconds
        self._threads = anyio.CapacityLimiter(connections)
        self._closed = Event()
        self._tenant: Callable[[], str] | None = None
        self.breaker = Breaker("database")

    def of(self, tenant: Callable[[], str]) -> Self:
        """Return this database as a tenant sees it; each call asks ``tenant`` for the name."""
        narrowed = copy(self)
        narrowed._tenant = tenant  # noqa: SLF001 - our own
        return narrowed

    async def call(
        self, function: Callable[[Connection], T], *, within_s: float | None = None
    ) -> T:
        """Return ``function(connection)``, run in one transaction.

        The deadline, ``within_s`` or the settings' own, covers the wait for a free thread too.
        Raises TimeoutError when it passes, StorageUnavailableError when the database cannot
        be reached (at once while the breaker is open; ``retry_after_s`` says when the next
        try is due), StorageError when it refuses.
        """
        seconds = self.seconds if within_s is None else within_s
        deadline = time.monotonic() + seconds
        if self._tenant is not None:
            function = _entered(function, self._tenant())
        try:
            self.breaker.check()
            with anyio.fail_after(seconds):
                return await anyio.to_thread.run_sync(
                    self._guarded,
                    function,
                    deadline,
                    abandon_on_cancel=True,
                    limiter=self._threads,
                )
        except BreakerOpenError as error:
            raise StorageUnreachableError(
                error.message, retry_after_s=error.retry_after_s
            ) from error
        except StorageUnavailableError as error:
            if time.monotonic() >= deadline:
                raise TimeoutError(str(error)) from error
            raise

    def _guarded(self, function: Callable[[Connection], T], deadline: float) -> T:
        """Run a transaction and tell the breaker whether somebody answered.

        A probe asks for a sign of life first: so a lock that ``function`` would wait for is no
        outage, and a server that is frozen holds nobody up for long.
        """
        ticket = self.breaker.enter()
        if ticket.probe:
            probe_deadline = min(deadline, time.monotonic() + PROBE_S)
            self._watched(ticket, ping, probe_deadline)
            ticket = self.breaker.enter()
        return self._watched(ticket, function, deadline)

    def _watched(
        self, ticket: Ticket, function: Callable[[Connection], T], deadline: float
    ) -> T:
        try:
            with engine.transaction(self._engine, deadline - time.monotonic()) as connection:
                result = function(connection)
        except StorageUnreachableError:
            self.breaker.fail(ticket)
            raise
        except BaseException:
            self.breaker.succeed(ticket)  # a refusal is an answer
            raise
        finally:
            if self._closed.is_set():  # whoever called has gone, and this thread was the last
                self._engine.pool.dispose()
        self.breaker.succeed(ticket)
        return result

    def close(self) -> None:
        """Close all connections, those of calls that were given up as soon as they end."""
        self._closed.set()
        self._engine.pool.dispose()


def _entered(function: Callable[[Connection], T], tenant: str) -> Callable[[Connection], T]:
    def work(connection: Connection) -> T:
        guards.enter(connection, tenant)
        return function(connection)

    return work


def ping(connection: Connection) -> None:
    """Ask the server for a sign of life."""
    connection.execute(text("SELECT 1"))
