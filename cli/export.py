"""``noctis export``: what is stored of a tenant's or a device's epochs, as a file."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from cli.auditing import record
from cli.local import DEFAULT_VAR, Var, database_url
from cli.output import Json, print_json, progress
from cli.sink import STDOUT, sink
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId
from noctis.storage import devices
from noctis.storage.engine import Engine, create, transaction
from noctis.storage.export import pages
from noctis.table_file import Format, TableFile, table_file

__all__ = ["export"]

TOLD_EVERY: Final = 500_000
SECONDS: Final = 30.0


def export(
    subject: Annotated[str, typer.Argument(help="tenant, or tenant/device")],
    *,
    form: Annotated[Format, typer.Option("--format", help="csv or parquet.")] = "csv",
    since: Annotated[
        datetime | None, typer.Option(help="Only epochs that start then or later, UTC.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="Only epochs that start earlier, UTC.")
    ] = None,
    stages: Annotated[
        bool, typer.Option("--stages", help="With the stages that models gave.")
    ] = False,
    output: Annotated[Path, typer.Option(help="The file; -: standard output.")] = STDOUT,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Write every stored epoch of a tenant or a device, as the device made it and in units.

    Devices come by name; of each first the epochs whose clock was known, by their start, then
    the others, by stream and seq. The file appears under its name once it is whole.
    """
    if output == STDOUT and (json or (form == "parquet" and sys.stdout.isatty())):
        message = "standard output cannot take the table"
        raise ConfigurationError(message, hint="name a file with --output")
    engine = create(database_url(var), application="noctis-export", connections=1)
    try:
        tenant, names = _devices(engine, subject)
        with sink(output) as stream:
            table = table_file(form, stream, stages=stages)
            rows = {
                name: _write(tenant, engine, name, table, (since, until), stages=stages)
                for name in names
            }
            table.close()
    finally:
        engine.dispose()
    total = sum(rows.values())
    if json:
        print_json({"output": str(output), "format": form, "rows": total, "devices": rows})
    else:
        progress(f"{total} epochs of {len(rows)} device{'s' if len(rows) != 1 else ''}")


def _devices(engine: Engine, subject: str) -> tuple[str, list[str]]:
    """Return the tenant and the names of the devices that are meant; they are there."""
    with transaction(engine, SECONDS) as connection:
        record(subject.partition("/")[0], connection, "exported", subject)
        if "/" in subject:
            who = DeviceId.parse(subject)
            return who.tenant, [devices.get(who.tenant, connection, who.device).name]
        return subject, [row.name for row in devices.list_of(subject, connection)]


def _write(
    tenant: str,
    engine: Engine,
    device: str,
    table: TableFile,
    span: tuple[datetime | None, datetime | None],
    *,
    stages: bool,
) -> int:
    since, until = (None if end is None else end.replace(tzinfo=UTC) for end in span)
    count = 0
    for page in pages(tenant, engine, device, since=since, until=until, stages=stages):
        table.write(page)
        if count // TOLD_EVERY != (count + len(page)) // TOLD_EVERY:
            progress(f"{tenant}/{device}: {count + len(page)} epochs so far")
        count += len(page)
    return count
