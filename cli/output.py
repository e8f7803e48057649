"""What commands print: progress and errors on stderr, results or one JSON value on stdout."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

from noctis.errors import NoctisError

__all__ = [
    "Json",
    "complain",
    "out",
    "print_json",
    "print_rows",
    "progress",
    "rows_table",
    "show",
]

_WIDE: Final = 10_000

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


def rows_table(*columns: str, right: Sequence[str] = ()) -> Table:
    """Return an empty table without a frame; columns named in ``right`` are flush right."""
    made = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return made


def show(shown: RenderableType) -> None:
    """Print within the terminal's width; into a file or a pipe, each row on one line."""
    wide = out if out.is_terminal else Console(highlight=False, width=_WIDE)
    wide.print(shown)


def print_rows(
    rows: Sequence[Mapping[str, Any]],
    *,
    as_json: bool,
    empty: str = "nothing yet",
    right: Sequence[str] = (),
) -> None:
    """Print rows of the same names as a table, or as one JSON value."""
    if as_json:
        print_json(rows)
        return
    if not rows:
        progress(empty)
        return
    table = rows_table(*(name.replace("_", " ") for name in rows[0]), right=right)
    for row in rows:
        table.add_row(*("-" if value is None else str(value) for value in row.values()))
    show(table)


def complain(error: NoctisError) -> None:
    """Print what went wrong and what to do about it, on stderr."""
    _err.print(f"[bold red]error:[/] {escape(error.message)}")
    if error.hint:
        _err.print(f"[bold]try:[/] {escape(error.hint)}")
