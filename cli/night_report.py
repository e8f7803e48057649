"""``noctis night report``: a night as a picture or a page, for a file or for paper."""

import sys
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import typer

from cli.completion import DeviceName
from cli.local import DEFAULT_VAR, Var
from cli.night_find import find
from cli.nouns.documents import Document
from cli.nouns.platform import platform
from cli.output import Json, print_json, progress
from cli.profiles import ProfileOption
from cli.sink import STDOUT, sink
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId

__all__ = ["report"]

Format = Literal["html", "svg", "png"]
_DATE: Final = ["%Y-%m-%d"]
_TOLD: Final = ("id", "device", "evening", "state", "revision", "staged_by")


def report(
    device: DeviceName,
    *,
    date: Annotated[
        datetime | None,
        typer.Option(help="The evening it began (default: the last night).", formats=_DATE),
    ] = None,
    key: Annotated[
        UUID | None, typer.Option("--id", help="A recording, as night list --json names it.")
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="Default: what --output ends with, else html."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="The file (default: named after the night); -: standard output."),
    ] = None,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Draw a night with what was measured and its figures, as HTML, SVG or PNG.

    The page needs nothing but itself: it has no script and asks nobody for anything. The file
    appears under its name once it is whole.
    """
    chosen = _format(form, output)
    _check(chosen, output, json=json)
    drawing = _drawing()
    who = DeviceId.parse(device)
    with platform(profile, var) as it:
        night = find(it.nights, who, None if date is None else date.date(), key)
        whole = drawing.whole(it.nights, night)
    content = drawing.night_report(whole, chosen)
    _write(
        content,
        output or Path(f"{who.device}-{night['evening']}.{chosen}"),
        chosen,
        {"night": {name: night[name] for name in _TOLD}},
        json=json,
    )


def _format(form: Format | None, output: Path | None) -> Format:
    """Return the format that is asked for, else that of the file's name, else html."""
    if form is not None:
        return form
    named = "" if output is None else output.suffix.lower()
    for known in ("html", "svg", "png"):
        if named == f".{known}":
            return known
    if named:
        message = f"{named!r} is no format of a report"
        raise ConfigurationError(message, hint="name it with --format html, svg or png")
    return "html"


def _check(form: Format, output: Path | None, *, json: bool) -> None:
    if output == STDOUT and (json or (form == "png" and sys.stdout.isatty())):
        message = "standard output cannot take the report"
        raise ConfigurationError(message, hint="name a file with --output")


def _drawing() -> Any:  # noqa: ANN401 - a module of an extra
    """Return what draws, which not every installation has."""
    try:
        return import_module("cli.report.render")
    except ModuleNotFoundError as error:
        message = f"a report needs {error.name}, which is not installed"
        raise ConfigurationError(message, hint="pip install 'noctis[report]'") from error


def _write(content: bytes, file: Path, form: Format, told: Document, *, json: bool) -> None:
    with sink(file) as stream:
        stream.write(content)
    if json:
        print_json({"output": str(file), "format": form, **told})
    elif file != STDOUT:
        progress(f"{file}, {len(content)} bytes")
