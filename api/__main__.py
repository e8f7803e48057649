"""``python -m api``: the facade under uvicorn, with an orderly end."""

import asyncio
import sys
from types import FrameType
from typing import Final

import uvicorn
from typing_extensions import override

from api.app import create_app
from api.deps import State
from noctis import settings
from noctis.errors import NoctisError
from noctis.telemetry import configure_logging

__all__ = ["main"]

GRACE_S: Final = 10
UNREADY_S: Final = 1.0


class Server(uvicorn.Server):
    """A server that tells monitors first, and stops to listen a second later.

    So a load balancer sends no request to a closed door. A second signal ends it at once.
    """

    def __init__(self, config: uvicorn.Config, state: State) -> None:
        super().__init__(config)
        self._readiness = state.readiness

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._readiness.draining:
            self.should_exit = self.force_exit = True
            return
        self._readiness.draining = True
        asyncio.get_running_loop().call_later(UNREADY_S, self._stop)

    def _stop(self) -> None:
        self.should_exit = True


def main() -> int:
    """Serve until SIGTERM or SIGINT; requests in hand are finished. 2: wrong settings."""
    try:
        chosen = settings.load()
        configure_logging("api", form=chosen.log_format, level=chosen.log_level)
        app = create_app(chosen)
    except NoctisError as error:
        sys.stderr.write(f"api: {error}\n")
        return 2
    config = uvicorn.Config(
        app,
        host=chosen.api_host,
        port=chosen.api_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = Server(config, app.state.noctis)
    server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
