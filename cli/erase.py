"""``noctis erase`` and ``noctis erasure``: let everything of a device or a tenant go."""

import getpass
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.local import DEFAULT_VAR, Var, opened
from cli.output import Json, out, print_json, progress
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId
from noctis.storage import devices, erasures
from noctis.storage.erasures import Erasure

__all__ = ["erase", "erasure"]

POLL_S: Final = 1.0


def erase(
    subject: Annotated[str, typer.Argument(help="tenant/device, or a whole tenant")],
    *,
    keep_device: Annotated[
        bool,
        typer.Option("--keep-device", help="The device stays enrolled, for a new stream."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Return when it is done.")] = False,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Erase everything of a device or a tenant, everywhere, for good.

    At once its streams are closed and its accounts revoked; what is sent of them later is
    disposed of. The companion then deletes every row and every retained message, looks again
    five minutes later, and lets the names go. 'noctis erasure' tells how far it is.
    """
    tenant, device = _read(subject, keep_device=keep_device)
    if not yes:
        _ask(subject, tenant, device, var, json=json)
    with opened(var) as connection:
        made = erasures.request(
            tenant, connection, device, by=getpass.getuser(), keep_device=keep_device
        )
    if wait:
        made = _wait(made.id, var)
    if json:
        print_json(_as_json(made))
    else:
        out.print(f"erasure {made.id} of {subject}: {made.state}")


def erasure(
    number: Annotated[int | None, typer.Argument(help="of the erasure; none: all")] = None,
    *,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Tell how far an erasure is, or list them all."""
    with opened(var) as connection:
        found = (
            erasures.list_all(connection)
            if number is None
            else [erasures.get(connection, number)]
        )
    shown = [_as_json(it) for it in found]
    if json:
        print_json(shown if number is None else shown[0])
        return
    for one in shown:
        rows = ", ".join(f"{count} {table}" for table, count in one["counts"].items())
        out.print(
            f"erasure {one['erasure']} of a {one['kind']}: {one['state']} "
            f"(asked for {one['requested_at']} by {one['requested_by']}; "
            f"{rows or 'no rows'})",
            markup=False,
        )


def _read(subject: str, *, keep_device: bool) -> tuple[str, str | None]:
    if "/" in subject:
        who = DeviceId.parse(subject)
        return who.tenant, who.device
    if keep_device:
        message = f"{subject!r} is a tenant; --keep-device is for a device"
        raise ConfigurationError(message, hint="write it as tenant/device")
    return subject, None


def _ask(subject: str, tenant: str, device: str | None, var: Path, *, json: bool) -> None:
    """Let the name be typed again, so that a finger's slip erases nobody."""
    with opened(var) as connection:
        known = [it.name for it in devices.list_of(tenant, connection)]
        if device is not None:
            known = [devices.get(tenant, connection, device).name]
    if json or not sys.stdin.isatty():
        message = f"nobody can be asked whether to erase {subject!r}"
        raise ConfigurationError(message, hint="add --yes where it is meant")
    progress(f"everything of {tenant}: {', '.join(known) or 'no device'} will be gone for good")
    if typer.prompt("Type the name again to erase it", err=True) != subject:
        message = "that is another name; nothing was erased"
        raise ConfigurationError(message)


def _wait(number: int, var: Path) -> Erasure:
    told = ""
    while True:
        with opened(var) as connection:
            found = erasures.get(connection, number)
        if found.state != told:
            told = found.state
            progress(f"erasure {number}: {told}")
        if found.done_at is not None:
            return found
        time.sleep(POLL_S)


def _as_json(made: Erasure) -> dict[str, Any]:
    return {
        "erasure": made.id,
        "kind": made.kind,
        "subject": made.subject,
        "state": made.state,
        "keep_device": made.keep_device,
        "requested_by": made.requested_by,
        "requested_at": made.requested_at.isoformat(),
        "done_at": None if made.done_at is None else made.done_at.isoformat(),
        "counts": made.counts,
    }
