"""``noctis faults``: how running processes are, and faults that are made to happen in them."""

import re
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import typer
from rich.table import Table

from cli.local import DEFAULT_VAR, Var, opened, operator
from cli.output import Json, out, print_json
from noctis.audit import Author
from noctis.errors import ConfigurationError
from noctis.faults import POINTS
from noctis.storage import steering
from noctis.storage.steering import Given, Seen

__all__ = ["app"]

app: Final = typer.Typer(
    help="Faults on a rig: running processes, orders.", no_args_is_help=True
)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600}

Id = Annotated[str, typer.Argument(help="Of an order; without one: all of them.")]


@app.command("show")
def show(*, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """Show every running process, its breakers and faults, and the orders that are open."""
    with opened(var) as connection:
        processes = steering.list_processes(connection)
        orders = steering.list_orders(connection)
    if json:
        told = {
            "processes": [_process(it) for it in processes],
            "orders": [_order(it) for it in orders],
        }
        print_json(told)
        return
    table = Table("process", "heard of", "clock", "breakers", "faults", "allowed")
    for it in processes:
        table.add_row(*_row(it))
    out.print(table)
    for given in orders:
        out.print(_line(given), markup=False)


@app.command("points")
def points(*, json: Json = False) -> None:
    """List the points where a fault can be made to happen."""
    if json:
        print_json(dict(POINTS))
        return
    table = Table("point", "where")
    for name, where in POINTS.items():
        table.add_row(name, where)
    out.print(table)


@app.command("order")
def order(
    rules: Annotated[str, typer.Argument(help="Such as database.commit=error@0.1")],
    *,
    service: Annotated[list[str], typer.Option(help="Whose processes; again for more.")],
    lasting: Annotated[str, typer.Option("--for", help="Until they end: 30s, 10m, 1h.")],
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Make something fail in all running processes of a service; it ends by itself.

    Each of them must run with NOCTIS_FAULTS=allowed. They begin within two seconds.
    """
    seconds = _seconds(lasting)
    author = Author(operator())
    with opened(var) as connection:
        given = steering.order(connection, rules, service, seconds, author=author)
    if json:
        print_json(_order(given))
    else:
        out.print(_line(given), markup=False)


@app.command("withdraw")
def withdraw(number: Id = "", *, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """Let an order end now, or all orders."""
    with opened(var) as connection:
        gone = steering.withdraw(connection, _id(number), author=Author(operator()))
    if json:
        print_json([_order(it) for it in gone])
    else:
        out.print(f"{len(gone)} orders withdrawn")


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d{1,4})([smh])", text.strip())
    if found is None:
        message = f"{text!r} is no time"
        raise ConfigurationError(message, hint="write it as 30s, 10m or 1h")
    return float(found[1]) * _UNITS[found[2]]


def _id(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError as error:
        message = f"{text!r} is no order's id"
        raise ConfigurationError(message, hint="noctis faults show lists them") from error


def _process(it: Seen) -> dict[str, Any]:
    told = asdict(it) | {"id": str(it.id), "is_here": it.is_here}
    return told | {name: told[name].isoformat() for name in ("started_at", "seen_at")}


def _order(it: Given) -> dict[str, Any]:
    return {
        "id": str(it.id),
        "rules": it.rules,
        "services": it.services,
        "processes": [str(each) for each in it.processes],
        "ordered_by": it.ordered_by,
        "ordered_at": it.ordered_at.isoformat(),
        "until": it.until.isoformat(),
    }


def _row(it: Seen) -> tuple[str, ...]:
    breakers = (
        f"{each['name']} {each['state']} since "
        f"{datetime.fromtimestamp(each['since'], UTC):%H:%M:%S}"
        for each in it.breakers
    )
    faults = (f"{each['rule']} ({each['happened']} times)" for each in it.faults)
    heard = f"{it.silent_s:.0f} s ago" if it.is_here else f"silent for {it.silent_s:.0f} s"
    return (
        f"{it.service} {it.host}/{it.pid}",
        heard,
        f"{it.clock_skew_s:+.1f} s",
        "\n".join(breakers),
        "\n".join(filter(None, (*faults, it.refusal))),
        "yes" if it.allows_faults else "no",
    )


def _line(it: Given) -> str:
    until = f"{it.until.astimezone(UTC):%H:%M:%S}"
    return f"{it.id}  {it.rules} in {', '.join(it.services)} until {until} UTC"
