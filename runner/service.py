"""The runner's turns: take the oldest operation that nobody does, do it, tell the outcome."""

import asyncio
import threading
from collections.abc import Mapping
from typing import Any, Final

import structlog
from prometheus_client import Counter

from noctis.errors import NoctisError, StorageUnavailableError
from noctis.settings import Settings
from noctis.storage import operation_queue
from noctis.storage.engine import create, transaction
from noctis.storage.operation_queue import MOST_ATTEMPTS, Work
from runner.jobs import GivenUp, Jobs

__all__ = ["Runner"]

LOOK_S: Final = 1.0
AGAIN_S: Final = 5.0
CALL_S: Final = 60.0

_log = structlog.get_logger(__name__)
_ended = Counter("noctis_runner_operations_total", "Operations that ended.", ["kind", "how"])


class Runner:
    """Does one operation after the other; several runners may do so side by side."""

    def __init__(self, settings: Settings) -> None:
        url = settings.database_url.get_secret_value()
        self._engine = create(url, application="noctis-runner", connections=3)
        self._stopping = threading.Event()
        self._idle = asyncio.Event()
        self._jobs = Jobs(self._engine, settings, self._stopping.is_set)
        self._is_swept = False
        self._root = settings.models
        self.ready = False

    async def run(self) -> None:
        """Work until ``drain``; a database that is away is waited for."""
        while not self._stopping.is_set():
            try:
                is_busy = await asyncio.to_thread(self.turn)
                self.ready, pause = True, 0.0 if is_busy else LOOK_S
            except StorageUnavailableError as error:
                _log.warning("turn_failed", error=str(error))
                self.ready, pause = False, AGAIN_S
            await asyncio.to_thread(self._stopping.wait, pause)
        self._idle.set()

    async def drain(self) -> None:
        """Finish the part in hand; what is left of the operation waits for the next runner."""
        self._stopping.set()
        await self._idle.wait()

    def close(self) -> None:
        """Close the database's connections."""
        self._engine.dispose()

    def turn(self) -> bool:
        """Do one operation that nobody else does; False when there is none."""
        if not self._is_swept:
            self._jobs.stress.sweep()
            self._is_swept = True
        with transaction(self._engine, CALL_S) as connection:
            waiting = operation_queue.waiting(connection)
        for number in waiting:
            with operation_queue.held(self._engine, number) as is_mine:
                if is_mine and self._take(number):
                    return True
        return False

    def _take(self, number: int) -> bool:
        with transaction(self._engine, CALL_S) as connection:
            work = operation_queue.take(connection, number)
        if work is None:
            return False
        if work.attempts > MOST_ATTEMPTS:
            error = f"given up: {MOST_ATTEMPTS} times it ended the process that did it"
            self._finish(work, "failed", error=error)
            return True
        return self._do(work)

    def _do(self, work: Work) -> bool:
        _log.info("operation_begins", kind=work.kind, tenant=work.tenant, number=work.number)
        try:
            result = self._jobs.do(work)
        except GivenUp:
            self._put_back(work)
            return False
        except StorageUnavailableError:
            raise
        except NoctisError as error:
            told = error.message.replace(f"{self._root}/", "")
            self._finish(work, "failed", error=told)
        except Exception:  # noqa: BLE001 - one operation's fault must not end the others
            _log.exception("operation_broke", kind=work.kind, number=work.number)
            self._finish(work, "failed", error="this is our fault; it has been logged")
        else:
            self._finish(work, "done", result=result)
        return True

    def _put_back(self, work: Work) -> None:
        with transaction(self._engine, CALL_S) as connection:
            operation_queue.release(connection, work.number)
        _ended.labels(work.kind, "put back").inc()

    def _finish(
        self,
        work: Work,
        how: str,
        *,
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None:
        with transaction(self._engine, CALL_S) as connection:
            operation_queue.finish(connection, work.number, result=result, error=error)
        _ended.labels(work.kind, how).inc()
        _log.info("operation_ended", number=work.number, how=how, error=error)
