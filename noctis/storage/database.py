"""The database as asynchronous services use it: in threads, each call with a deadline.

While nobody answers, a breaker lets calls fail at once; one at a time asks whether the
database is back.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from copy import copy
from threading import Event
from typing import Final, Self, TypeVar

import anyio
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
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix=application)
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
        name = None if self._tenant is None else self._tenant()

        def work(seconds: float) -> T:
            with engine.transaction(self._engine, seconds) as connection:
                if name is not None:
                    guards.enter(connection, name)
                return function(connection)

        return await self._in_time(work, within_s)

    async def read(
        self, function: Callable[[Connection], T], *, within_s: float | None = None
    ) -> T:
        """Return ``function(connection)``, whose statements only read; the rest as ``call``.

        It costs a round trip for each statement, and no other: each is a transaction of its
        own, and a tenant's database cannot write in it.
        """
        before = None if self._tenant is None else guards.entering(self._tenant())

        def work(seconds: float) -> T:
            with engine.reading(self._engine, seconds, before=before) as connection:
                return function(connection)

        return await self._in_time(work, within_s)

    async def _in_time(self, work: Callable[[float], T], within_s: float | None) -> T:
        """Run ``work(seconds)`` in a thread, with the seconds that are left when it begins."""
        seconds = self.seconds if within_s is None else within_s
        deadline = time.monotonic() + seconds
        try:
            self.breaker.check()
            with anyio.fail_after(seconds):
                return await asyncio.get_running_loop().run_in_executor(
                    self._threads, copy_context().run, self._guarded, work, deadline
                )
        except BreakerOpenError as error:
            raise StorageUnreachableError(
                error.message, retry_after_s=error.retry_after_s
            ) from error
        except StorageUnavailableError as error:
            if time.monotonic() >= deadline:
                raise TimeoutError(str(error)) from error
            raise

    def _guarded(self, work: Callable[[float], T], deadline: float) -> T:
        """Do the work and tell the breaker whether somebody answered.

        A probe asks for a sign of life first: so a lock that ``work`` would wait for is no
        outage, and a server that is frozen holds nobody up for long.
        """
        ticket = self.breaker.enter()
        if ticket.probe:
            probe_deadline = min(deadline, time.monotonic() + PROBE_S)
            self._watched(ticket, self._ping, probe_deadline)
            ticket = self.breaker.enter()
        return self._watched(ticket, work, deadline)

    def _ping(self, seconds: float) -> None:
        with engine.transaction(self._engine, seconds) as connection:
            ping(connection)

    def _watched(self, ticket: Ticket, work: Callable[[float], T], deadline: float) -> T:
        try:
            result = work(deadline - time.monotonic())
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


def ping(connection: Connection) -> None:
    """Ask the server for a sign of life."""
    connection.execute(text("SELECT 1"))
