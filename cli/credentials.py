"""What a device is claimed with: options that commands share, and the identity they make."""

import json
import os
from pathlib import Path
from typing import Annotated, Final

import typer

from cli.auditing import record
from cli.local import opened, run_file
from noctis import settings
from noctis.certificates import Authority, make_key
from noctis.device_identity import Credential, DeviceIdentity, wifi_settings
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId
from noctis.passphrases import generate
from noctis.storage import accounts, certificates, devices
from noctis.storage.engine import Connection
from noctis.storage.errors import NotFoundError

__all__ = ["Host", "Port", "UpdateKeys", "UsePassword", "WifiName", "identify", "wifi_of"]

Host = Annotated[
    str, typer.Option(help="The broker, as the device reaches it; else that of `noctis up`.")
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Its port; else likewise.")]
UsePassword = Annotated[
    bool,
    typer.Option("--password", help="A password, not a certificate; TLS if there is a CA."),
]
UpdateKeys = Annotated[
    list[Path] | None,
    typer.Option(
        "--update-key", help="Public key in hex that may sign its firmware; 2 at most."
    ),
]
WifiName = Annotated[
    str,
    typer.Option("--wifi", help="Network to join; NOCTIS_WIFI_PASSWORD, or it is asked for."),
]

MOST_UPDATE_KEYS: Final = 2
USUAL_PORT: Final = 8883


def identify(
    var: Path,
    who: DeviceId,
    host: str,
    port: int,
    *,
    use_password: bool,
    update_keys: list[Path] | None,
) -> bytes:
    """Return the identity of a device, which is added if need be, with a new credential.

    What it proved itself with before is good until it has connected with the new one, a
    password before no longer.
    """
    keys = tuple(_update_key(path) for path in update_keys or ())
    if len(keys) > MOST_UPDATE_KEYS:
        message = f"{len(keys)} keys that may sign firmware: a device takes {MOST_UPDATE_KEYS}"
        raise ConfigurationError(message, hint="name fewer --update-key")
    host, port = _broker(var, host, port, use_password=use_password)
    folder = settings.load(var=var).ca_folder
    is_plain = use_password and not Authority.is_in(folder)
    authority = None if is_plain else Authority.load(folder)
    ca = authority.certificate.pem if authority else ""
    with opened(var) as connection:
        _add(who, connection)
        if authority is None or use_password:
            credential = _password(who, connection)
        else:
            credential = _certified(who, connection, authority)
        record(who.tenant, connection, "device_claimed", str(who))
        return DeviceIdentity(who, host, port, credential, ca=ca, update_keys=keys).encode()


def _broker(var: Path, host: str, port: int, *, use_password: bool) -> tuple[str, int]:
    """Return the broker's address: as named, else where a running platform listens outside."""
    try:
        outside = json.loads(run_file(var).read_text("utf-8")).get("outside") or {}
    except (OSError, ValueError):
        outside = {}
    told = outside.get("port" if use_password else "device_port", USUAL_PORT)
    if not host and not outside:
        message = "it is not said where the device finds the broker"
        hint = "run the platform with `noctis up --listen ADDRESS`, or name --host"
        raise ConfigurationError(message, hint=hint)
    return host or outside["host"], port or told


def wifi_of(name: str) -> bytes:
    """Return the network of that name with its password; none for no name."""
    if not name:
        return b""
    password = os.environ.get("NOCTIS_WIFI_PASSWORD")
    if password is None:
        password = typer.prompt(f"Password of {name}", default="", hide_input=True, err=True)
    return wifi_settings(name, password)


def _add(who: DeviceId, connection: Connection) -> None:
    try:
        known = devices.get(who.tenant, connection, who.device)
    except NotFoundError:
        devices.add(who.tenant, connection, who.device)
        accounts.add(who.tenant, connection, str(who), "device", generate())
        return
    if known.revoked_at is not None:
        message = f"device {str(who)!r} is revoked"
        raise ConfigurationError(message, hint="claim it under a new name")


def _password(who: DeviceId, connection: Connection) -> Credential:
    return Credential(password=accounts.set_password(who.tenant, connection, str(who)))


def _certified(who: DeviceId, connection: Connection, authority: Authority) -> Credential:
    key, public_key = make_key()
    issued = authority.issue_device(who, public_key)
    certificates.record(who.tenant, connection, issued)
    return Credential(certificate=issued.pem, key=key)


def _update_key(path: Path) -> bytes:
    try:
        return bytes.fromhex(path.read_text("ascii"))
    except (OSError, ValueError) as error:
        message = f"{path} holds no public key in hex: {error}"
        raise ConfigurationError(message, hint="64 hex digits of an Ed25519 key") from error
