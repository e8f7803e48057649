"""``noctis night report``: a night as a picture or a page, for a file or for paper."""

import sys
from contextlib import suppress
from datetime import UTC, datetime
from datetime import date as day_type
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
_YEARS: Final = range(2000, 3000)
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
    week: Annotated[
        str | None,
        typer.Option(help="Rather a week: 2026-W10, or a date in it; Monday to Sunday."),
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
    """Draw a night with what was measured and its figures, as HTML, SVG or PNG; or a week.

    The page needs nothing but itself: it has no script and asks nobody for anything. The file
    appears under its name once it is whole.
    """
    chosen = _format(form, output)
    _check(chosen, output, json=json)
    day = None if week is None else _day_of(week, alone=date is None and key is None)
    drawing = _drawing()
    who = DeviceId.parse(device)
    with platform(profile, var) as it:
        if day is not None:
            seen = drawing.week(it.nights, who, day, datetime.now(UTC))
            content, told = drawing.week_report(seen, chosen), {"week": _week(seen)}
            name = f"{who.device}-{seen.monday:%G-W%V}"
        else:
            night = find(it.nights, who, None if date is None else date.date(), key)
            content = drawing.night_report(drawing.whole(it.nights, night), chosen)
            told = {"night": {name: night[name] for name in _TOLD}}
            name = f"{who.device}-{night['evening']}"
    _write(content, output or Path(f"{name}.{chosen}"), chosen, told, json=json)


def _week(seen: Any) -> Document:  # noqa: ANN401 - of a module of an extra
    counts = {it: seen.told[it] for it in ("evenings", "nights", "missing", "regularity")}
    return {"device": seen.device, "monday": str(seen.monday), **counts}


def _day_of(week: str, *, alone: bool) -> day_type:
    """Return a day of a week such as ``2026-W10``, or the date that is given."""
    if not alone:
        message = "a report is of a week or of a night"
        raise ConfigurationError(message, hint="leave out --week, or --date and --id")
    with suppress(ValueError):
        day = day_type.fromisoformat(week)
        if day.year in _YEARS:
            return day
    message = f"{week!r} is no week"
    raise ConfigurationError(message, hint="name it as 2026-W10, or by a date")


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
