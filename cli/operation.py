"""``noctis operation``: what takes long, and was ordered over a facade."""

import time
from typing import Annotated, Final
from uuid import UUID

import typer

from cli.completion import TenantName
from cli.local import DEFAULT_VAR, Var
from cli.nouns.documents import Document
from cli.nouns.platform import platform
from cli.output import Json, out, print_json, progress, rows_table, show
from cli.profiles import ProfileOption

__all__ = ["app"]

app: Final = typer.Typer(help="What takes long and was ordered.", no_args_is_help=True)

LOOK_S: Final = 1.0
ENDED: Final = ("done", "failed", "cancelled")

Key = Annotated[UUID, typer.Argument(help="the operation's id, as list shows it")]


@app.command("list")
def list_operations(
    tenant: TenantName,
    *,
    limit: Annotated[int, typer.Option(help="So many at most.", min=1, max=1000)] = 30,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """List a tenant's operations, the newest first."""
    with platform(profile, var) as it:
        rows = it.operations.list_of(tenant, limit)
    if json:
        print_json(rows)
        return
    if not rows:
        progress(f"{tenant} has ordered nothing yet")
        return
    table = rows_table("operation", "kind", "state", "progress", "by", "since")
    for row in rows:
        table.add_row(
            row["id"],
            row["kind"],
            row["state"],
            _share(row),
            row["requested_by"],
            row["created_at"][:16].replace("T", " "),
        )
    show(table)


@app.command("show")
def show_operation(
    tenant: TenantName,
    key: Key,
    *,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Show how far an operation is, and what came of it."""
    with platform(profile, var) as it:
        _tell(it.operations.get(tenant, key), as_json=json)


@app.command("follow")
def follow(
    tenant: TenantName,
    key: Key,
    *,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Follow an operation until it ends; exit code 0 only if it is done."""
    told = ""
    with platform(profile, var) as it:
        row = it.operations.get(tenant, key)
        while row["state"] not in ENDED:
            line = f"{row['state']}, {_share(row)}"
            if line != told:
                progress(told := line)
            time.sleep(LOOK_S)
            row = it.operations.get(tenant, key)
    _tell(row, as_json=json)
    if row["state"] != "done":
        raise typer.Exit(1)


@app.command("cancel")
def cancel(
    tenant: TenantName,
    key: Key,
    *,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Let an operation end after what is in hand; what it stored stays."""
    with platform(profile, var) as it:
        _tell(it.operations.cancel(tenant, key), as_json=json)


@app.command("resume")
def resume(
    tenant: TenantName,
    key: Key,
    *,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Go on with an operation that was cancelled or failed; nothing is done twice."""
    with platform(profile, var) as it:
        _tell(it.operations.resume(tenant, key), as_json=json)


def _share(row: Document) -> str:
    made = row["progress"]
    total = "?" if made["total"] is None else made["total"]
    return f"{made['done']} of {total} {made['unit']}"


def _tell(row: Document, *, as_json: bool) -> None:
    if as_json:
        print_json(row)
        return
    out.print(f"{row['kind']} {row['id']}: {row['state']}, {_share(row)}", markup=False)
    for name in ("requested_by", "request", "error", "result"):
        if row[name]:
            out.print(f"  {name.replace('_', ' '):<14}{row[name]}", markup=False)
