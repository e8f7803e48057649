"""``noctis night``: nights in the terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from datetime import date as date_type
from typing import Annotated, Final
from uuid import UUID

import typer

from cli.completion import DeviceName, device_names
from cli.hypnogram import draw
from cli.local import DEFAULT_VAR, Var
from cli.night_compare import compare
from cli.night_export import export
from cli.night_find import find, read_subject
from cli.night_report import report
from cli.night_trend import trend
from cli.night_view import picture, table
from cli.nouns.documents import Document
from cli.nouns.nights import Nights, Query
from cli.nouns.platform import platform
from cli.output import Json, out, print_json, progress, show
from cli.profiles import ProfileOption
from noctis.epoch import EPOCH_SECONDS
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId
from noctis.stages import LABELS, Stage

__all__ = ["app"]

app: Final = typer.Typer(help="Nights of devices.", no_args_is_help=True)

_DATE: Final = ["%Y-%m-%d"]


@app.command("list")
def list_nights(
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
    limit: Annotated[int, typer.Option(help="So many at most.", min=1, max=1000)] = 30,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """List nights and naps with their figures, the newest first."""
    tenant, device = read_subject(subject)
    query = Query(_day(since), _day(until), limit)
    with platform(profile, var) as it:
        nights = it.nights.list_of(tenant, device, query)
    if json:
        print_json({"device": subject, "nights": nights})
    elif nights:
        show(table(nights))
    else:
        progress(f"{subject} has no night yet")


@app.command("show")
def show_night(
    device: DeviceName,
    *,
    date: Annotated[
        datetime | None,
        typer.Option(help="The evening it began (default: the last night).", formats=_DATE),
    ] = None,
    key: Annotated[
        UUID | None, typer.Option("--id", help="A recording, as night list --json names it.")
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option(help="Rather the stages of so many last hours.", min=0.1, max=720),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="With --hours: up to then, UTC (default: now).")
    ] = None,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Draw a night as a hypnogram with its figures; the last one, or that of a date."""
    who = DeviceId.parse(device)
    with platform(profile, var) as it:
        if hours is not None or until is not None:
            _show_stages(it.nights, who, hours or 24.0, until, json=json)
            return
        night = find(it.nights, who, _day(date), key)
    if json:
        print_json(night)
    else:
        out.print(picture(night, width=min(out.width, 120)))


app.command("compare")(compare)
app.command("trend")(trend)
app.command("report")(report)
app.command("export")(export)


def _day(at: datetime | None) -> date_type | None:
    return None if at is None else at.date()


def _show_stages(
    nights: Nights, who: DeviceId, hours: float, until: datetime | None, *, json: bool
) -> None:
    """Draw the stages of a stretch of hours, whatever nights there are."""
    end = (until or datetime.now(UTC)).astimezone(UTC)
    rows = nights.stages(who, end - timedelta(hours=hours), end)
    if not rows:
        message = f"{who} has no stage in the {hours:g} h before {end:%Y-%m-%d %H:%M} UTC"
        raise ConfigurationError(message, hint="look further back with --hours, or --until")
    if json:
        print_json({"device": str(who), "stages": rows})
        return
    begin, last = (datetime.fromisoformat(rows[place]["t"]) for place in (0, -1))
    title = f"{who}  {begin:%Y-%m-%d %H:%M} to {last:%H:%M} UTC"
    out.print(draw(_on_grid(rows), title=title))


def _on_grid(rows: Sequence[Document]) -> list[Stage | None]:
    """Return one stage an epoch from the first row to the last; None where there is none."""
    times = [datetime.fromisoformat(row["t"]) for row in rows]
    places = [round((at - times[0]).total_seconds() / EPOCH_SECONDS) for at in times]
    night: list[Stage | None] = [None] * (places[-1] + 1)
    for place, row in zip(places, rows, strict=True):
        night[place] = None if row["stage"] is None else Stage(LABELS.index(row["stage"]))
    return night
