"""``noctis up``: the whole platform on this machine, with a virtual device."""

import json
import secrets
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.embedded import Platform
from cli.local import DEFAULT_VAR, Var
from cli.output import out, progress
from cli.outside import Outside
from cli.parts import MOST_REPLICAS
from noctis.identity import DeviceId, app_username, parse_login
from noctis.passphrases import generate, hash_passphrase, verify
from noctis.private_files import write_private
from noctis.storage import accounts, devices, tenants, users
from noctis.storage.engine import transaction
from noctis.storage.errors import AlreadyExistsError, NotFoundError

__all__ = ["up"]

DEVICE: Final = DeviceId("home", "bedroom")
APP: Final = "phone"
USER: Final = f"me@{DEVICE.tenant}"
Credentials = dict[str, dict[str, str]]


def up(
    *,
    var: Var = DEFAULT_VAR,
    api_port: Annotated[int, typer.Option(help="Port of the REST facade.")] = 8000,
    internal_port: Annotated[
        int, typer.Option(help="Port of the operators' /internal; 0: a free one.")
    ] = 8001,
    broker_port: Annotated[int, typer.Option(help="Port of the broker; 0: a free one.")] = 0,
    listen: Annotated[
        str, typer.Option(help="Address or name of this machine: TLS for real devices, apps.")
    ] = "",
    listen_port: Annotated[
        int,
        typer.Option(min=1, max=65533, help="Passwords; the next: certificates; then: images."),
    ] = 8883,
    replicas: Annotated[
        int, typer.Option(min=1, max=MOST_REPLICAS, help="Ingestors, and inference workers.")
    ] = 1,
    device: Annotated[bool, typer.Option(help="Run a virtual device.")] = True,
    speed: Annotated[str, typer.Option(help="Of the virtual device: times real time.")] = "1",
    night: Annotated[
        Path | None,
        typer.Option(help="Night of the virtual device (default: made up)."),
    ] = None,
) -> None:
    """Run the platform on this machine: database, broker, services and a virtual device.

    Everything listens on loopback, but for TLS where you say --listen, and lives below --var.
    Ctrl-C drains and stops all of it; starting again finds the same data.
    """
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with Platform(
        var,
        api_port=api_port,
        internal_port=internal_port,
        broker_port=broker_port,
        replicas=replicas,
        outside=Outside(listen, listen_port, var.absolute() / "outside") if listen else None,
        tell=progress,
    ) as platform:
        credentials = _enrol(platform)
        _add_user(platform, credentials)
        if device:
            password = credentials["device"]["password"]
            platform.add_device("device", _arguments(platform, speed, night), password=password)
        _show(platform, credentials["user"], _sleeper(speed) if device and not night else [])
        stopping.wait()
        progress("finishing what is in hand")


def _enrol(platform: Platform) -> Credentials:
    """Add a tenant, a device and an app at the first start; return their credentials."""
    path = platform.var / "credentials.json"
    if path.exists():
        known: Credentials = json.loads(path.read_text("utf-8"))
        return known
    names: dict[str, Any] = {"device": str(DEVICE), "app": app_username(APP, DEVICE.tenant)}
    fresh = {
        kind: {"username": name, "password": secrets.token_urlsafe(18)}
        for kind, name in names.items()
    }
    # The file comes first: a password that is in the database alone would be lost.
    write_private(path, json.dumps(fresh, indent=2) + "\n")
    with transaction(platform.engine, seconds=10) as connection:
        tenants.add(connection, DEVICE.tenant)
        devices.add(DEVICE.tenant, connection, DEVICE.device)
        for kind, entry in fresh.items():
            accounts.add(DEVICE.tenant, connection, entry["username"], kind, entry["password"])
    platform.follow_accounts()
    return fresh


def _add_user(platform: Platform, credentials: Credentials) -> None:
    """Let somebody sign in on the page, from the first start on that knows of it."""
    if "user" in credentials:
        return
    fresh = {"username": USER, "password": generate()}
    hashed = hash_passphrase(fresh["password"])
    name, tenant = parse_login(USER)
    credentials["user"] = fresh
    text = json.dumps(credentials, indent=2) + "\n"
    write_private(platform.var / "credentials.json", text)
    with (
        suppress(NotFoundError, AlreadyExistsError),  # erased, or somebody's own
        transaction(platform.engine, seconds=10) as connection,
    ):
        users.add(tenant, connection, name, role="admin", password_hash=hashed)


def _sign_in(platform: Platform, user: dict[str, str]) -> str:
    """Tell how to sign in; a password that was changed since is told no more."""
    name, tenant = parse_login(user["username"])
    with transaction(platform.engine, seconds=10) as connection:
        found = users.find(tenant, connection, name)
    if found is not None and verify(user["password"], found.password_hash)[0]:
        return f"{user['username']}  password {user['password']}"
    return "as one of `noctis user list`; `noctis user add` makes one"


def _arguments(platform: Platform, speed: str, night: Path | None) -> list[str]:
    folder = platform.var / "devices" / DEVICE.tenant
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / DEVICE.device
    files = ["--nor", f"{stem}.nor", "--log", f"{stem}.jsonl"]
    names = ["--tenant", DEVICE.tenant, "--device", DEVICE.device]
    played = [] if night is None else ["--night", str(night.absolute())]
    return [*names, *files, "--speed", speed, *played]


def _sleeper(speed: str) -> list[str]:
    """Tell what is to be seen at first."""
    pace = "in real time (--speed)" if speed == "1" else f"{speed} times as fast as life"
    return [f"              tonight   eight hours of a made-up sleeper, {pace}"]


def _show(platform: Platform, user: dict[str, str], more: list[str]) -> None:
    host, port = platform.broker_address
    var = platform.var
    lines = [
        f"\n[bold]Noctis runs.[/]  open      http://{host}:{platform.api_port}/",
        f"              sign in   {_sign_in(platform, user)}",
        *more,
        f"              REST      http://{host}:{platform.api_port}/docs",
        f"              internal  http://{host}:{platform.internal_port}/docs",
        f"              MQTT      {host}:{port}",
        f"              accounts  {var / 'credentials.json'}",
        f"              a night   noctis night show {DEVICE} --var {var}",
    ]
    lines += [
        f"              files of a server whose user cannot enter {var}: {folder}"
        for folder in platform.folders
        if not folder.is_relative_to(var)
    ]
    lines += _outside(platform)
    lines.append("Ctrl-C stops it; everything stored stays.\n")
    out.print("\n".join(lines), soft_wrap=True)


def _outside(platform: Platform) -> list[str]:
    """Tell real devices and apps where to come, and whom to trust."""
    if platform.outside is None:
        return []
    told = platform.outside.told(platform.authority, platform.var)
    return [
        f"[bold]From outside:[/] apps      {told['host']}:{told['port']} (TLS, password)",
        f"              devices   {told['host']}:{told['device_port']} (TLS, certificate)",
        f"              firmware  {told['images']} (TLS)",
        f"              CA        {told['ca']}",
        f"              SHA-256   {told['ca_fingerprint']}",
    ]
