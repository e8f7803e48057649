"""Delete what nobody needs any more and no device sent: old operations, sessions that ended."""

from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from prometheus_client import Counter

from companion.turns import endlessly
from noctis.storage import purges, tenants, void_tokens
from noctis.storage.database import Database
from noctis.storage.errors import NotFoundError

__all__ = ["OPERATIONS_KEPT", "Purges"]

PAUSE_S: Final = 3600.0
STEP_S: Final = 60.0
OPERATIONS_KEPT: Final = timedelta(days=90)

_log = structlog.get_logger(__name__)
_rows = Counter("noctis_purge_rows_total", "Rows deleted as nobody needs them.", ["table"])


class Purges:
    """Once an hour looks at every tenant; ``kept``: how long operations are told that ended.

    Tenants have no shard: the companion of shard 0 does it, the others nothing.
    """

    def __init__(
        self, database: Database, shards: frozenset[int], *, kept: timedelta = OPERATIONS_KEPT
    ) -> None:
        self._database = database
        self._is_mine = 0 in shards
        self._kept = kept

    async def run(self) -> None:
        """Work until cancelled."""
        await endlessly("purges", self.turn, pause_s=PAUSE_S)

    async def turn(self) -> bool:
        """Delete all that may go now; nothing waits then."""
        if not self._is_mine:
            return False
        for tenant in await self._database.call(tenants.list_all):
            await self._clear(tenant.name)
        voided = await self._database.call(void_tokens.forget, within_s=STEP_S)
        _rows.labels("void_tokens").inc(voided)
        return False

    async def _clear(self, tenant: str) -> None:
        now = datetime.now(UTC)
        try:
            while gone := await self._database.call(
                lambda it: purges.step(tenant, it, now, ended_before=now - self._kept),
                within_s=STEP_S,
            ):
                for table, count in gone.items():
                    _rows.labels(table).inc(count)
                _log.info("purged", tenant=tenant, **gone)
        except NotFoundError:
            return  # erased meanwhile, with all of this
