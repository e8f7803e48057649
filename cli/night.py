"""``noctis night``: a device's night in the terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import typer

from cli.hypnogram import draw
from cli.local import DEFAULT_VAR, Var, opened
from cli.output import Json, out, print_json
from noctis.epoch import EPOCH_SECONDS
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId
from noctis.stages import Stage
from noctis.storage import predictions

__all__ = ["app"]

app: Final = typer.Typer(help="Nights of a device.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep ``show`` a command of its own while it is the only one."""


@app.command()
def show(
    device: Annotated[str, typer.Argument(help="tenant/device")],
    *,
    hours: Annotated[
        float, typer.Option(help="How far to look back.", min=0.1, max=720)
    ] = 24.0,
    until: Annotated[
        datetime | None, typer.Option(help="End of the stretch, UTC (default: now).")
    ] = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Draw the stages of a device's last hours as a hypnogram."""
    who = DeviceId.parse(device)
    end = (until or datetime.now(UTC)).astimezone(UTC)
    with opened(var) as connection:
        rows = predictions.read(
            who.tenant, connection, who.device, since=end - timedelta(hours=hours), until=end
        )
    if not rows:
        message = f"{device} has no stage in the {hours:g} h before {end:%Y-%m-%d %H:%M} UTC"
        raise ConfigurationError(message, hint="look further back with --hours, or --until")
    if json:
        print_json({"device": device, "stages": [_as_json(row) for row in rows]})
        return
    begin, last = rows[0].epoch_start, rows[-1].epoch_start
    title = f"{device}  {begin:%Y-%m-%d %H:%M} to {last:%H:%M} UTC"
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
