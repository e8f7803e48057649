"""Commands that are imported when they are run: ``noctis --help`` answers at once."""

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group
from typing_extensions import override

from cli.examples import examples_of
from cli.profiles import check_local

if TYPE_CHECKING:
    from typer._click import Command, Context

__all__ = ["Deferred", "LazyGroup", "panel"]

ANYWHERE: Final = ("up", "demo", "login", "profile")
"""Commands that make a platform of their own, or say which one is asked."""


class Deferred(TyperCommand):
    """A command's name and its line of help, and where the command itself is.

    ``place`` is ``module:name``, of a function or of a ``typer.Typer`` with commands.
    """

    def __init__(self, name: str, place: str, line: str) -> None:
        super().__init__(name, help=line)
        self.place = place

    def load(self) -> "Command":
        """Import the command; its help ends with its examples.

        Where a facade is in use, one that cannot ask it refuses.
        """
        module, _, name = self.place.partition(":")
        found = getattr(import_module(module), name)
        if isinstance(found, typer.Typer):
            made: Command = get_group(found)
        else:
            alone = typer.Typer(add_completion=False)
            alone.command(self.name)(found)
            made = get_command(alone)
        _finish(made, self.name or "")
        return made


def panel(title: str, *commands: Deferred) -> tuple[Deferred, ...]:
    """Return the commands, to stand below ``title`` in the list of all."""
    for command in commands:
        command.rich_help_panel = title
    return commands


class LazyGroup(TyperGroup):
    """A group whose deferred commands are imported where one is asked for by its name."""

    @override
    def resolve_command(
        self, ctx: "Context", args: list[str]
    ) -> "tuple[str | None, Command | None, list[str]]":
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, Deferred) else command, rest


def _finish(command: "Command", path: str) -> None:
    """Let the help of a command, and of each below it, end with its examples, and guard it."""
    if isinstance(command, TyperGroup) and command.commands:
        for name, each in command.commands.items():
            _finish(each, f"{path} {name}")
        return
    lines = [f"  {line}" for line in examples_of(path)]
    command.epilog = "\n\n".join(["Examples:", *lines]) if lines else None
    asks = any(it.name == "profile" for it in command.params)
    if not asks and path.split(maxsplit=1)[0] not in ANYWHERE and command.callback is not None:
        command.callback = _guarded(command.callback)


def _guarded(callback: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(callback)
    def run(**given: Any) -> Any:  # noqa: ANN401 - whatever the command takes
        check_local()
        return callback(**given)

    return run
