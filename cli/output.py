"""What commands print: progress and errors on stderr, results or one JSON value on stdout."""

import json
import sys
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from noctis.errors import NoctisError

__all__ = ["Json", "complain", "out", "print_json", "progress"]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value and nothing else.")]
"""The option ``--json``."""

out: Final = Console(highlight=False)
_err: Final = Console(stderr=True, highlight=False)


def progress(text: str) -> None:
    """Tell, on stderr, what is going on."""
    _err.print(text, style="dim")


def print_json(value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Print exactly one JSON value on stdout."""
    sys.stdout.write(json.dumps(value) + "\n")


def complain(error: NoctisError) -> None:
    """Print what went wrong and what to do about it, on stderr."""
    _err.print(f"[bold red]error:[/] {error.message}", markup=True)
    if error.hint:
        _err.print(f"[bold]try:[/] {error.hint}")
