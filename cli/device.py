"""``noctis device``: which there are, how they are, and their coming and going."""

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from cli.accounts import show_account
from cli.asking import Yes, confirm
from cli.completion import DeviceName, SomeTenant
from cli.configure import config
from cli.device_claim import claim
from cli.device_provision import provision
from cli.local import DEFAULT_VAR, Var
from cli.nouns.documents import Document
from cli.nouns.platform import platform
from cli.output import Json, out, print_json, progress, rows_table, show
from cli.profiles import ProfileOption
from cli.remote import identify, reboot, show_logs
from cli.resend import resend
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId

__all__ = ["app", "since"]

app: Final = typer.Typer(help="Devices of a tenant.", no_args_is_help=True)

_STYLES: Final = {
    "online": "green",
    "sleeping": "cyan",
    "new": "dim",
    "silent": "yellow",
    "lost": "red",
    "revoked": "dim strike",
}
_HEADS: Final = ("device", "state", "last seen", "backlog", "firmware", "proves itself by")


@app.command("list")
def list_devices(
    tenant: SomeTenant = None,
    *,
    state: Annotated[
        str, typer.Option(help="Only those: online, sleeping, new, silent, lost, revoked.")
    ] = "",
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """List devices, and how each is: its state, its backlog, its firmware."""
    if state and state not in _STYLES:
        message = f"devices are in no state {state!r}"
        raise ConfigurationError(message, hint=f"the states are {', '.join(_STYLES)}")
    with platform(profile, var) as it:
        rows = [row for row in it.devices.list_of(tenant) if state in {"", row["state"]}]
    if json:
        print_json(rows)
        return
    if not rows:
        progress("no such device; 'noctis device add' makes one")
        return
    table = rows_table(*_HEADS, right=("backlog",))
    for row in rows:
        table.add_row(*_cells(row))
    show(table)


_SHADOW: Final = ("version", "desired", "refused", "in_force")


@app.command("show")
def show_device(
    name: DeviceName,
    *,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Show a device: its state, what it is set to, and all that it last said of itself."""
    who = DeviceId.parse(name)
    with platform(profile, var) as it:
        known = it.devices.get(who)
        shadow = it.devices.config(who)
    known["config"] = {name: shadow[name] for name in _SHADOW}
    if json:
        print_json(known)
        return
    for key, value in known.items():
        if key not in {"reported", "config"} and value is not None:
            shown = f"{since(value)} ({value})" if key == "last_seen" else value
            out.print(f"{key.replace('_', ' '):<18} {shown}", markup=False)
    out.print(f"{'config':<18} {_followed(known['config'])}", markup=False)
    said = (known["reported"] or {}).get("status", {})
    for key, value in said.items():
        if value not in {None, ""} and key not in known:
            out.print(f"  {key.replace('_', ' '):<16} {value}", markup=False)
    if not said:
        progress("it never came online")


@app.command("add")
def add(
    name: DeviceName,
    *,
    time_zone: Annotated[
        str, typer.Option(help="Where its nights are, as in Europe/Berlin.")
    ] = "UTC",
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Add a device and print its password, once."""
    with platform(profile, var) as it:
        made = it.devices.add(DeviceId.parse(name), time_zone)
    show_account(made, as_json=json)


@app.command("rotate")
def rotate(
    name: DeviceName,
    *,
    yes: Yes = False,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Give a device another password, printed once; the one before ends at once."""
    confirm(name, f"{name} is cut off until it has the new password", yes=yes)
    with platform(profile, var) as it:
        made = it.devices.rotate(DeviceId.parse(name))
    show_account(made, as_json=json)


@app.command("revoke")
def revoke(
    name: DeviceName,
    *,
    yes: Yes = False,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Take a device's account away for good; what it sent stays.

    The broker ends its connection within a second or two. `noctis erase` takes its data too.
    """
    who = DeviceId.parse(name)
    with platform(profile, var) as it:
        it.devices.get(who)
        confirm(name, f"{name} will never connect again under this name", yes=yes)
        known = it.devices.revoke(who)
    if json:
        print_json(known)
    else:
        out.print(f"{name} is revoked", markup=False)


app.command("config")(config)
app.command("logs")(show_logs)
app.command("reboot")(reboot)
app.command("identify")(identify)
app.command("resend")(resend)
app.command("claim")(claim)
app.command("provision")(provision)


def _followed(shadow: Document) -> str:
    """Return in a line whether a device does what it is to."""
    wanted = ", ".join(f"{name}={value}" for name, value in shadow["desired"].items())
    told = f"version {shadow['version']}: {wanted or 'all left to the device'}"
    if shadow["refused"]:
        return f"{told}; refused: {', '.join(shadow['refused'])}"
    if shadow["in_force"]:
        return f"{told}; in force"
    return f"{told}; the device has not said that it follows it"


def since(moment: str | None) -> str:
    """Return how long ago a moment was, in the one unit that says most."""
    if moment is None:
        return "never"
    seconds = (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{max(seconds, 0.0):.0f} s ago"


def _cells(row: Document) -> tuple[str, ...]:
    style = _STYLES[row["state"]]
    serial = row["certificate"]
    proof = "-" if row["last_seen"] is None else "password"
    return (
        row["device"],
        f"[{style}]{row['state']}[/]",
        since(row["last_seen"]),
        "-" if row["backlog"] is None else str(row["backlog"]),
        row["firmware"] or "-",
        f"certificate {serial[:8]}" if serial else proof,
    )
