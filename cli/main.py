"""``noctis``: the admin's command line, put together."""

import os
import sys
from contextlib import suppress
from typing import Any, Final, NoReturn

import typer

from cli.errors import exit_code, foreseen
from cli.lazy import Deferred, LazyGroup, panel
from cli.output import complain
from noctis.errors import NoctisError
from noctis.telemetry import configure_logging

__all__ = ["COMMANDS", "app", "main"]

COMMANDS: Final = (
    *panel(
        "Run it",
        Deferred("up", "cli.up:up", "Run the platform on this machine, with a virtual device."),
        Deferred("demo", "cli.demo_command:demo", "Replay one night end to end, and check it."),
        Deferred(
            "doctor",
            "cli.doctor.command:doctor",
            "Find what is wrong, and say what to do about it.",
        ),
        Deferred("status", "cli.status:status", "Show the whole platform on one screen."),
        Deferred("login", "cli.login:login", "Log in to a facade elsewhere."),
        Deferred("profile", "cli.login:app", "Choose which platform commands ask."),
    ),
    *panel(
        "Devices",
        Deferred("device", "cli.device:app", "Add, list, configure, order and revoke devices."),
        Deferred("watch", "cli.watch:watch", "Watch a device's stages as they come."),
        Deferred("alert", "cli.alert:app", "List and acknowledge alerts, and set their rules."),
        Deferred("firmware", "cli.firmware:app", "Sign images, and roll them out to devices."),
        Deferred("ca", "cli.ca:app", "Certify the broker and devices, and revoke that."),
    ),
    *panel(
        "Nights",
        Deferred("night", "cli.night:app", "List, draw, compare and export nights."),
        Deferred(
            "labels", "cli.labels:app", "Keep reference stages, to hold predictions against."
        ),
    ),
    *panel(
        "People and apps",
        Deferred("tenant", "cli.admin:tenant", "Add tenants, and set what each may use."),
        Deferred("user", "cli.user:app", "Add users, and give them roles."),
        Deferred("app", "cli.app:app", "Add apps that read stages, and give them roles."),
    ),
    *panel(
        "Models",
        Deferred("model", "cli.model:app", "Train, compare, promote and roll back models."),
        Deferred(
            "replay", "cli.replay:app", "Run stored epochs through another version, unseen."
        ),
        Deferred(
            "experiment", "cli.experiment:app", "Let a version serve beside the champion."
        ),
    ),
    *panel(
        "Data",
        Deferred("export", "cli.export:export", "Write stored epochs to a file."),
        Deferred(
            "epochs", "cli.epochs:app", "Find what is missing of devices, and what is lost."
        ),
        Deferred("letter", "cli.letter:app", "Look into messages that nobody understood."),
        Deferred(
            "erase", "cli.erase:erase", "Erase a device or a tenant, everywhere, for good."
        ),
        Deferred(
            "erasure", "cli.erase:erasure", "Tell how far an erasure is, or list them all."
        ),
        Deferred(
            "storage", "cli.storage:app", "Show the database's sizes, and set its policies."
        ),
    ),
    *panel(
        "Operate",
        Deferred(
            "operation", "cli.operation:app", "Follow, cancel and resume what takes long."
        ),
        Deferred("backup", "cli.backup:backup", "Write the platform into one file."),
        Deferred("restore", "cli.backup:restore", "Make the platform of a backup again."),
        Deferred("migrate", "cli.migrate:migrate", "Bring the database to the newest schema."),
        Deferred("service", "cli.admin:service", "List, set and remove accounts of services."),
        Deferred("key", "cli.key:app", "List and rotate the keys that sign tokens."),
        Deferred("cluster", "cli.cluster:app", "Grow to several replicas, or to RabbitMQ."),
        Deferred("audit", "cli.audit:app", "Show who did what, and prove that it is all."),
        Deferred(
            "faults", "cli.faults:app", "Make parts fail on a rig, and see how they bear it."
        ),
    ),
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
    """Run a command; an error that Noctis can name ends it with a line and an exit code."""
    configure_logging("noctis", level="warning")
    try:
        try:
            app(prog_name="noctis")
        finally:
            sys.stdout.flush()
    except NoctisError as error:
        _end(error)
    except OSError as error:
        known = foreseen(error)
        if known is None:
            raise
        _forget_output()
        _end(known)


def _forget_output() -> None:
    """Let what cannot be written go, else the interpreter tries once more at its end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _end(error: NoctisError) -> NoReturn:
    complain(error)
    sys.exit(exit_code(error))
