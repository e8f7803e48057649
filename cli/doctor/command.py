"""``noctis doctor``: the usual faults, looked for side by side, each with its cure."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Final

import typer
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from cli.doctor.examination import TOPICS, examine
from cli.doctor.findings import Finding, State
from cli.doctor.site import Site
from cli.local import DEFAULT_VAR, Var
from cli.output import Json, out, print_json

__all__ = ["doctor"]

MARKS: Final = {
    State.OK: "[green]✓[/]",
    State.WARNING: "[yellow]![/]",
    State.FAULT: "[bold red]✗[/]",
}


def doctor(
    topics: Annotated[
        list[str] | None,
        typer.Argument(help=f"Look at these alone: {', '.join(TOPICS)}.", metavar="TOPIC..."),
    ] = None,
    *,
    verbose: Annotated[
        bool, typer.Option("--all", "-a", help="Show what is well too, line by line.")
    ] = False,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Find what is wrong with the platform, and say what to do about it.

    It changes nothing, needs no internet, and works with what is there: a platform that
    runs, one that is down, a database alone. The first finding is the cause to mend first.
    Exit code 0: there is no fault. docs/runbook.md tells of each fault.
    """
    found = examine(Site(var), topics or ())
    is_well = all(it.state is not State.FAULT for it in found)
    if json:
        print_json({"ok": is_well, "findings": [it.as_json() for it in found]})
    else:
        _show(found, topics or list(TOPICS), verbose=verbose)
    if not is_well:
        raise typer.Exit(1)


def _show(found: Sequence[Finding], topics: Sequence[str], *, verbose: bool) -> None:
    out.print(_tree(found, [it for it in TOPICS if it in topics], verbose=verbose))
    bad = [it for it in found if it.state is not State.OK]
    for it in bad:
        out.print(_told(it))
    faults = sum(it.state is State.FAULT for it in found)
    warnings = len(bad) - faults
    verdict = "[bold red]not well[/]" if faults else "[bold green]well[/]"
    looked = f"{len(found)} findings"
    out.print(f"\n{verdict}: {faults} faults, {warnings} warnings among {looked}")


def _tree(found: Sequence[Finding], topics: Sequence[str], *, verbose: bool) -> Tree:
    """Return a line for each topic, and below it, where asked for, all that was seen."""
    tree = Tree("[bold]noctis doctor[/]", guide_style="dim")
    for topic in topics:
        mine = [it for it in found if it.topic == topic]
        if not mine:
            tree.add(f"[dim]- {topic}: nothing to look at[/]")
            continue
        states = Counter(it.state for it in mine)
        worst = next(it for it in (State.FAULT, State.WARNING, State.OK) if states[it])
        branch = tree.add(f"{MARKS[worst]} {topic}{_summary(mine, states)}")
        if verbose:
            for it in mine:
                branch.add(f"{MARKS[it.state]} {escape(it.seen)}")
    return tree


def _summary(mine: Sequence[Finding], states: Counter[State]) -> str:
    if states[State.OK] == len(mine):
        return f" [dim]{escape(mine[0].seen)}[/]" if len(mine) == 1 else f" [dim]{len(mine)}[/]"
    told = [f"{states[it]} {it.value}" for it in (State.FAULT, State.WARNING) if states[it]]
    return f" [bold]{', '.join(told)}[/]"


def _told(it: Finding) -> Group:
    """Return a finding as a heading and three lines below it."""
    of = f" [dim]{escape(it.of)}[/]" if it.of else ""
    heading = Text.from_markup(f"\n{MARKS[it.state]} [bold]{it.id}[/]{of}")
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="dim", justify="right", min_width=9)
    lines.add_column()
    follows = (("follows", it.follows),) if it.follows else ()
    for label, text in (("seen", it.seen), *follows, ("means", it.means), ("cure", it.cure)):
        lines.add_row(label, Text(text, style="bold" if label == "cure" else ""))
    return Group(heading, lines)
