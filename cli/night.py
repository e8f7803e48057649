"""``noctis night``: a device's nights in the terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from datetime import date as date_type
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from cli.hypnogram import draw
from cli.local import DEFAULT_VAR, Var, opened
from cli.night_view import as_json, picture, table
from cli.output import Json, out, print_json, progress
from noctis.epoch import EPOCH_SECONDS
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId
from noctis.stages import Stage
from noctis.storage import predictions, recordings
from noctis.storage.engine import Connection
from noctis.storage.recordings import Recording

__all__ = ["app"]

app: Final = typer.Typer(help="Nights of a device.", no_args_is_help=True)


Device = Annotated[str, typer.Argument(help="tenant/device")]
_DATE: Final = ["%Y-%m-%d"]


@app.command("list")
def list_nights(
    device: Device,
    *,
    since: Annotated[
        datetime | None, typer.Option(help="From this evening on.", formats=_DATE)
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="Before this evening.", formats=_DATE)
    ] = None,
    limit: Annotated[int, typer.Option(help="So many at most.", min=1, max=1000)] = 30,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """List a device's nights and naps with their figures, the newest first."""
    who = DeviceId.parse(device)
    with opened(var) as connection:
        nights = recordings.list_of(
            who.tenant,
            connection,
            who.device,
            since=None if since is None else since.date(),
            until=None if until is None else until.date(),
            limit=limit,
        )
    if json:
        print_json({"device": device, "nights": [as_json(it) for it in nights]})
    elif nights:
        out.print(table(nights))
    else:
        progress(f"{device} has no night yet")


@app.command()
def show(
    device: Device,
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
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Draw a night as a hypnogram with its figures; the last one, or that of a date."""
    who = DeviceId.parse(device)
    with opened(var) as connection:
        if hours is not None or until is not None:
            _show_stages(connection, who, hours or 24.0, until, json=json)
            return
        recording = _find(connection, who, None if date is None else date.date(), key)
    if json:
        print_json({"device": device, **as_json(recording, hypnogram=True)})
    else:
        out.print(picture(recording, width=min(out.width, 120)))


def _find(
    connection: Connection, who: DeviceId, evening: date_type | None, key: UUID | None
) -> Recording:
    """Return the recording of a key, else an evening's longest, else the newest."""
    if key is not None:
        return recordings.get(who.tenant, connection, key)
    until = None if evening is None else evening + timedelta(days=1)
    found = recordings.list_of(
        who.tenant, connection, who.device, since=evening, until=until, limit=100
    )
    if not found:
        when = "yet" if evening is None else f"of the evening of {evening}"
        message = f"{who} has no night {when}"
        raise ConfigurationError(message, hint="--hours 24 shows the stages of the last day")
    if evening is None:
        return found[0]
    return max(found, key=lambda it: it.figures.tib_min)


def _show_stages(
    connection: Connection, who: DeviceId, hours: float, until: datetime | None, *, json: bool
) -> None:
    """Draw the stages of a stretch of hours, whatever nights there are."""
    end = (until or datetime.now(UTC)).astimezone(UTC)
    rows = predictions.read(
        who.tenant, connection, who.device, since=end - timedelta(hours=hours), until=end
    )
    if not rows:
        message = f"{who} has no stage in the {hours:g} h before {end:%Y-%m-%d %H:%M} UTC"
        raise ConfigurationError(message, hint="look further back with --hours, or --until")
    if json:
        print_json({"device": str(who), "stages": [_as_json(row) for row in rows]})
        return
    begin, last = rows[0].epoch_start, rows[-1].epoch_start
    title = f"{who}  {begin:%Y-%m-%d %H:%M} to {last:%H:%M} UTC"
    out.print(draw(_on_grid(rows), title=title))


def _on_grid(rows: Sequence[predictions.Staged]) -> list[Stage | None]:
    """Return one stage an epoch from the first row to the last; None where there is none."""
    begin = rows[0].epoch_start
    places = [round((row.epoch_start - begin).total_seconds() / EPOCH_SECONDS) for row in rows]
    night: list[Stage | None] = [None] * (places[-1] + 1)
    for place, row in zip(places, rows, strict=True):
        night[place] = row.stage
    return night


def _as_json(row: predictions.Staged) -> dict[str, Any]:
    return {
        "t": row.epoch_start.isoformat(),
        "stage": None if row.stage is None else row.stage.label,
        "model": row.model,
    }
