"""The broker as a service: Mosquitto, with the accounts as the database has them."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from broker.acl import Account
from broker.server import MosquittoServer
from noctis.errors import ProcessError, StorageUnavailableError
from noctis.storage import accounts
from noctis.storage.database import Database

__all__ = ["BrokerService"]

_log = structlog.get_logger(__name__)

FOLLOW_S: Final = 1.0


class BrokerService:
    """Runs Mosquitto and follows the table of accounts: a new one works within a second.

    Without the database the broker runs on with the accounts it has, from the last start if
    need be: live stages need no database. Raises ProcessError when Mosquitto ends.
    """

    def __init__(self, server: MosquittoServer, database: Database, *, port: int) -> None:
        self._server = server
        self._database = database
        self._port = port
        self._accounts: Sequence[Account] | None = None
        self._answered = False
        self._draining = False

    @property
    def ready(self) -> bool:
        """True while Mosquitto runs and answers."""
        return self._answered and self._server.running

    async def run(self) -> None:
        """Start Mosquitto and keep its accounts up to date, until cancelled."""
        while not self._server.running:
            self._accounts = await self._read()
            if self._accounts is not None or self._server.has_files:
                await asyncio.to_thread(self._server.start, self._port, self._accounts)
            else:
                await asyncio.sleep(FOLLOW_S)
        self._answered = True
        await self._keep()

    async def _keep(self) -> None:
        while self._server.running:
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
        if current is None or current == self._accounts or not self._server.running:
            return
        await asyncio.to_thread(self._server.reload, current)
        self._accounts = current
        _log.info("accounts_changed", accounts=len(current))

    async def _read(self) -> Sequence[Account] | None:
        try:
            return await self._database.call(accounts.active)
        except (StorageUnavailableError, TimeoutError) as error:
            _log.warning("accounts_not_read", error=str(error))
            return None
