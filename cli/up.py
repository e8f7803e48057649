"""``noctis up``: the whole platform on this machine, with a virtual device."""

import json
import secrets
import signal
import threading
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.embedded import Platform
from cli.local import DEFAULT_VAR, Var
from cli.output import out, progress
from cli.parts import MOST_REPLICAS
from cli.service import write_private
from noctis.identity import DeviceId, app_username
from noctis.storage import accounts, devices, tenants
from noctis.storage.engine import transaction

__all__ = ["up"]

DEVICE: Final = DeviceId("home", "bedroom")
APP: Final = "phone"
Credentials = dict[str, dict[str, str]]


def up(
    *,
    var: Var = DEFAULT_VAR,
    api_port: Annotated[int, typer.Option(help="Port of the REST facade.")] = 8000,
    broker_port: Annotated[int, typer.Option(help="Port of the broker; 0: a free one.")] = 0,
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

    Everything listens on loopback and lives below --var. Ctrl-C drains and stops all of it;
    starting again finds the same data.
    """
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with Platform(
        var,
        api_port=api_port,
        broker_port=broker_port,
        replicas=replicas,
        tell=progress,
    ) as platform:
        credentials = _enrol(platform)
        if device:
            password = credentials["device"]["password"]
            platform.add_device("device", _arguments(platform, speed, night), password=password)
        _show(platform)
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


def _arguments(platform: Platform, speed: str, night: Path | None) -> list[str]:
    folder = platform.var / "devices" / DEVICE.tenant
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / DEVICE.device
    files = ["--nor", f"{stem}.nor", "--log", f"{stem}.jsonl"]
    names = ["--tenant", DEVICE.tenant, "--device", DEVICE.device]
    played = [] if night is None else ["--night", str(night.absolute())]
    return [*names, *files, "--speed", speed, *played]


def _show(platform: Platform) -> None:
    host, port = platform.broker_address
    var = platform.var
    lines = [
        f"\n[bold]Noctis runs.[/]  REST      http://{host}:{platform.api_port}/docs",
        f"              MQTT      {host}:{port}",
        f"              accounts  {var / 'credentials.json'}",
        f"              a night   noctis night show {DEVICE} --var {var}",
    ]
    lines += [
        f"              files of a server whose user cannot enter {var}: {folder}"
        for folder in platform.folders
        if not folder.is_relative_to(var)
    ]
    lines.append("Ctrl-C stops it; everything stored stays.\n")
    out.print("\n".join(lines), soft_wrap=True)
