"""``noctis device reboot``, ``identify`` and ``logs``: a device that is somewhere else."""

import time
from datetime import datetime
from typing import Annotated, Final

import typer

from cli.completion import DeviceName
from cli.local import DEFAULT_VAR, Var
from cli.nouns.documents import Document
from cli.nouns.platform import Platform, platform
from cli.output import Json, out, print_json, progress
from cli.profiles import ProfileOption
from noctis.identity import DeviceId
from noctis.storage.commands import Nudge
from noctis.storage.logs import MOST

__all__ = ["identify", "reboot", "show_logs"]

LOOK_S: Final = 0.5
FOLLOW_S: Final = 1.0

Wait = Annotated[
    float, typer.Option(help="Seconds to wait for the device; 0: order it and leave.")
]


def reboot(
    name: DeviceName,
    *,
    wait: Wait = 60.0,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Have a device restart, once; it answers after its boot.

    Exit code 0: it did. A device that is away for a quarter of an hour is not restarted.
    """
    with platform(profile, var) as it:
        _order(it, name, "reboot", None, wait, as_json=json)


def identify(
    name: DeviceName,
    *,
    seconds: Annotated[int, typer.Option(min=0, max=600, help="How long; 0: no longer.")] = 30,
    wait: Wait = 60.0,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Have a device blink, to see which one it is. Exit code 0: it does."""
    with platform(profile, var) as it:
        _order(it, name, "identify", seconds, wait, as_json=json)


def show_logs(
    name: DeviceName,
    *,
    lines: Annotated[int, typer.Option(min=1, max=1000, help="The last ones.")] = 50,
    level: Annotated[
        str, typer.Option(help="The least grave ones: error, warning, info or debug.")
    ] = "debug",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")
    ] = False,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Show what a device said lately; with --follow each line as it comes."""
    who = DeviceId.parse(name)
    with platform(profile, var) as it:
        shown = it.devices.logs(who, level, lines)
        if json:
            print_json(shown[::-1])
            return
        if not shown:
            progress(f"{name} has said nothing yet")
        for line in shown[::-1]:
            _show(line)
        if follow:
            _follow(it, who, level, {_key(line) for line in shown})


def _follow(it: Platform, who: DeviceId, level: str, told: set[tuple[str, int, int]]) -> None:
    """Show what comes, for ever."""
    while True:
        time.sleep(FOLLOW_S)
        newest = it.devices.logs(who, level, MOST)
        for line in newest[::-1]:
            if _key(line) not in told:
                _show(line)
        told = {_key(line) for line in newest}


def _key(line: Document) -> tuple[str, int, int]:
    return line["at"], line["boot"], line["number"]


def _order(
    it: Platform, name: str, what: Nudge, seconds: int | None, wait: float, *, as_json: bool
) -> None:
    who = DeviceId.parse(name)
    made = it.devices.order(who, what, seconds)
    progress(f"{what} ordered from {name}")
    told = _await(it, who, made, wait)
    if as_json:
        print_json({key: told[key] for key in ("id", "state", "detail")})
    else:
        why = (told["detail"] or {}).get("reason")
        out.print(f"{name} {what}: {told['state']}{f', {why}' if why else ''}", markup=False)
    if wait and told["state"] != "done":
        raise typer.Exit(1)


def _await(it: Platform, who: DeviceId, made: Document, seconds: float) -> Document:
    deadline = time.monotonic() + seconds
    told = made
    while told["state"] == "pending" and time.monotonic() < deadline:
        time.sleep(LOOK_S)
        told = it.devices.command(who, made["id"])
    return told


def _show(line: Document) -> None:
    times = f" ({line['times']} times)" if line["times"] > 1 else ""
    at = datetime.fromisoformat(line["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    out.print(f"{at} {line['level']:<7} {line['text']}{times}", markup=False, soft_wrap=True)
