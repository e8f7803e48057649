"""``noctis cluster``: replicas of services, and RabbitMQ as the devices' broker."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from broker.rabbitmq import definitions
from cli.output import Json, out, print_json
from cli.parts import is_replica
from noctis import settings
from noctis.errors import ConfigurationError
from noctis.mqtt import drop_session
from noctis.replica import device_link

__all__ = ["app"]

app: Final = typer.Typer(
    help="Several ingestors and workers; RabbitMQ for devices.", no_args_is_help=True
)


@app.command("drop-session")
def drop(
    name: Annotated[str, typer.Argument(help="Its account, as svc-ingestor-0.")],
    *,
    json: Json = False,
) -> None:
    """Delete what the broker keeps for a replica that is gone for good.

    It must not run any more. Its password is $NOCTIS_SERVICE_PASSWORD; the broker is the one
    that NOCTIS_BROKER_HOST and the other settings name.
    """
    if not is_replica(name):
        message = f"{name!r} is no replica of an ingestor or worker"
        raise ConfigurationError(message, hint="write it as svc-ingestor-0")
    link = device_link(settings.load(), "")
    password = os.environ.get("NOCTIS_SERVICE_PASSWORD", "")
    asyncio.run(drop_session(replace(link, username=name, password=password)))
    if json:
        print_json({"dropped": name})
    else:
        out.print(f"the broker keeps nothing more for {name}")


@app.command("rabbitmq-definitions")
def rabbitmq_definitions(
    passwords: Annotated[
        Path, typer.Argument(help="Lines such as svc-ingestor-0:password.", exists=True)
    ],
) -> None:
    """Print RabbitMQ's definitions of the services' accounts, as JSON for load_definitions."""
    known: dict[str, str] = {}
    for number, line in enumerate(passwords.read_text("utf-8").splitlines(), 1):
        name, colon, password = line.strip().partition(":")
        if not colon or not password:
            message = f"{passwords}, line {number} is not svc-<kind>-<n>:password"
            raise ConfigurationError(message)
        known[name] = password
    print_json(definitions(known))
