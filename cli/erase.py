"""``noctis erase`` and ``noctis erasure``: let everything of a device or a tenant go."""

import time
from typing import Annotated, Final

import typer

from cli.asking import Yes, confirm
from cli.local import DEFAULT_VAR, Var
from cli.nouns.care import Care
from cli.nouns.documents import Document
from cli.nouns.platform import platform
from cli.output import Json, out, print_json, progress
from cli.profiles import ProfileOption
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId

__all__ = ["erase", "erasure"]

POLL_S: Final = 1.0


def erase(
    subject: Annotated[str, typer.Argument(help="tenant/device, or a whole tenant")],
    *,
    keep_device: Annotated[
        bool,
        typer.Option("--keep-device", help="The device stays enrolled, for a new stream."),
    ] = False,
    yes: Yes = False,
    wait: Annotated[bool, typer.Option("--wait", help="Return when it is done.")] = False,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Erase everything of a device or a tenant, everywhere, for good.

    At once its streams are closed and its accounts revoked; what is sent of them later is
    disposed of. The companion then deletes every row and every retained message, looks again
    five minutes later, and lets the names go. 'noctis erasure' tells how far it is.
    """
    tenant, device = _read(subject, keep_device=keep_device)
    with platform(profile, var) as it:
        if not yes:
            _ask(subject, tenant, device, it.care)
        made = it.care.erase(tenant, device, keep_device=keep_device) | {"subject": subject}
        if wait:
            made = _wait(made["erasure"], it.care) | {"subject": subject}
    if json:
        print_json(made)
    else:
        out.print(f"erasure {made['erasure']} of {subject}: {made['state']}")


def erasure(
    number: Annotated[int | None, typer.Argument(help="of the erasure; none: all")] = None,
    *,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Tell how far an erasure is, or list them all."""
    with platform(profile, var) as it:
        shown = it.care.erasures() if number is None else [it.care.erasure(number)]
    if json:
        print_json(shown if number is None else shown[0])
        return
    for one in shown:
        rows = ", ".join(f"{count} {table}" for table, count in one["counts"].items())
        whom = f" by {one['requested_by']}" if one["requested_by"] else ""
        out.print(
            f"erasure {one['erasure']} of a {one['kind']}: {one['state']} "
            f"(asked for {one['requested_at']}{whom}; {rows or 'no rows'})",
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


def _ask(subject: str, tenant: str, device: str | None, care: Care) -> None:
    """Let the name be typed again, so that a finger's slip erases nobody."""
    known = care.names(tenant)
    if device is not None:
        known = [name for name in known if name == device]
    whose = f"everything of {tenant}: {', '.join(known) or 'no device'}"
    confirm(subject, f"{whose} will be gone for good", yes=False)


def _wait(number: int, care: Care) -> Document:
    told = ""
    while True:
        found = care.erasure(number)
        if found["state"] != told:
            told = found["state"]
            progress(f"erasure {number}: {told}")
        if found["done_at"] is not None:
            return found
        time.sleep(POLL_S)
