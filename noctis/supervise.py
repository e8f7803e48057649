"""Run a service: one loop, one task group, an orderly end, and what monitors want to know."""

import asyncio
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

import structlog
import uvloop
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from typing_extensions import override

from noctis import disks
from noctis.errors import NoctisError, ProcessError
from noctis.garbage import look_seldom
from noctis.settings import Settings
from noctis.steering import Steering
from noctis.telemetry import announce

__all__ = ["Service", "answering", "run", "serve"]

_log = structlog.get_logger(__name__)
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
REQUEST_S: Final = 5.0
"""What a monitor may take to say what it wants, and to read the answer."""

_TEXT: Final = "text/plain; charset=utf-8"
_ready = Gauge(
    "noctis_service_ready", "1 while the service does its work, 0 while it does not."
)
_degraded = Gauge(
    "noctis_service_degraded", "1 while the service does its work worse than it should."
)


@dataclass(frozen=True, slots=True)
class Service:
    """A service as its composition root describes it.

    ``work`` are endless coroutines, run together; one that fails ends the service, one that
    returns does not. ``drain`` is awaited at SIGTERM or SIGINT: it finishes what is in hand,
    whereupon ``work`` is cancelled. ``ready`` tells whether the service does its work now,
    ``why`` what keeps it from that, and ``degraded`` what it does worse than it should although
    it is ready, None: nothing.
    """

    name: str
    work: tuple[Callable[[], Coroutine[None, None, None]], ...]
    ready: Callable[[], bool]
    drain: Callable[[], Awaitable[None]]
    drain_s: float = 15.0
    degraded: Callable[[], str | None] = lambda: None
    why: Callable[[], str] = lambda: ""
    stopping: threading.Event = field(default_factory=threading.Event)


def run(service: Service, *, metrics_port: int = 0, metrics_host: str = "127.0.0.1") -> None:
    """Run until SIGTERM or SIGINT, then drain; a second signal ends it at once.

    ``metrics_port`` serves ``/metrics``, ``/readyz`` and ``/healthz``; 0: none. What makes a
    part of the service fail is raised as an ExceptionGroup.
    """
    with answering(service, metrics_port, metrics_host):
        uvloop.run(_supervise(service))


@contextmanager
def answering(service: Service, port: int, host: str = "127.0.0.1") -> Iterator[None]:
    """Answer monitors for as long as the block runs; ``port`` 0: not at all."""
    endpoint = None if port == 0 else _Endpoint(service, (host, port))
    try:
        yield
    finally:
        if endpoint is not None:
            endpoint.close()


def serve(service: Service, settings: Settings) -> int:
    """Run as a process's only work, tell on stderr which part failed, return the exit code.

    What is no NoctisError is raised.
    """
    announce(service.name)
    disks.watch(settings.var)
    _ready.set_function(lambda: _is_ready(service))
    _degraded.set_function(lambda: service.degraded() is not None)
    look_seldom()
    failures: list[str] = []
    try:
        with Steering(settings, service.name):
            run(service, metrics_port=settings.metrics_port, metrics_host=settings.metrics_host)
    except* NoctisError as group:
        failures = [str(failure) for failure in group.exceptions]
    sys.stderr.writelines(f"{service.name}: {failure}\n" for failure in failures)
    return 1 if failures else 0


async def _supervise(service: Service) -> None:
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in _SIGNALS:
        loop.add_signal_handler(number, asked.set)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work()) for work in service.work]
        _log.info("service_started")
        await asked.wait()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)  # a second signal ends us at once
        service.stopping.set()
        _log.info("service_draining", within_s=service.drain_s)
        try:
            async with asyncio.timeout(service.drain_s):
                await service.drain()
        except TimeoutError:
            _log.warning("drain_timed_out")
        for task in tasks:
            task.cancel()
    _log.info("service_stopped")


def _is_ready(service: Service) -> bool:
    return service.ready() and not service.stopping.is_set()


class _Endpoint(ThreadingHTTPServer):
    """A small HTTP server in a thread of its own: it answers while the loop is busy."""

    daemon_threads = True

    def __init__(self, service: Service, address: tuple[str, int]) -> None:
        self.service = service
        try:
            super().__init__(address, _Handler)
        except OSError as error:
            message = f"{service.name} cannot serve metrics on {address}: {error.strerror}"
            raise ProcessError(message, hint="set another NOCTIS_METRICS_PORT") from error
        self._thread = threading.Thread(target=self.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def answer(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        """Return status, content type and body for ``path``."""
        ready = _is_ready(self.service)
        match path:
            case "/metrics":
                return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest()
            case "/healthz":
                return HTTPStatus.OK, _TEXT, b"alive\n"
            case "/readyz" if ready:
                degraded = self.service.degraded()
                told = f"ready, but degraded: {degraded}" if degraded else "ready"
                return HTTPStatus.OK, _TEXT, f"{told}\n".encode()
            case "/readyz":
                why = self.service.why()
                told = f"not ready: {why}" if why else "not ready"
                return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, f"{told}\n".encode()
            case _:
                return HTTPStatus.NOT_FOUND, _TEXT, b"not found\n"

    def close(self) -> None:
        """Stop answering."""
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: _Endpoint
    timeout = REQUEST_S

    def do_GET(self) -> None:
        status, kind, body = self.server.answer(self.path)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Keep probes out of the log."""
