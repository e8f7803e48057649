"""``noctis``: the admin's command line, put together."""

import sys
from typing import Any, Final

import typer

from cli.lazy import Deferred, LazyGroup
from cli.output import complain
from noctis.errors import NoctisError
from noctis.telemetry import configure_logging

__all__ = ["COMMANDS", "app", "main"]

COMMANDS: Final = (
    Deferred("up", "cli.up:up", "Run the platform on this machine, with a virtual device."),
    Deferred("demo", "cli.demo_command:demo", "Replay one night end to end, and check it."),
    Deferred("migrate", "cli.migrate:migrate", "Bring the database to the newest schema."),
    Deferred("backup", "cli.backup:backup", "Write the platform into one file."),
    Deferred("restore", "cli.backup:restore", "Make the platform of a backup again."),
    Deferred("erase", "cli.erase:erase", "Erase a device or a tenant, everywhere, for good."),
    Deferred("erasure", "cli.erase:erasure", "Tell how far an erasure is, or list them all."),
    Deferred("export", "cli.export:export", "Write the stored epochs of a tenant or a device."),
    Deferred("tenant", "cli.admin:tenant", "Tenants: who owns devices and nights."),
    Deferred("device", "cli.admin:device", "Devices of a tenant."),
    Deferred("app", "cli.admin:app", "Apps that read a tenant's stages."),
    Deferred("user", "cli.user:app", "Users of a tenant, and their roles."),
    Deferred("key", "cli.key:app", "The keys that sign the facade's tokens."),
    Deferred("service", "cli.admin:service", "Accounts of the platform's services."),
    Deferred("cluster", "cli.cluster:app", "Several ingestors and workers; RabbitMQ."),
    Deferred("night", "cli.night:app", "Nights of a device."),
    Deferred("model", "cli.model:app", "Models: train, promote, roll back."),
    Deferred("replay", "cli.replay:app", "Stored epochs through another version, unseen."),
    Deferred("experiment", "cli.experiment:app", "A version beside the champion."),
    Deferred("labels", "cli.labels:app", "Reference stages, to hold predictions against."),
    Deferred("storage", "cli.storage:app", "The database: sizes, chunks, policies, jobs."),
)
"""What ``noctis`` can do: each is imported when it is run."""


class Noctis(LazyGroup):
    """The command ``noctis``."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - typer's own
        super().__init__(**attributes)
        for command in COMMANDS:
            self.add_command(command)


app: Final = typer.Typer(
    name="noctis",
    cls=Noctis,
    help="A sleep platform: from a bedside radar to a stage in the sleeper's app.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _noctis() -> None:
    """Make a group of it even before a command is imported."""


def main() -> None:
    """Run a command; an error that Noctis can name ends it with a line and exit code 1."""
    configure_logging("noctis", level="warning")
    try:
        app()
    except NoctisError as error:
        complain(error)
        sys.exit(1)
