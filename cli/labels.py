"""``noctis labels``: reference stages of a device, from a polysomnography or a diary."""

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from cli.local import DEFAULT_VAR, Var
from cli.nouns.platform import platform
from cli.output import Json, out, print_json, progress
from cli.profiles import ProfileOption
from evaluation.label_file import LabelFileError, parse_labels
from noctis.identity import DeviceId

__all__ = ["Since", "Until", "app", "utc"]

app: Final = typer.Typer(
    help="Reference stages, to hold predictions against.", no_args_is_help=True
)

Device = Annotated[str, typer.Option(help="tenant/device")]
Since = Annotated[datetime | None, typer.Option(help="From then on, UTC.")]
Until = Annotated[datetime | None, typer.Option(help="Before then, UTC.")]


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="CSV: t or t_s, and stage.", dir_okay=False)],
    *,
    device: Device,
    source: Annotated[str, typer.Option(help="Such as psg or diary.")],
    start: Annotated[
        datetime | None,
        typer.Option(help="When t_s is 0, UTC.", formats=["%Y-%m-%dT%H:%M:%SZ"]),
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who answers for it (default: you).")] = None,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Store the reference stages of a file; the source's own of the same time give way."""
    who = DeviceId.parse(device)
    found = parse_labels(_read(file), utc(start))
    name = by or getpass.getuser()
    with platform(profile, var) as it:
        replaced = it.labels.put(who, found, source=source, by=name)
    told = {"device": device, "source": source, "labels": len(found), "replaced": replaced}
    _tell(told, f"{len(found)} labels of {device}, {replaced} older ones replaced", json=json)


@app.command("list")
def list_imports(
    subject: Annotated[str, typer.Argument(help="tenant, or tenant/device")],
    *,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """List what was imported: of which device, by whom, when, and what is still there."""
    tenant, device = subject, None
    if "/" in subject:
        who = DeviceId.parse(subject)
        tenant, device = who.tenant, who.device
    with platform(profile, var) as it:
        found = it.labels.list_of(tenant, device)
    if json:
        print_json(found)
        return
    if not found:
        progress(f"{subject} has no reference stages")
        return
    table = Table("device", "source", "labels", "from", "to", "by", "imported", box=None)
    for one in found:
        names = (one["device"], one["source"], str(one["labels"]))
        span = (_at(one["first"], 19), _at(one["last"], 19))
        table.add_row(*names, *span, one["imported_by"] or "-", _at(one["imported_at"], 16))
    out.print(table)


@app.command()
def remove(
    *,
    device: Device,
    source: Annotated[str | None, typer.Option(help="Only of this source.")] = None,
    since: Since = None,
    until: Until = None,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Delete reference stages of a device."""
    who = DeviceId.parse(device)
    with platform(profile, var) as it:
        gone = it.labels.remove(who, source, (utc(since), utc(until)))
    _tell({"device": device, "removed": gone}, f"{gone} labels of {device} are gone", json=json)


def utc(moment: datetime | None) -> datetime | None:
    """Return an option's moment with its zone."""
    return None if moment is None else moment.replace(tzinfo=UTC)


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{file} cannot be read: {error}"
        raise LabelFileError(message, hint="name a CSV file in UTF-8") from error


def _at(moment: str | None, length: int) -> str:
    return "-" if moment is None else moment[:length].replace("T", " ")


def _tell(value: dict[str, Any], text: str, *, json: bool) -> None:
    if json:
        print_json(value)
    else:
        out.print(text)
