"""What a running process tells operators of itself, and the faults that they order of it.

A thread of its own says every few seconds, through the database, that the process is there,
how its breakers are, and by how much its clock differs from the database's. Where
``NOCTIS_FAULTS=allowed`` it asks there for orders too, every second or two. An order ends by
itself: the process counts the seconds, whoever is away. A process that starts anew has none.
"""

import os
import random
import socket
import threading
import time
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Final, Self
from uuid import UUID, uuid4

import structlog
from prometheus_client import Gauge

from noctis import breaker, clock, faults
from noctis.errors import NoctisError
from noctis.settings import Settings
from noctis.storage import steering
from noctis.storage.engine import create, transaction
from noctis.storage.steering import BreakerState, FaultState, Order, Process

__all__ = ["Steering"]

EVERY_S: Final = 5.0
ASKED_EVERY_S: Final = 1.5
SECONDS: Final = 2.0
_JITTER: Final = 0.25

_log = structlog.get_logger(__name__)
_skew = Gauge(
    "noctis_clock_skew_seconds",
    "By how much this process's clock is ahead of the database's.",
    multiprocess_mode="mostrecent",
)


@dataclass(slots=True)
class Steering:
    """Tells of this process, called ``service``, and obeys; ``with`` begins and ends it."""

    settings: Settings
    service: str
    id: UUID = field(default_factory=uuid4)
    refusal: str | None = None
    _skew_s: float | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        context = copy_context()  # it names the service in what this thread logs
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), name="steering", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2 * SECONDS)

    def _run(self) -> None:
        url = self.settings.database_url.get_secret_value()
        engine = create(url, application=f"noctis-{self.service}-steering", connections=1)
        failed = False
        while not self._stop.is_set():
            process = self._process()
            try:
                with faults.exempt(), transaction(engine, SECONDS) as connection:
                    orders = steering.beat(connection, process)
                self._heed(orders)
            except Exception as error:  # noqa: BLE001 - nothing may end this thread
                if not failed:
                    _log.info("steering_waits", error=repr(error))
                failed = True
            else:
                failed = False
            faults.expire()
            pause = ASKED_EVERY_S if faults.allowed() else EVERY_S
            self._stop.wait(pause * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311
        with suppress(NoctisError), faults.exempt(), transaction(engine, 1.0) as connection:
            steering.leave(connection, self.id)
        engine.dispose()

    def _process(self) -> Process:
        now = time.monotonic()
        return Process(
            id=self.id,
            service=self.service,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=version("noctis"),
            allows_faults=faults.allowed(),
            clock_s=clock.now_ns() / 1e9,
            refusal=self.refusal,
            breakers=[
                BreakerState(it.name, it.state.name.lower(), it.since) for it in breaker.known()
            ],
            faults=[
                FaultState(
                    order=rule.order or None,
                    rule=rule.text,
                    point=rule.point,
                    seconds_left=None if rule.until == float("inf") else rule.until - now,
                    passages=rule.passages,
                    happened=rule.happened,
                )
                for rule in faults.active()
            ],
        )

    def _heed(self, answer: steering.Answer) -> None:
        """Begin what was ordered and end what was withdrawn."""
        _skew.set(answer.clock_skew_s)
        if not faults.allowed():
            return
        for order in answer.orders:
            self._obey(order)
        wanted = {str(order.id) for order in answer.orders}
        for mine in {rule.order for rule in faults.active() if rule.order} - wanted:
            faults.withdraw(mine)

    def _obey(self, order: Order) -> None:
        try:
            faults.obey(str(order.id), order.rules, order.seconds_left)
        except NoctisError as error:  # of another version, that knows other points
            if self.refusal is None:
                _log.warning("faults_refused", order=str(order.id), error=str(error))
            self.refusal = str(error)
