"""The broker as a service: Mosquitto, with the accounts as the database has them."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from broker.acl import Account
from broker.census import Census
from broker.measures import Measures
from broker.server import MosquittoServer
from noctis import faults
from noctis.errors import ProcessError, StorageUnavailableError
from noctis.storage import accounts, revocations
from noctis.storage.database import Connection, Database
from noctis.storage.revocations import Revocations

__all__ = ["Access", "BrokerService", "access"]

Access = tuple[Sequence[Account], Revocations]
"""Who may connect, and whose certificate is good no more."""

_log = structlog.get_logger(__name__)

FOLLOW_S: Final = 1.0


def access(connection: Connection) -> Access:
    """Return what the broker must know, as the database has it."""
    return accounts.active(connection), revocations.current(connection)


class BrokerService:
    """Runs Mosquitto and follows the table of accounts: a new one works within a second.

    A renewed certificate of the broker's own is served as soon, once its key is there too.

    Without the database the broker runs on with the accounts it has, from the last start if
    need be: live stages need no database. Raises ProcessError when Mosquitto ends.
    """

    def __init__(self, server: MosquittoServer, database: Database, *, port: int) -> None:
        self._server = server
        self._measures = Measures(server)
        self._census = Census(server.monitor)
        self._database = database
        self._port = port
        self._access: Access | None = None
        self._renewals: tuple[int, ...] = ()
        self._answered = False
        self._draining = False

    @property
    def ready(self) -> bool:
        """True while Mosquitto runs and answers."""
        return self._answered and self._server.running

    async def run(self) -> None:
        """Start Mosquitto and keep its accounts up to date, until cancelled."""
        while not self._server.running:
            self._renewals = self._server.renewals
            self._access = await self._read()
            if self._access is not None:
                await asyncio.to_thread(self._server.start, self._port, *self._access)
            elif self._server.has_files:
                await asyncio.to_thread(self._server.start, self._port, None)
            else:
                await asyncio.sleep(FOLLOW_S)
        self._answered = True
        self._census.start(self._port)
        try:
            await self._keep()
        finally:
            await asyncio.to_thread(self._census.stop)

    async def _keep(self) -> None:
        while self._server.running:
            self._measures.count(None if self._access is None else len(self._access[0]))
            await asyncio.sleep(FOLLOW_S)
            await self._follow()
        if self._draining:
            return
        message = f"mosquitto ended with code {self._server.exit_code}"
        raise ProcessError(message, hint=f"its log ends: {self._server.tail()}")

    async def drain(self) -> None:
        """Stop Mosquitto; it saves its sessions."""
        self._draining = True
        await asyncio.to_thread(self._server.stop)

    async def _follow(self) -> None:
        current = await self._read()
        if current is None or not self._server.running:
            return
        renewals = self._server.renewals
        if (current, renewals) != (self._access, self._renewals):
            try:
                await asyncio.to_thread(self._server.reload, *current)
            except ProcessError as error:  # tried again, unless Mosquitto has ended
                _log.warning("accounts_wait", error=str(error))
                return
            self._access, self._renewals = current, renewals
            _log.info("accounts_changed", accounts=len(current[0]))
        self._measures.synced()

    async def _read(self) -> Access | None:
        try:
            await faults.apoint("broker.follow")
            return await self._database.call(access)
        except (StorageUnavailableError, TimeoutError, faults.InjectedError) as error:
            _log.warning("accounts_not_read", error=str(error))
            return None
