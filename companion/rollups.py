"""Roll the epochs of each device up into hours: what is over, and again what came late."""

from contextlib import suppress
from typing import Final

from prometheus_client import Counter, Gauge

from companion.turns import endlessly
from noctis.errors import NoctisError
from noctis.storage import jobs, rolling
from noctis.storage.database import Database

__all__ = ["Rollups"]

PAUSE_S: Final = 60.0
STEP_S: Final = 100.0  # a refresh of two days of a large fleet; the session allows 120 s

_late_hours = Counter(
    "noctis_rollups_late_hours_total", "Hours rolled up again for late epochs."
)
_until = Gauge("noctis_rollups_until_timestamp_seconds", "All hours before it are rolled up.")


class Rollups:
    """Keeps ``epochs_hourly``, in small steps; several companions may do so at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._started = False

    async def run(self) -> None:
        """Work until cancelled."""
        await endlessly(rolling.JOB, self._turn, pause_s=PAUSE_S)

    async def _turn(self) -> bool:
        """Do a step; tell whether more waits."""
        if not self._started:
            await self._database.call(lambda it: jobs.started(it, rolling.JOB))
            self._started = True
        try:
            done = await self._database.call(rolling.step, within_s=STEP_S)
        except (NoctisError, TimeoutError) as error:
            await self._finish(str(error) or repr(error))
            raise
        _late_hours.inc(done.noted_hours)
        if done.until is not None:
            _until.set(done.until.timestamp())
        if not done.busy:
            await self._finish(None)
        return done.busy

    async def _finish(self, error: str | None) -> None:
        self._started = False
        with suppress(NoctisError, TimeoutError):  # nothing is lost but the word of it
            await self._database.call(lambda it: jobs.finished(it, rolling.JOB, error=error))
