"""Delete what is older than its tenant keeps, a little at a time."""

from datetime import timedelta
from typing import Final

import structlog
from prometheus_client import Counter

from companion.turns import endlessly
from noctis.storage import retention
from noctis.storage.database import Database
from noctis.storage.retention import Due

__all__ = ["Retention"]

PAUSE_S: Final = 3600.0
STEP_S: Final = 60.0

_log = structlog.get_logger(__name__)
_rows = Counter(
    "noctis_retention_rows_total", "Rows deleted as older than their tenant keeps.", ["table"]
)
_chunks = Counter("noctis_retention_chunks_total", "Chunks dropped as older than all keep.")


class Retention:
    """Once an hour looks at every device of some shards; ``kept`` is the platform's default.

    What is nobody's device's is looked after by the companion of shard 0.
    """

    def __init__(self, database: Database, shards: frozenset[int], *, kept: timedelta) -> None:
        self._database = database
        self._shards = shards
        self._kept = kept

    async def run(self) -> None:
        """Work until cancelled."""
        await endlessly("retention", self.turn, pause_s=PAUSE_S)

    async def turn(self) -> bool:
        """Delete all that is due now; nothing waits then."""
        due = await self._database.call(lambda it: retention.due(it, self._shards, self._kept))
        for device in due:
            await self._clear(device)
        if 0 in self._shards:
            dropped = await self._database.call(
                lambda it: retention.drop_chunks(it, self._kept), within_s=STEP_S
            )
            _chunks.inc(dropped)
            letters = await self._database.call(
                lambda it: retention.unknown_letters(it, self._kept), within_s=STEP_S
            )
            _rows.labels("dead_letters").inc(letters)
        return False

    async def _clear(self, due: Due) -> None:
        while gone := await self._database.call(
            lambda it: retention.step(it, due), within_s=STEP_S
        ):
            for table, count in gone.items():
                _rows.labels(table).inc(count)
            _log.info("retention", device=str(due.device), before=str(due.before), **gone)
