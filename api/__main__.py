"""``python -m api``: the facade under uvicorn, with an orderly end."""

import asyncio
from types import FrameType
from typing import Final

import uvicorn
from typing_extensions import override

from api.app import create_app
from api.deps import State
from noctis import settings
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
            super().handle_exit(sig, frame)
            return
        self._readiness.draining = True
        loop = asyncio.get_running_loop()
        loop.call_later(UNREADY_S, super().handle_exit, sig, frame)


def main() -> None:
    """Serve until SIGTERM or SIGINT; requests in hand are finished."""
    chosen = settings.load()
    configure_logging("api", form=chosen.log_format, level=chosen.log_level)
    app = create_app(chosen)
    config = uvicorn.Config(
        app,
        host=chosen.api_host,
        port=chosen.api_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    Server(config, app.state.noctis).run()


if __name__ == "__main__":
    main()
