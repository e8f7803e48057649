"""``noctis night``: a device's night in the terminal."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from cli.local import DEFAULT_VAR, Var, opened
from cli.output import Json
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId
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
