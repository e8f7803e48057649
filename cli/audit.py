"""``noctis audit``: who did what, whether the chain is whole, and how often what was done."""

import csv
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from cli.local import DEFAULT_VAR, Var, opened
from cli.output import Json, out, print_json
from noctis.audit_chain import START, Verifier
from noctis.errors import ConfigurationError
from noctis.storage import audit_proof, audit_reading
from noctis.storage.audit_reading import Entry, Filter, Period

__all__ = ["app"]

app: Final = typer.Typer(help="Who did what: entries, reports, proof.", no_args_is_help=True)

SECONDS: Final = 600.0
_HASH_BYTES: Final = 32

Tenant = Annotated[str, typer.Option(help="Of this tenant alone.")]
Actor = Annotated[str, typer.Option(help="Done by this user, app or operator.")]
Action = Annotated[str, typer.Option(help="This action alone, such as user_added.")]
Since = Annotated[datetime | None, typer.Option(help="Not before, UTC.")]
Until = Annotated[datetime | None, typer.Option(help="Before, UTC.")]


@app.command("list")
def list_entries(
    *,
    tenant: Tenant = "",
    actor: Actor = "",
    action: Action = "",
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Most entries.")] = 50,
    before: Annotated[int | None, typer.Option(help="Below this number.")] = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """List entries, the newest first."""
    wanted = Filter(tenant, actor, action, _utc(since), _utc(until))
    with opened(var) as connection:
        found = audit_reading.page(connection, wanted, before=before, limit=limit)
    if json:
        print_json([_plain(it) for it in found])
        return
    table = Table("number", "at", "tenant", "action", "by", "to", "facts", "outcome")
    for it in found:
        table.add_row(*_row(it))
    out.print(table)


@app.command("verify")
def verify(
    *,
    head: Annotated[
        str, typer.Option(help="A head of the chain that was kept elsewhere: 64 digits.")
    ] = "",
    anchor: Annotated[
        Path | None,
        typer.Option(help="A file that keeps the head from one verification to the next."),
    ] = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Verify that no entry was changed, removed, moved or put in between.

    Keep what it tells as the head where nobody reaches who could change the database: with it
    a later verification also finds a chain that was cut off at its end, or made anew. The exit
    code is 0 only where all is well.
    """
    kept = head or (_kept(anchor) if anchor is not None else "")
    with opened(var, seconds=SECONDS) as connection:
        found = audit_proof.verify(connection, _hash(kept) if kept else None)
    if anchor is not None and not found.findings:
        anchor.write_text(f"{found.head.hex()}\n", "utf-8")
    if json:
        print_json(_verdict(found, anchored=bool(kept)))
    else:
        _print_verdict(found, anchored=bool(kept))
    if found.findings:
        raise typer.Exit(1)


@app.command("report")
def report(
    *,
    period: Annotated[Period, typer.Option(help="day, week or month (UTC).")] = "month",
    tenant: Tenant = "",
    actor: Actor = "",
    action: Action = "",
    since: Since = None,
    until: Until = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print it as CSV.")] = False,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Count what was done in each period."""
    wanted = Filter(tenant, actor, action, _utc(since), _utc(until))
    with opened(var) as connection:
        found = audit_reading.counts(connection, wanted, period)
    rows = [asdict(it) | {"since": it.since.date().isoformat()} for it in found]
    if json:
        print_json(rows)
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, ("since", "action", "outcome", "entries"))
        writer.writeheader()
        writer.writerows(rows)
    else:
        table = Table(period, "action", "outcome", "entries")
        for row in rows:
            table.add_row(*(str(value) for value in row.values()))
        out.print(table)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=moment.tzinfo or UTC)


def _kept(anchor: Path) -> str:
    """Return the head that a file keeps, nothing where there is no file yet."""
    try:
        return anchor.read_text("utf-8").strip()
    except FileNotFoundError:
        return ""


def _hash(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != _HASH_BYTES:
        message = f"{text!r} is no head of the chain"
        raise ConfigurationError(message, hint="write the 64 digits that verify told as head")
    return found


def _plain(it: Entry) -> dict[str, Any]:
    return asdict(it) | {"at": it.at.isoformat(), "hash": it.hash.hex()}


def _row(it: Entry) -> tuple[str, ...]:
    facts = ", ".join(f"{name}={value}" for name, value in (it.facts or {}).items())
    if it.address:
        facts = f"{facts}, from {it.address}" if facts else f"from {it.address}"
    erased = "(erased)"
    tenant = it.tenant or ("" if it.tenant_key is None else f"#{it.tenant_key}")
    by, to = (erased if value is None else value for value in (it.actor, it.target))
    return (
        str(it.number),
        f"{it.at:%Y-%m-%d %H:%M:%S}",
        tenant,
        it.action,
        by,
        to,
        facts,
        it.outcome,
    )


def _verdict(found: Verifier, *, anchored: bool) -> dict[str, Any]:
    return {
        "whole": not found.findings,
        "entries": found.number,
        "head": found.head.hex() if found.head != START else None,
        "anchored": anchored,
        "findings": [asdict(it) for it in found.findings],
    }


def _print_verdict(found: Verifier, *, anchored: bool) -> None:
    for it in found.findings:
        out.print(f"entry {it.number}: {it.what}", markup=False)
    if found.findings:
        out.print(f"{len(found.findings)} findings in {found.number} entries")
        return
    out.print(f"{found.number} entries, nothing was changed")
    out.print(f"head {found.head.hex()}")
    if not anchored:
        out.print("(that none is missing at the end is known with --head or --anchor alone)")
