"""``noctis device config``: what a device is to be set to, beside what it is."""

import time
from typing import Annotated, Final

import typer

from cli.completion import DeviceName
from cli.local import DEFAULT_VAR, Var
from cli.nouns.documents import Document
from cli.nouns.platform import Platform, platform
from cli.output import Json, out, print_json, progress
from cli.profiles import ProfileOption
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId

__all__ = ["config"]

LOOK_S: Final = 0.5
WORDS: Final = {"true": True, "false": False}

Settings = Annotated[
    list[str] | None,
    typer.Argument(
        help="NAME=VALUE to set, NAME= to leave to the device; none: show", metavar="SETTING..."
    ),
]


def config(
    name: DeviceName,
    settings: Settings = None,
    *,
    wait: Annotated[
        float, typer.Option(help="Seconds to wait until the device follows it.")
    ] = 0.0,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Show what a device is to be set to and what it is set to, or change single names of it.

    With --wait the exit code is 0 only if the device follows all of it.
    """
    who = DeviceId.parse(name)
    changes = dict(_change(it) for it in settings or ())
    with platform(profile, var) as it:
        if changes:
            it.devices.configure(who, changes)
        shown = _await(it, who, wait)
    if json:
        print_json(shown)
    else:
        _show(name, shown)
    if wait and not shown["in_force"]:
        raise typer.Exit(1)


def _change(text: str) -> tuple[str, bool | int | str | None]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        message = f"{text!r} is no setting"
        raise ConfigurationError(message, hint="write report_s=60, or report_s= to unset it")
    if not value:
        return name, None
    if value in WORDS:
        return name, WORDS[value]
    return name, int(value) if value.isdecimal() else value


def _await(it: Platform, who: DeviceId, seconds: float) -> Document:
    deadline = time.monotonic() + seconds
    while True:
        shown = it.devices.config(who)
        if shown["in_force"] or shown["refused"] or time.monotonic() >= deadline:
            return shown
        time.sleep(LOOK_S)


def _show(name: str, shown: Document) -> None:
    state = "in force" if shown["in_force"] else "not in force"
    out.print(f"{name}: version {shown['version']}, {state}", markup=False)
    settings = shown["settings"] or {}
    for key in sorted({*shown["desired"], *settings}):
        wanted = shown["desired"].get(key, "left to the device")
        why = shown["refused"].get(key)
        is_set = f"refused: {why}" if why else settings.get(key, "not told")
        out.print(f"  {key}: {wanted}; is {is_set}", markup=False)
    if shown["reported_version"] is None:
        progress("the device has not reported yet")
