"""Questions before something goes for good: the name is typed again, or --yes is said."""

import sys
from typing import Annotated

import typer

from cli.output import progress
from noctis.errors import ConfigurationError

__all__ = ["Yes", "confirm"]

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
"""The option ``--yes``."""


def confirm(name: str, what: str, *, yes: bool) -> None:
    """Let a name be typed again, so that a finger's slip destroys nothing.

    ``what`` says what will be. Raise ConfigurationError for another name, and where nobody can
    be asked.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        message = f"nobody can be asked whether {name!r} is meant"
        raise ConfigurationError(message, hint="add --yes where it is")
    progress(what)
    if typer.prompt("Type the name again to go on", err=True) != name:
        message = "that is another name; nothing was done"
        raise ConfigurationError(message)
