"""A worker of gunicorn: ``gunicorn -k api.worker.FacadeWorker 'api.app:create_app()'``."""

import sys
from typing import Any, ClassVar

from gunicorn.arbiter import Arbiter
from typing_extensions import override
from uvicorn_worker import UvicornWorker

from api.server import OPTIONS, Server

__all__ = ["FacadeWorker"]


class FacadeWorker(UvicornWorker):  # type: ignore[misc]  # it has no types
    """One process of the facade: it ends as ``Server`` does."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {**UvicornWorker.CONFIG_KWARGS, **OPTIONS}

    @override
    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = Server(self.config, self.wsgi.state.noctis.readiness)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
