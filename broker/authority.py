"""``python -m broker.authority``: tells a RabbitMQ node who may do what.

RabbitMQ's own users need a second copy of every password, and let an account connect under
another's client id, which cuts the other off. Its plugin ``rabbitmq_auth_backend_http`` asks
here instead: passwords and rights are the database's, and the client id is the user name.
"""

import asyncio
import sys
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qsl

import structlog
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from typing_extensions import override

from broker.rabbitmq import permits
from noctis import faults
from noctis import settings as settings_module
from noctis.errors import ConfigurationError, NoctisError, ProcessError, StorageError
from noctis.steering import Steering
from noctis.storage import accounts
from noctis.storage.database import Database
from noctis.storage.passwords import verify
from noctis.supervise import Service, run
from noctis.telemetry import configure_logging

__all__ = ["Authority", "Desk"]

_log = structlog.get_logger(__name__)

FOLLOW_S: Final = 1.0
LONGEST: Final = 64 * 1024


class AuthoritySettings(BaseSettings):
    """Where the authority listens; passwords come in, so nobody else must hear it."""

    model_config = SettingsConfigDict(
        env_prefix="NOCTIS_AUTHORITY_", env_file=".env", extra="ignore"
    )

    host: str = Field("127.0.0.1", description="address, beside the RabbitMQ node")
    port: int = Field(8085, ge=0, le=65535)


class Authority:
    """Knows the accounts of the database, and goes on with them while it is away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hashes: Mapping[str, str] | None = None

    @property
    def ready(self) -> bool:
        """True once the accounts are known."""
        return self._hashes is not None

    async def run(self) -> None:
        """Follow the table of accounts, until cancelled."""
        while True:
            try:
                known = await self._database.call(accounts.active)
                self._hashes = {it.username: it.password_hash for it in known}
            except (StorageError, TimeoutError) as error:
                _log.warning("accounts_not_read", error=str(error))
            await asyncio.sleep(FOLLOW_S)

    def allows(self, question: str, about: Mapping[str, str]) -> bool:
        """Answer a question of RabbitMQ: ``user``, ``vhost``, ``resource`` or ``topic``."""
        username = about.get("username", "")
        known = (self._hashes or {}).get(username)
        if known is None or "@" in username:
            return False  # an app: it reads at the apps' broker
        if question == "user":
            is_own = about.get("client_id") == username
            return is_own and verify(about.get("password", ""), known)
        return permits(username, question, about)


class Desk(ThreadingHTTPServer):
    """Where RabbitMQ's questions arrive: ``POST /user`` and so on, answered in a word."""

    daemon_threads = True

    def __init__(self, authority: Authority, address: tuple[str, int]) -> None:
        self.authority = authority
        try:
            super().__init__(address, _Handler)
        except OSError as error:
            message = f"the authority cannot listen on {address}: {error.strerror}"
            raise ProcessError(message, hint="set another NOCTIS_AUTHORITY_PORT") from error
        self._thread = threading.Thread(target=self.serve_forever, name="desk", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer nothing more."""
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Desk
    protocol_version = "HTTP/1.1"
    timeout = 60.0

    def do_POST(self) -> None:
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal() or int(size) > LONGEST:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        body = self.rfile.read(int(size)).decode(errors="replace")
        about = dict(parse_qsl(body, keep_blank_values=True))
        allows = self.server.authority.allows(self.path.strip("/"), about)
        answer = b"allow" if allows else b"deny"
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Keep questions out of the log: they hold passwords."""


def main() -> int:
    """Run until SIGTERM; 2 for settings that make no sense, 1 for anything else."""
    try:
        settings, own = settings_module.load(), AuthoritySettings()
        faults.configure()
    except (NoctisError, ValueError) as error:
        sys.stderr.write(f"authority: {ConfigurationError(str(error))}\n")
        return 2
    configure_logging("authority", form=settings.log_format, level=settings.log_level)
    database = Database(settings, application="noctis-authority", connections=1)
    authority = Authority(database)
    try:
        desk = Desk(authority, (own.host, own.port))
    except ProcessError as error:
        sys.stderr.write(f"authority: {error}\n")
        return 1
    try:
        with Steering(settings, "authority"):
            run(
                Service("authority", (authority.run,), lambda: authority.ready, _nothing),
                metrics_port=settings.metrics_port,
                metrics_host=settings.metrics_host,
            )
    finally:
        desk.close()
        database.close()
    return 0


async def _nothing() -> None:
    """Nothing is in hand that could be lost."""


if __name__ == "__main__":
    sys.exit(main())
