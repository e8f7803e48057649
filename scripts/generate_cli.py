"""Write the list of all commands into ``docs/cli.md``.

The list is made of the commands themselves: their panels, their lines of help and their
examples. Run it from the repository's root; ``--check`` only compares and fails on a
difference.
"""

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from typer._click import Command
from typer.core import TyperGroup

from cli.errors import EXIT_CODES
from cli.examples import examples_of
from cli.main import COMMANDS

PAGE: Final = Path("docs/cli.md")
BEGIN: Final = "<!-- commands: made by scripts/generate_cli.py, do not edit -->\n"
END: Final = "<!-- commands: end -->\n"


def commands() -> Iterator[tuple[str, str, Command]]:
    """Yield panel, path and command of each that does something."""
    for deferred in COMMANDS:
        for path, command in _below(str(deferred.name), deferred.load()):
            yield str(deferred.rich_help_panel), path, command


def _below(path: str, command: Command) -> Iterator[tuple[str, Command]]:
    if isinstance(command, TyperGroup) and command.commands:
        for name, each in command.commands.items():
            yield from _below(f"{path} {name}", each)
    else:
        yield path, command


def rendered() -> str:
    """Return what stands between the marks."""
    parts = []
    for panel, entries in groupby(commands(), key=lambda it: it[0]):
        lines = [f"### {panel}\n\n| command | what it does | example |\n|---|---|---|\n"]
        for _, path, command in entries:
            first = " ".join((command.help or "").split("\n\n")[0].split())
            example = examples_of(path)[0].replace("|", "\\|")
            lines.append(f"| `{path}` | {first} | `{example}` |\n")
        parts.append("".join(lines))
    codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES.items())
    parts.append(f"### Exit codes\n\n| code | meaning |\n|---|---|\n{codes}")
    return "\n".join(parts)


def page(known: str) -> str:
    """Return the page with the list of now."""
    before, _, rest = known.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{rendered()}\n{END}{after}"


def main() -> None:
    """Write the page, or with ``--check`` fail where it is not what it would be."""
    known = PAGE.read_text("utf-8")
    made = page(known)
    if made == known:
        return
    if "--check" in sys.argv[1:]:
        sys.exit(f"{PAGE} is not of these commands: run python -m scripts.generate_cli")
    PAGE.write_text(made, "utf-8")


if __name__ == "__main__":
    main()
