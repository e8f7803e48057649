"""``noctis epochs``: what is missing of devices, and what is gone for good."""

from dataclasses import asdict
from typing import Final

import typer

from cli.completion import DeviceName, TenantName
from cli.local import DEFAULT_VAR, Var, opened
from cli.output import Json, out, print_json, print_rows
from noctis.epoch import EPOCH_SECONDS
from noctis.identity import DeviceId
from noctis.storage import devices, missing
from noctis.storage.commands import Range
from noctis.storage.missing import Missing

__all__ = ["app"]

app: Final = typer.Typer(help="What is missing of devices.", no_args_is_help=True)


@app.command("missing")
def show_missing(device: DeviceName, *, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """List the gaps of a device that it may still fill, and what is gone from it too.

    `noctis device resend --missing` asks for them. Exit code 0: nothing is missing.
    """
    who = DeviceId.parse(device)
    with opened(var) as connection:
        found = missing.find(who.tenant, connection, who.device)
    rows = [_row(it) for it in found.ranges]
    if json:
        print_json({"device": device, "ranges": rows, "overwritten": found.overwritten})
    elif rows:
        print_rows(rows, as_json=False, right=("first", "last", "epochs"))
    else:
        out.print("nothing is missing that the platform could know of")
    if found.overwritten and not json:
        out.print(f"{found.overwritten} seqs are gone: the spool has overwritten them")
    if rows or found.overwritten:
        raise typer.Exit(1)


@app.command("loss")
def loss(tenant: TenantName, *, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """Count what is missing of each of a tenant's devices; exit code 0: nothing is lost.

    Missing epochs may still come; lost ones are gone from the device, too.
    """
    with opened(var) as connection:
        names = [it.name for it in devices.list_of(tenant, connection)]
        rows = [
            {"device": f"{tenant}/{name}", **_counts(missing.find(tenant, connection, name))}
            for name in names
        ]
    print_rows(rows, as_json=json, empty=f"{tenant} has no device", right=("missing", "lost"))
    if any(row["lost"] for row in rows):
        raise typer.Exit(1)


def _row(it: Range) -> dict[str, object]:
    return asdict(it) | {
        "stream": f"{it.stream:016x}",
        "epochs": _length(it),
        "minutes": _length(it) * EPOCH_SECONDS / 60,
    }


def _counts(found: Missing) -> dict[str, int]:
    return {
        "missing": sum(_length(it) for it in found.ranges),
        "lost": found.overwritten,
    }


def _length(it: Range) -> int:
    return it.last - it.first + 1
