"""A door of the facade's for devices alone: images of firmware over TLS, and nothing else."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import anyio
import structlog
import uvicorn
from fastapi import FastAPI
from fastapi.responses import FileResponse
from typing_extensions import override

from api import problems
from api.middleware import Measure
from api.routes.firmware import get_firmware_image
from noctis.errors import ConfigurationError
from noctis.settings import Settings

__all__ = ["ImageDoor"]

LOOK_S: Final = 1.0

_log = structlog.get_logger(__name__)


class ImageDoor:
    """Hands out images where ``NOCTIS_IMAGES_LISTEN`` says, if it says so.

    Another certificate in the same files is served within a second or two. Raises
    ConfigurationError where there is no certificate, or no such address and port.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._files: tuple[Path, Path] | None = None
        self._place = ("", 0)
        if settings.images_listen:
            self._place = _place(settings.images_listen)
            self._files = _files(settings)

    async def run(self, app: FastAPI) -> None:
        """Serve until cancelled; return at once where there is nothing to serve."""
        if self._files is None:
            return
        certificate, key = self._files
        config = uvicorn.Config(
            _images(app),
            ssl_certfile=certificate,
            ssl_keyfile=key,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
        )
        config.load()
        # Several processes of a facade listen side by side.
        listening = socket.create_server(self._place, reuse_port=True)
        with closing(listening):
            async with anyio.create_task_group() as group:
                group.start_soon(_follow, config, self._files)
                await _Server(config).serve([listening])
                group.cancel_scope.cancel()


class _Server(uvicorn.Server):
    """A server beside the facade's own, which hears the signals and ends this one."""

    @contextmanager
    @override
    def capture_signals(self) -> Iterator[None]:
        yield


def _images(facade: FastAPI) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.noctis = facade.state.noctis
    readiness = facade.state.noctis.readiness
    app.add_middleware(Measure, readiness=readiness)
    problems.install(app)
    route = app.get("/v1/firmware/images/{sha256}", response_class=FileResponse)
    route(get_firmware_image)
    return app


async def _follow(config: uvicorn.Config, files: tuple[Path, Path]) -> None:
    """Let new connections see the certificate that is in the files by now."""
    served = _times(files)
    while True:
        await anyio.sleep(LOOK_S)
        found = _times(files)
        if found == served or config.ssl is None:
            continue
        try:
            config.ssl.load_cert_chain(*files)
        except (OSError, ssl.SSLError) as error:  # the key comes a moment after it
            _log.warning("certificate_of_images_waits", error=str(error))
            continue
        served = found
        _log.info("certificate_of_images_renewed")


def _times(files: tuple[Path, Path]) -> tuple[int, ...]:
    return tuple(path.stat().st_mtime_ns for path in files if path.exists())


def _files(settings: Settings) -> tuple[Path, Path]:
    known = settings.images_certificate, settings.images_key
    if known[0] is None or known[1] is None or not all(it and it.is_file() for it in known):
        message = "NOCTIS_IMAGES_LISTEN has no certificate, or none with its key"
        hint = (
            "set NOCTIS_IMAGES_CERTIFICATE and NOCTIS_IMAGES_KEY; noctis ca server makes them"
        )
        raise ConfigurationError(message, hint=hint)
    return known[0], known[1]


def _place(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    if not address or not port.isdecimal():
        message = f"NOCTIS_IMAGES_LISTEN={text!r} is no address and port"
        raise ConfigurationError(message, hint="write it as 0.0.0.0:8885")
    return address, int(port)
