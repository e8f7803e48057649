"""The database as asynchronous services use it: in threads, each call with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread
from sqlalchemy import Connection, text

from noctis.errors import StorageUnavailableError
from noctis.settings import Settings
from noctis.storage import engine

__all__ = ["Connection", "Database", "ping"]

T = TypeVar("T")


class Database:
    """Runs storage functions in threads, no more of them than there are connections.

    ``seconds`` is the deadline of a call that names none.
    """

    def __init__(self, settings: Settings, *, application: str, connections: int = 5) -> None:
        url = settings.database_url.get_secret_value()
        self._engine = engine.create(url, application=application, connections=connections)
        self.seconds = settings.database_seconds
        self._threads = anyio.CapacityLimiter(connections)

    async def call(
        self, function: Callable[[Connection], T], *, within_s: float | None = None
    ) -> T:
        """Return ``function(connection)``, run in one transaction.

        The deadline, ``within_s`` or the settings' own, covers the wait for a free thread too.
        Raises TimeoutError when it passes, StorageUnavailableError when the database cannot
        be reached, StorageError when it refuses.
        """
        seconds = self.seconds if within_s is None else within_s
        deadline = time.monotonic() + seconds

        def work() -> T:
            left = deadline - time.monotonic()
            with engine.transaction(self._engine, left) as connection:
                return function(connection)

        try:
            with anyio.fail_after(seconds):
                return await anyio.to_thread.run_sync(
                    work, abandon_on_cancel=True, limiter=self._threads
                )
        except StorageUnavailableError as error:
            if time.monotonic() >= deadline:
                raise TimeoutError(str(error)) from error
            raise

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def ping(connection: Connection) -> None:
    """Ask the server for a sign of life."""
    connection.execute(text("SELECT 1"))
