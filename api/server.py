"""The server of one process: it tells monitors and callers first, and stops a second later."""

import asyncio
import sys
from collections.abc import Callable
from socket import socket
from types import FrameType
from typing import Any, Final

import structlog
import uvicorn
from fastapi import FastAPI
from typing_extensions import override

from api.checks import Readiness
from noctis import settings
from noctis.errors import NoctisError
from noctis.garbage import look_seldom
from noctis.settings import Settings
from noctis.telemetry import announce, configure_logging

__all__ = ["OPTIONS", "Server", "listen"]

GRACE_S: Final = 10
UNREADY_S: Final = 1.0
LAST_S: Final = 0.5
KEEP_ALIVE_S: Final = 75  # longer than proxies keep theirs, which so close first
OPTIONS: Final[dict[str, Any]] = {
    "access_log": False,
    "server_header": False,
    "timeout_keep_alive": KEEP_ALIVE_S,
    "timeout_graceful_shutdown": GRACE_S,
}
"""uvicorn's, wherever the facade runs."""
_log = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """A server that is told to end: it says so for a second, and only then stops to listen.

    Meanwhile it is not ready, so a load balancer sends no request to a closed door, and each
    answer ends its connection, so a caller sends none down a line that is about to be cut.
    Then whoever is connected may ask for half a second more, and requests in hand are
    finished. A second signal ends it at once.
    """

    def __init__(self, config: uvicorn.Config, readiness: Readiness) -> None:
        super().__init__(config)
        self._readiness = readiness

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._readiness.draining:
            self.should_exit = self.force_exit = True
            return
        self._readiness.draining = True
        asyncio.get_running_loop().call_later(UNREADY_S, self._stop)

    def _stop(self) -> None:
        self.should_exit = True

    @override
    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        look_seldom()
        for listening in self.servers:
            for each in listening.sockets:
                host, port, *_ = each.getsockname()
                _log.info("listening", host=host, port=port)

    @override
    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        if not self.force_exit:
            await asyncio.sleep(LAST_S)  # who came in last has not asked yet
        await super().shutdown(sockets)


def listen(
    name: str,
    create: Callable[[Settings], FastAPI],
    *,
    address: Callable[[Settings], tuple[str, int]],
) -> int:
    """Serve what ``create`` returns until SIGTERM or SIGINT; finish requests in hand.

    Returns the exit code: 2 for settings that make no sense, 1 where it could not listen.
    """
    try:
        chosen = settings.load()
        configure_logging(
            name, form=chosen.log_format, level=chosen.log_level, traced=chosen.trace
        )
        announce(name)
        app = create(chosen)
    except NoctisError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return 2
    host, port = address(chosen)
    config = uvicorn.Config(app, host=host, port=port, log_config=None, **OPTIONS)
    server = Server(config, app.state.noctis.readiness)
    server.run()
    return 0 if server.started else 1
