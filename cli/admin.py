"""``noctis tenant`` and ``service``: the database's upkeep."""

import os
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer

from cli.auditing import record
from cli.completion import TenantName
from cli.local import DEFAULT_VAR, Var, opened
from cli.nouns.documents import plain
from cli.output import Json, out, print_json, print_rows
from cli.quota import set_quota
from cli.retention import retention
from noctis import settings
from noctis.errors import ConfigurationError
from noctis.storage import accounts, quotas, standing, tenants, users
from noctis.storage.engine import Connection

__all__ = ["service", "tenant"]

tenant: Final = typer.Typer(help="Tenants: who owns devices and nights.", no_args_is_help=True)
service: Final = typer.Typer(help="Accounts of the platform's services.", no_args_is_help=True)

NewName = Annotated[str, typer.Argument(help="1 to 32 of a-z, 0-9 and '-'")]
Service = Annotated[str, typer.Argument(help="such as svc-ingestor-0")]


@tenant.command("list")
def tenant_list(*, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """List the tenants."""
    with opened(var) as connection:
        rows = [
            {"tenant": row.name, "retention_days": row.retention_days}
            for row in tenants.list_all(connection)
        ]
    print_rows(rows, as_json=json, empty="no tenant yet: noctis tenant add")


@tenant.command("show")
def tenant_show(name: TenantName, *, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """Show what a tenant has, may use and keeps."""
    with opened(var) as connection:
        shown = _shown(name, connection)
    if json:
        print_json(shown)
        return
    for key, value in shown.items():
        label = key.replace("_", " ")
        if isinstance(value, dict):
            text = ", ".join(f"{it} {word.replace('_', ' ')}" for word, it in value.items())
        else:
            text = "-" if value is None else str(value)
        out.print(f"{label:<15} {text}", markup=False)


def _shown(name: str, connection: Connection) -> dict[str, Any]:
    """Return a tenant with its counts, its limits as they hold, and how long epochs stay."""
    tenants.id_of(name, connection)
    [known] = [it for it in tenants.list_all(connection) if it.name == name]
    [stands] = [it for it in standing.of_tenants(connection) if it.name == name]
    chosen = settings.load()
    default = quotas.Quota(
        chosen.api_requests_per_second,
        chosen.api_burst,
        chosen.api_epochs_per_minute,
        chosen.api_devices or None,
    )
    limits = asdict(quotas.read(name, connection).over(default))
    return {
        "tenant": name,
        "created_at": plain(known.created_at),
        "devices": {key: it for key, it in asdict(stands).items() if key != "name"},
        "users": len(users.list_of(name, connection)),
        "apps": len(accounts.apps(name, connection)),
        "retention_days": known.retention_days or chosen.retention_days,
        "quota": {key: "any" if it is None else it for key, it in limits.items()},
    }


@tenant.command("add")
def tenant_add(name: NewName, *, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """Add a tenant. `noctis erase` removes one, with all that it has."""
    with opened(var) as connection:
        tenants.add(connection, name)
        record(name, connection, "tenant_added", name)
    _tell(json, {"tenant": name}, f"tenant {name} added")


tenant.command("retention")(retention)
tenant.command("set-quota")(set_quota)


@service.command("list")
def service_list(*, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """List the accounts with which services may connect to the broker."""
    with opened(var) as connection:
        names = [it.username for it in accounts.active(connection) if it.kind == "service"]
    print_rows([{"account": it} for it in names], as_json=json, empty="no service has one yet")


@service.command("set")
def service_set(name: Service, *, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """Set the password of a service such as svc-ingestor-0 to $NOCTIS_SERVICE_PASSWORD."""
    password = os.environ.get("NOCTIS_SERVICE_PASSWORD", "")
    if not password:
        message = "NOCTIS_SERVICE_PASSWORD is empty"
        raise ConfigurationError(message, hint="set it to the password of the service")
    with opened(var) as connection:
        accounts.set_service(connection, name, password)
        record("", connection, "service_password_set", name)
    _tell(json, {"account": name}, f"account {name} set")


@service.command("remove")
def service_remove(name: Service, *, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """Take a service's account away; `noctis service set` brings it back."""
    with opened(var) as connection:
        if name not in {it.username for it in accounts.active(connection)}:
            message = f"there is no service {name!r} that may connect"
            raise ConfigurationError(message, hint="noctis service list shows them")
        accounts.revoke_service(connection, name)
        record("", connection, "service_revoked", name)
    _tell(json, {"account": name, "removed": True}, f"account {name} removed")


def _tell(as_json: bool, value: dict[str, Any], text: str) -> None:  # noqa: FBT001
    if as_json:
        print_json(value)
    else:
        out.print(text, markup=False)
