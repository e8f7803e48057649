"""Commands that are imported when they are run: ``noctis --help`` answers at once."""

from importlib import import_module
from typing import TYPE_CHECKING

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group
from typing_extensions import override

if TYPE_CHECKING:
    from typer._click import Command, Context

__all__ = ["Deferred", "LazyGroup"]


class Deferred(TyperCommand):
    """A command's name and its line of help, and where the command itself is.

    ``place`` is ``module:name``, of a function or of a ``typer.Typer`` with commands.
    """

    def __init__(self, name: str, place: str, line: str) -> None:
        super().__init__(name, help=line)
        self.place = place

    def load(self) -> "Command":
        """Import the command."""
        module, _, name = self.place.partition(":")
        found = getattr(import_module(module), name)
        if isinstance(found, typer.Typer):
            return get_group(found)
        alone = typer.Typer(add_completion=False)
        alone.command(self.name)(found)
        return get_command(alone)


class LazyGroup(TyperGroup):
    """A group whose deferred commands are imported where one is asked for by its name."""

    @override
    def resolve_command(
        self, ctx: "Context", args: list[str]
    ) -> "tuple[str | None, Command | None, list[str]]":
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, Deferred) else command, rest
