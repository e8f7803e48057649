"""``noctis``: the admin's command line, put together."""

import sys
from typing import Final

import typer

from cli import (
    admin,
    backup,
    cluster,
    demo_command,
    erase,
    experiment,
    export,
    labels,
    model,
    model_drift,
    night,
    replay,
    resend,
    retention,
    storage,
    up,
)
from cli.output import complain
from noctis.errors import NoctisError
from noctis.telemetry import configure_logging

__all__ = ["app", "main"]

app: Final = typer.Typer(
    name="noctis",
    help="A sleep platform: from a bedside radar to a stage in the sleeper's app.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("up")(up.up)
app.command("demo")(demo_command.demo)
app.command("migrate")(admin.migrate)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("erase")(erase.erase)
app.command("erasure")(erase.erasure)
app.command("export")(export.export)
admin.tenant.command("retention")(retention.retention)
admin.device.command("resend")(resend.resend)
app.add_typer(admin.tenant, name="tenant")
app.add_typer(admin.device, name="device")
app.add_typer(admin.app, name="app")
app.add_typer(admin.service, name="service")
app.add_typer(cluster.app, name="cluster")
app.add_typer(night.app, name="night")
model.app.command("drift")(model_drift.drift)
app.add_typer(model.app, name="model")
app.add_typer(replay.app, name="replay")
app.add_typer(experiment.app, name="experiment")
app.add_typer(labels.app, name="labels")
app.add_typer(storage.app, name="storage")


def main() -> None:
    """Run a command; an error that Noctis can name ends it with a line and exit code 1."""
    configure_logging("noctis", level="warning")
    try:
        app()
    except NoctisError as error:
        complain(error)
        sys.exit(1)
