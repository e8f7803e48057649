"""``noctis firmware rollout`` and its like: an image on its way to devices."""

import json as encoding
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from cli.auditing import record
from cli.local import DEFAULT_VAR, Var, opened, run_file
from cli.output import Json, out, print_json, progress
from noctis import settings
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId
from noctis.storage import firmware, rollouts
from noctis.storage.database import Connection
from noctis.storage.errors import NotFoundError
from noctis.storage.rollouts import DeviceState, Plan, Rollout

__all__ = ["register"]

LOOK_S: Final = 0.5
ACTIVE: Final = {"running", "paused"}

Name = Annotated[str, typer.Argument(help="A version, or how the image's SHA-256 begins.")]
Number = Annotated[int, typer.Argument(help="The rollout's number.")]


def register(app: typer.Typer) -> None:
    """Add the commands of rollouts to those of firmware."""
    app.command("rollout")(rollout)
    app.command("rollouts")(show)
    app.command("pause")(pause)
    app.command("resume")(resume)
    app.command("abort")(abort)


def rollout(
    name: Name,
    *,
    tenant: Annotated[str, typer.Option(help="To this tenant's devices.")] = "",
    devices: Annotated[
        str, typer.Option(help="To these: home/bed,inn/attic (in this order).")
    ] = "",
    everybody: Annotated[bool, typer.Option("--all", help="To all devices.")] = False,
    percent: Annotated[
        float, typer.Option(min=0, max=100, help="To so many of the tenant's, or of all.")
    ] = 100,
    wave: Annotated[int, typer.Option(min=1, help="Devices at once.")] = 5,
    most_failures: Annotated[
        float, typer.Option(min=0, max=1, help="Stop beyond this share of failures.")
    ] = 0.1,
    patience: Annotated[
        int, typer.Option(min=10, help="Seconds until a silent device has failed.")
    ] = 1800,
    url: Annotated[str, typer.Option(help="The facade's base URL, as devices see it.")] = "",
    wait: Annotated[float, typer.Option(help="Seconds to watch it; 0: begin and leave.")] = 0.0,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Offer a signed image to devices, wave by wave; too many failures stop it.

    With --wait the exit code is 0 only if every device ended on the new version.
    """
    if sum(map(bool, (tenant, devices, everybody))) != 1:
        message = "who is meant is not said, or twice"
        raise ConfigurationError(message, hint="one of --tenant, --devices and --all")
    with opened(var) as connection:
        image = firmware.find(connection, name)
        address = f"{_base(var, url)}/v1/firmware/images/{image.sha256}"
        plan = Plan(address, wave, most_failures, patience)
        meant = (
            [DeviceId.parse(it.strip()) for it in devices.split(",")]
            if devices
            else rollouts.chosen(tenant, connection, percent=percent, salt=image.sha256)
        )
        number = rollouts.begin(connection, image, plan, meant)
        record("", connection, "rollout_begun", str(number), image=image.sha256)
    progress(f"rollout {number} of {image.version} to {len(meant)} devices begins")
    found, states = _watch(var, number, seconds=wait)
    _print_one(found, states, as_json=json)
    if wait and any(it.state != "valid" for it in states):
        raise typer.Exit(1)


def show(
    number: Annotated[int | None, typer.Argument(help="One of them, with its devices.")] = None,
    *,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """List the rollouts, the newest first, or show how far each device of one is."""
    if number is not None:
        _print_one(*_watch(var, number, seconds=0), as_json=json)
        return
    with opened(var) as connection:
        found = rollouts.list_all(connection)
    if json:
        print_json([_plain(it) for it in found])
    else:
        _print_all(found)


def pause(number: Number, *, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """Let no further device begin; those that have begun go on."""
    _change(var, number, "paused", as_json=json)


def resume(number: Number, *, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """Go on with a rollout that was paused."""
    _change(var, number, "running", as_json=json)


def abort(number: Number, *, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """End a rollout; devices that did not install the image yet will not."""
    _change(var, number, "aborted", as_json=json)


def _change(var: Path, number: int, state: str, *, as_json: bool) -> None:
    with opened(var) as connection:
        rollouts.set_state(connection, number, state)
        record("", connection, f"rollout_{state}", str(number))
    _print_one(*_watch(var, number, seconds=0), as_json=as_json)


def _base(var: Path, url: str) -> str:
    """Return where devices fetch images: as told, as set, or where the platform runs."""
    known = settings.load(var=var)
    if url or known.firmware_url:
        return (url or known.firmware_url).rstrip("/")
    try:
        running = encoding.loads(run_file(var).read_text("utf-8"))
    except (OSError, ValueError):
        running = {}
    outside = (running.get("outside") or {}).get("images")
    base = outside or running.get("api") or f"http://{known.api_host}:{known.api_port}"
    return str(base).rstrip("/")


def _watch(var: Path, number: int, *, seconds: float) -> tuple[Rollout, list[DeviceState]]:
    deadline = time.monotonic() + seconds
    before = ""
    while True:
        with opened(var) as connection:
            found, states = _one(connection, number), rollouts.devices_of(connection, number)
        text = ", ".join(f"{count} {state}" for state, count in found.devices.items())
        if seconds and text != before:
            progress(f"{found.state}: {text}")
        before = text
        if found.state not in ACTIVE or time.monotonic() >= deadline:
            return found, states
        time.sleep(LOOK_S)


def _one(connection: Connection, number: int) -> Rollout:
    found = rollouts.list_all(connection, number)
    if not found:
        message = f"there is no rollout {number}"
        raise NotFoundError(message, hint="noctis firmware rollouts shows them")
    return found[0]


def _plain(found: Rollout) -> dict[str, Any]:
    return {
        "number": found.number,
        "id": str(found.id),
        "version": found.version,
        "build": found.build,
        "target": found.target,
        "sha256": found.sha256,
        "state": found.state,
        "reason": found.reason,
        "wave": found.wave,
        "most_failures": found.most_failures,
        "created_at": found.created_at.isoformat(),
        "finished_at": _iso(found.finished_at),
        "devices": found.devices,
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _print_one(found: Rollout, states: Sequence[DeviceState], *, as_json: bool) -> None:
    if as_json:
        each = [
            {
                "device": str(it.device),
                "state": it.state,
                "percent": it.percent,
                "reason": it.reason,
                "running": it.running,
                "reported_at": _iso(it.reported_at),
            }
            for it in states
        ]
        print_json(_plain(found) | {"each": each})
        return
    _print_all([found])
    table = Table("device", "state", "%", "runs", "reason")
    for it in states:
        percent = "" if it.percent is None else str(it.percent)
        table.add_row(str(it.device), it.state, percent, it.running or "", it.reason or "")
    out.print(table)


def _print_all(found: Sequence[Rollout]) -> None:
    table = Table("rollout", "version", "target", "state", "devices", "reason")
    for it in found:
        devices = ", ".join(f"{count} {state}" for state, count in it.devices.items())
        row = (str(it.number), it.version, it.target, it.state, devices, it.reason or "")
        table.add_row(*row)
    out.print(table)
