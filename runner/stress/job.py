"""A load from its order to its report: its tenant is made up before, and erased after."""

import asyncio
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog

from noctis.errors import NoctisError
from noctis.mqtt import Link
from noctis.replica import addresses
from noctis.settings import Settings
from noctis.storage import operation_queue, stress
from noctis.storage.engine import Engine, transaction
from noctis.storage.operation_queue import Work
from noctis.storage.stress import Stored
from runner.stress.load import Load, StressError
from runner.stress.plan import Plan

__all__ = ["StressJob"]

CALL_S: Final = 60.0
LOOK_S: Final = 0.5
BY: Final = "stress"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StressJob:
    """Does loads; ``stopping`` ends one early, and so does its cancellation."""

    engine: Engine
    settings: Settings
    stopping: Callable[[], bool]

    def sweep(self) -> None:
        """Ask for the erasure of what loads left behind whose runners died."""
        with transaction(self.engine, CALL_S) as connection:
            for tenant in stress.sweep(connection, by=BY):
                _log.warning("load_swept_away", tenant=tenant)

    def do(self, work: Work) -> dict[str, Any] | None:
        """Return the report of a load; None where it was cancelled. Raise StressError."""
        if self.settings.stress != "allowed":
            message = "loads are not allowed here"
            raise StressError(message, hint="set NOCTIS_STRESS=allowed for the runner too")
        if work.attempts > 1:
            self.sweep()
            message = "the runner that sent it ended; what it had stored is erased"
            raise StressError(message, hint="order another one")
        wanted = work.request
        plan = Plan.now(work.number, wanted["devices"], wanted["rate"], wanted["seconds"])
        password = secrets.token_urlsafe(24)
        names = [plan.device(place).device for place in range(plan.devices)]
        with transaction(self.engine, CALL_S) as connection:
            stress.enrol(plan.tenant, connection, names, plan.app, password)
        try:
            return self._run(work, plan, password)
        finally:
            self._forget(plan)

    def _run(self, work: Work, plan: Plan, password: str) -> dict[str, Any] | None:
        watch = _Watch(self.engine, work, plan, self.stopping)
        load = Load(plan, self._links(), password, watch.wanted)
        watch.start(lambda: load.tally.sent)
        try:
            asyncio.run(load.run())
        except* NoctisError as group:
            raise StressError(str(group.exceptions[0])) from group
        finally:
            watch.stop()
        if self.stopping():
            message = "ended early: the runner is about to end; what it stored is erased"
            raise StressError(message, hint="order another one")
        if not watch.wanted():
            return None
        return load.tally.report(self._stored(plan), load.took_s)

    def _stored(self, plan: Plan) -> Stored:
        with transaction(self.engine, CALL_S) as connection:
            return stress.stored(plan.tenant, connection)

    def _forget(self, plan: Plan) -> None:
        with transaction(self.engine, CALL_S) as connection:
            number = stress.forget(plan.tenant, connection, by=BY)
        _log.info("load_erased", tenant=plan.tenant, erasure=number)

    def _links(self) -> tuple[Link, Link]:
        """Return how devices and how apps reach their brokers, without an account."""
        it = self.settings
        node, *others = addresses(it.broker_host, it.broker_port)
        version: Final = 5 if it.broker_mqtt == "5" else 4
        devices = Link(*node, "", "", ca=it.broker_ca, version=version, others=tuple(others))
        if not it.app_broker_host:
            return devices, devices
        node, *others = addresses(it.app_broker_host, it.app_broker_port)
        return devices, Link(*node, "", "", ca=it.app_broker_ca, others=tuple(others))


class _Watch:
    """Notes twice a second how far a load is, and hears whether it is to go on."""

    def __init__(
        self, engine: Engine, work: Work, plan: Plan, stopping: Callable[[], bool]
    ) -> None:
        self._engine = engine
        self._work = work
        self._plan = plan
        self._stopping = stopping
        self._is_wanted = True
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def wanted(self) -> bool:
        """Tell whether the load is to go on."""
        return self._is_wanted and not self._stopping()

    def start(self, sent: Callable[[], int]) -> None:
        """Look in a thread of its own, so that no sending waits for the database."""
        self._thread = threading.Thread(target=self._look, args=(sent,), name="watch")
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self, sent: Callable[[], int]) -> None:
        is_last = False
        while not is_last:
            is_last = self._ended.wait(LOOK_S)
            try:
                with transaction(self._engine, CALL_S) as connection:
                    self._is_wanted = operation_queue.progress(
                        connection, self._work.number, sent(), self._plan.epochs
                    )
            except NoctisError as error:
                _log.warning("load_not_told", error=str(error))
