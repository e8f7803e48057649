"""``noctis night export``: nights with their figures as a table for other programs."""

import csv
import io
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from cli.completion import device_names
from cli.local import DEFAULT_VAR, Var
from cli.night_find import read_subject
from cli.nouns.documents import Document
from cli.nouns.nights import Query
from cli.nouns.platform import platform
from cli.output import Json, print_json, progress
from cli.profiles import ProfileOption
from cli.sink import STDOUT, sink
from noctis.errors import ConfigurationError

__all__ = ["export"]

MOST: Final = 100_000
_DATE: Final = ["%Y-%m-%d"]
_FIRST: Final = ("device", "evening", "started_at", "ended_at", "time_zone", "state", "kind")


def export(
    subject: Annotated[
        str,
        typer.Argument(help="tenant/device, or a whole tenant", autocompletion=device_names),
    ],
    *,
    since: Annotated[
        datetime | None, typer.Option(help="From this evening on.", formats=_DATE)
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="Before this evening.", formats=_DATE)
    ] = None,
    output: Annotated[Path, typer.Option(help="The file; -: standard output.")] = STDOUT,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Write nights with all their figures as CSV, the newest first.

    Figures are in minutes and percent; what is undefined is empty. The file appears under its
    name once it is whole.
    """
    if json and output == STDOUT:
        message = "standard output cannot take both the table and JSON"
        raise ConfigurationError(message, hint="name a file with --output, or use night list")
    tenant, device = read_subject(subject)
    first, last = (None if at is None else at.date() for at in (since, until))
    with platform(profile, var) as it:
        nights = it.nights.list_of(tenant, device, Query(first, last, MOST))
    with sink(output) as stream:
        stream.write(_table([_row(it) for it in nights]).encode())
    if json:
        print_json({"output": str(output), "nights": len(nights)})
    else:
        progress(f"{len(nights)} nights")


def _row(night: Document) -> Document:
    rest = {key: it for key, it in night.items() if key not in {*_FIRST, "figures", "tags"}}
    figures: Document = night["figures"]
    first = {name: night[name] for name in _FIRST}
    return first | figures | {"tags": " ".join(night["tags"])} | rest


def _table(rows: list[Document]) -> str:
    if not rows:
        return ""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
