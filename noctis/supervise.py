"""Run a service: one loop, one task group, an orderly end, and what monitors want to know."""

import asyncio
import gc
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

import structlog
import uvloop
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from typing_extensions import override

from noctis.errors import NoctisError, ProcessError

__all__ = ["Service", "run", "serve"]

_log = structlog.get_logger(__name__)
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_COLLECTED_AFTER: Final = (50_000, 20, 100)
"""Objects made before the collector looks for circles among the young, and how many times it
does so before it looks among the older. Little of ours is circular, and at Python's own 700 a
service that remembers 50,000 devices spends a third of its time looking through them."""
REQUEST_S: Final = 5.0
"""What a monitor may take to say what it wants, and to read the answer."""

_TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Service:
    """A service as its composition root describes it.

    ``work`` are endless coroutines, run together; one that fails ends the service, one that
    returns does not. ``drain`` is awaited at SIGTERM or SIGINT: it finishes what is in hand,
    whereupon ``work`` is cancelled. ``ready`` tells whether the service does its work now, and
    ``degraded`` what it does worse than it should although it is ready, None: nothing.
    """

    name: str
    work: tuple[Callable[[], Coroutine[None, None, None]], ...]
    ready: Callable[[], bool]
    drain: Callable[[], Awaitable[None]]
    drain_s: float = 15.0
    degraded: Callable[[], str | None] = lambda: None
    stopping: threading.Event = field(default_factory=threading.Event)


def run(service: Service, *, metrics_port: int = 0, metrics_host: str = "127.0.0.1") -> None:
    """Run until SIGTERM or SIGINT, then drain; a second signal ends it at once.

    ``metrics_port`` serves ``/metrics``, ``/readyz`` and ``/healthz``; 0: none. What makes a
    part of the service fail is raised as an ExceptionGroup.
    """
    endpoint = None if metrics_port == 0 else _Endpoint(service, (metrics_host, metrics_port))
    try:
        uvloop.run(_supervise(service))
    finally:
        if endpoint is not None:
            endpoint.close()


def serve(service: Service, *, metrics_port: int = 0) -> int:
    """Run as a process's only work, tell on stderr which part failed, return the exit code.

    What is no NoctisError is raised.
    """
    gc.freeze()  # what was imported stays
    gc.set_threshold(*_COLLECTED_AFTER)
    failures: list[str] = []
    try:
        run(service, metrics_port=metrics_port)
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
        ready = self.service.ready() and not self.service.stopping.is_set()
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
                return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, b"not ready\n"
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
