"""``python -m broker``: Mosquitto with the accounts and rights of the database."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from broker.config import Listener, Tls, render_config
from broker.server import REVOKED, MosquittoServer
from broker.service import BrokerService
from noctis import faults
from noctis import settings as settings_module
from noctis.errors import ConfigurationError, NoctisError
from noctis.settings import Settings
from noctis.storage.database import Database
from noctis.supervise import Service, serve
from noctis.telemetry import configure_logging

LOOPBACK_PORT: Final = 1883


class BrokerSettings(BaseSettings):
    """Where the broker listens for devices and apps, besides loopback."""

    model_config = SettingsConfigDict(
        env_prefix="NOCTIS_BROKER_", env_file=".env", extra="ignore"
    )

    listen: str = Field("", description="address:port of TLS with passwords; empty: none")
    listen_devices: str = Field("", description="address:port for devices with certificates")
    certificate: Path | None = Field(None, description="of both listeners' TLS")
    key: Path | None = Field(None, description="of that certificate")
    client_ca: Path | None = Field(None, description="the CA of the devices' certificates")
    revoked: Path | None = Field(None, description="its first list of revoked certificates")
    loopback_port: int = Field(LOOPBACK_PORT, ge=1, le=65535)


def listeners(settings: BrokerSettings) -> tuple[Listener, ...]:
    """Return the listeners for apps and devices, as many as there are to be."""
    found = []
    if settings.listen:
        tls = _tls(settings, "LISTEN")
        found.append(_listener("LISTEN", settings.listen, tls))
    if settings.listen_devices:
        tls = _tls(settings, "LISTEN_DEVICES")
        if settings.client_ca is None or settings.revoked is None:
            message = "NOCTIS_BROKER_LISTEN_DEVICES needs the CA and its list of the revoked"
            hint = "set NOCTIS_BROKER_CLIENT_CA and NOCTIS_BROKER_REVOKED"
            raise ConfigurationError(message, hint=hint)
        mutual = replace(tls, authority=settings.client_ca, revoked=settings.revoked)
        found.append(_listener("LISTEN_DEVICES", settings.listen_devices, mutual))
    return tuple(found)


def _tls(settings: BrokerSettings, name: str) -> Tls:
    if settings.certificate is None or settings.key is None:
        message = (
            f"NOCTIS_BROKER_{name} has no TLS: passwords must not cross a network in clear"
        )
        hint = "set NOCTIS_BROKER_CERTIFICATE and NOCTIS_BROKER_KEY"
        raise ConfigurationError(message, hint=hint)
    return Tls(settings.certificate, settings.key)


def _listener(name: str, place: str, tls: Tls) -> Listener:
    address, _, port = place.rpartition(":")
    if not address or not port.isdecimal():
        message = f"NOCTIS_BROKER_{name}={place!r} is no address and port"
        raise ConfigurationError(message, hint="write it as 0.0.0.0:8883")
    return Listener(int(port), address, tls)


def main() -> int:
    """Run until SIGTERM; 2 for settings that make no sense, 1 for anything else."""
    parser = argparse.ArgumentParser(prog="python -m broker", description=__doc__)
    parser.add_argument(
        "--print-config", action="store_true", help="print mosquitto.conf and end"
    )
    arguments = parser.parse_args()
    try:
        settings, own = settings_module.load(), BrokerSettings()
        faults.configure()
        if arguments.print_config:
            sys.stdout.write(_config(settings, own))
            return 0
        extra = listeners(own)
    except (NoctisError, ValidationError) as error:
        sys.stderr.write(f"broker: {error}\n")
        return 2
    configure_logging("broker", form=settings.log_format, level=settings.log_level)
    return _serve(settings, own.loopback_port, extra)


def _config(settings: Settings, own: BrokerSettings) -> str:
    folder = settings.var / "broker"
    return render_config(
        (Listener(own.loopback_port), *listeners(own)),
        passwords=folder / "accounts",
        acl=folder / "acl",
        persistence=folder,
        revoked=folder / REVOKED,
    )


def _serve(settings: Settings, port: int, extra: tuple[Listener, ...]) -> int:
    database = Database(settings, application="noctis-broker", connections=1)
    server = MosquittoServer(settings.var / "broker", extra_listeners=extra)
    broker = BrokerService(server, database, port=port)
    service = Service(
        name="broker", work=(broker.run,), ready=lambda: broker.ready, drain=broker.drain
    )
    try:
        return serve(service, settings)
    finally:
        server.stop()
        database.close()


if __name__ == "__main__":
    sys.exit(main())
