"""``noctis migrate``, ``tenant``, ``device``, ``app``, ``service``: the database's upkeep."""

import os
import secrets
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from cli.local import DEFAULT_VAR, Var, opened
from cli.output import Json, out, print_json
from cli.quota import set_quota
from cli.resend import resend
from cli.retention import retention
from noctis.errors import ConfigurationError
from noctis.identity import ROLES, DeviceId, app_username
from noctis.storage import accounts, devices, tenants

__all__ = ["app", "device", "service", "tenant"]

tenant: Final = typer.Typer(help="Tenants: who owns devices and nights.", no_args_is_help=True)
device: Final = typer.Typer(help="Devices of a tenant.", no_args_is_help=True)
app: Final = typer.Typer(help="Apps that read a tenant's stages.", no_args_is_help=True)
service: Final = typer.Typer(help="Accounts of the platform's services.", no_args_is_help=True)
tenant.command("retention")(retention)
tenant.command("set-quota")(set_quota)
device.command("resend")(resend)

TenantName = Annotated[str, typer.Argument(help="1 to 32 of a-z, 0-9 and '-'")]
DeviceName = Annotated[str, typer.Argument(help="tenant/device")]
AppName = Annotated[str, typer.Argument(help="app@tenant; each phone its own")]


@tenant.command("add")
def tenant_add(name: TenantName, *, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """Add a tenant."""
    with opened(var) as connection:
        tenants.add(connection, name)
    _tell(json, {"tenant": name}, f"tenant {name} added")


@tenant.command("list")
def tenant_list(*, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """List the tenants."""
    with opened(var) as connection:
        rows = [
            {"tenant": row.name, "retention_days": row.retention_days}
            for row in tenants.list_all(connection)
        ]
    _table(json, rows)


@device.command("add")
def device_add(
    name: DeviceName,
    *,
    time_zone: Annotated[
        str, typer.Option(help="Where its nights are, as in Europe/Berlin.")
    ] = "UTC",
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Add a device and print its password, once."""
    who = DeviceId.parse(name)
    password = secrets.token_urlsafe(18)
    with opened(var) as connection:
        devices.add(who.tenant, connection, who.device, time_zone=time_zone)
        accounts.add(who.tenant, connection, name, "device", password)
    _show_account(json, name, password)


@device.command("list")
def device_list(name: TenantName, *, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """List a tenant's devices."""
    with opened(var) as connection:
        rows = [
            {
                "device": f"{name}/{row.name}",
                "time_zone": row.time_zone,
                "revoked_at": row.revoked_at and row.revoked_at.isoformat(),
            }
            for row in devices.list_of(name, connection)
        ]
    _table(json, rows)


@app.command("add")
def app_add(
    name: AppName,
    *,
    role: Annotated[
        str | None,
        typer.Option(help=f"{', '.join(ROLES)}; without one it reads devices and epochs."),
    ] = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Add an app and print its password, once."""
    short, at, owner = name.partition("@")
    if not at:
        message = f"{name!r} names no tenant"
        raise ConfigurationError(message, hint="write it as app@tenant")
    username = app_username(short, owner)
    password = secrets.token_urlsafe(18)
    with opened(var) as connection:
        accounts.add(owner, connection, username, "app", password, role=role)
    _show_account(json, username, password)


@service.command("set")
def service_set(name: str, *, var: Var = DEFAULT_VAR) -> None:
    """Set the password of a service such as svc-ingestor-0 to $NOCTIS_SERVICE_PASSWORD."""
    password = os.environ.get("NOCTIS_SERVICE_PASSWORD", "")
    if not password:
        message = "NOCTIS_SERVICE_PASSWORD is empty"
        raise ConfigurationError(message, hint="set it to the password of the service")
    with opened(var) as connection:
        accounts.set_service(connection, name, password)
    out.print(f"account {name} set")


def _show_account(as_json: bool, username: str, password: str) -> None:  # noqa: FBT001
    text = (
        f"user     {username}\npassword {password}\n(it is stored hashed and not shown again)"
    )
    _tell(as_json, {"username": username, "password": password}, text)


def _tell(as_json: bool, value: dict[str, Any], text: str) -> None:  # noqa: FBT001
    if as_json:
        print_json(value)
    else:
        out.print(text, markup=False)


def _table(as_json: bool, rows: list[dict[str, Any]]) -> None:  # noqa: FBT001
    if as_json:
        print_json(rows)
        return
    table = Table(*(list(rows[0]) if rows else ["nothing yet"]))
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    out.print(table)
