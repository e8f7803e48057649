"""What the facade knows of everybody, read every second or two: void tokens, and quotas.

So neither costs a request a query. Without a database the last word stands: an access token
lives a quarter of an hour at most, whatever happens.
"""

import time
from typing import Final

import anyio
import structlog

from noctis.errors import StorageError
from noctis.identity import Principal
from noctis.storage import quotas, void_tokens
from noctis.storage.database import Connection, Database
from noctis.storage.quotas import Quota

__all__ = ["Standing"]

EVERY_S: Final = 2.0
_log = structlog.get_logger(__name__)


class Standing:
    """Whose tokens are void, and how much each tenant may ask for."""

    def __init__(self, database: Database, default: Quota) -> None:
        self._database = database
        self._default = default
        self._void: dict[bytes, float] = {}
        self._quotas: dict[str, Quota] = {}
        self._is_behind = False

    def is_void(self, principal: Principal, issued_at: float) -> bool:
        """Tell whether what a token says has been taken away since it was issued."""
        since = self._void.get(void_tokens.digest(principal.subject)) if self._void else None
        return since is not None and issued_at <= since

    def quota(self, tenant: str) -> Quota:
        """Return how much a tenant may ask for; None in it: as much as it likes."""
        return self._quotas.get(tenant, self._default)

    async def run(self) -> None:
        """Read again and again, until cancelled."""
        while True:
            await self.read()
            await anyio.sleep(EVERY_S)

    async def read(self) -> None:
        """Read once; where the database does not answer, all stays as it was."""
        try:
            offset_s, void, said = await self._database.call(_read)
        except (StorageError, TimeoutError) as error:
            if not self._is_behind:
                _log.warning("standing_not_read", error=str(error))
            self._is_behind = True
            return
        self._is_behind = False
        self._void = {subject: since - offset_s for subject, since in void.items()}
        self._quotas = {name: quota.over(self._default) for name, quota in said.items()}


def _read(connection: Connection) -> tuple[float, dict[bytes, float], dict[str, Quota]]:
    """Return by how much the database's clock is ahead of ours, and what there is to know."""
    now, void = void_tokens.list_all(connection)
    offset_s = now.timestamp() - time.time()
    said = quotas.list_all(connection)
    return offset_s, {key: since.timestamp() for key, since in void.items()}, said
