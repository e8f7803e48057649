"""``noctis user``: people who ask the facade, the first admin among them."""

import sys
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from cli.local import DEFAULT_VAR, Var, opened
from cli.output import Json, out, print_json
from noctis import passphrases
from noctis.audit import audit
from noctis.identity import ROLES, check_role, parse_login
from noctis.storage import users

__all__ = ["app"]

app: Final = typer.Typer(help="Users of a tenant, and their roles.", no_args_is_help=True)

BY: Final = "command line"

Login = Annotated[str, typer.Argument(help="name@tenant")]
Role = Annotated[str, typer.Option(help=f"{', '.join(ROLES)} (the models of all tenants).")]
Ask = Annotated[
    bool,
    typer.Option("--ask", help="Ask for the password, or read a line; else one is made."),
]


@app.command("add")
def add(
    login: Login,
    *,
    role: Role = "member",
    ask: Ask = False,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Add a user; a password that is made is printed, once."""
    name, tenant = parse_login(login)
    check_role(role)
    password, made = _password(ask=ask)
    hashed = passphrases.hash_passphrase(password)
    with opened(var) as connection:
        users.add(tenant, connection, name, role=role, password_hash=hashed)
    audit("user_added", by=BY, tenant=tenant, user=name, role=role)
    _tell({"user": login, "role": role, **made}, as_json=json)


@app.command("list")
def list_users(
    tenant: Annotated[str, typer.Argument(help="whose users")],
    *,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """List a tenant's users."""
    with opened(var) as connection:
        found = users.list_of(tenant, connection)
    rows = [
        {
            "user": f"{each.name}@{tenant}",
            "role": each.role,
            "created_at": each.created_at.isoformat(),
        }
        for each in found
    ]
    if json:
        print_json(rows)
        return
    table = Table(*(rows[0] if rows else ["nobody yet: noctis user add"]))
    for row in rows:
        table.add_row(*row.values())
    out.print(table)


@app.command("remove")
def remove(login: Login, *, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """Remove a user, the last admin too, and end what sessions he has."""
    name, tenant = parse_login(login)
    with opened(var) as connection:
        users.remove(tenant, connection, name, spare_last_admin=False)
    audit("user_removed", by=BY, tenant=tenant, user=name)
    _tell({"user": login, "removed": True}, as_json=json)


@app.command("set-password")
def set_password(
    login: Login, *, ask: Ask = False, var: Var = DEFAULT_VAR, json: Json = False
) -> None:
    """Give a user another password, and end what sessions he has."""
    name, tenant = parse_login(login)
    password, made = _password(ask=ask)
    hashed = passphrases.hash_passphrase(password)
    with opened(var) as connection:
        users.set_password(tenant, connection, name, hashed)
    audit("user_password_set", by=BY, tenant=tenant, user=name)
    _tell({"user": login, **made}, as_json=json)


@app.command("set-role")
def set_role(
    login: Login,
    role: Annotated[str, typer.Argument(help=", ".join(ROLES))],
    *,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Give a user another role, and end what sessions he has."""
    name, tenant = parse_login(login)
    with opened(var) as connection:
        users.set_role(tenant, connection, name, role, spare_last_admin=False)
    audit("user_role_set", by=BY, tenant=tenant, user=name, role=role)
    _tell({"user": login, "role": role}, as_json=json)


def _password(*, ask: bool) -> tuple[str, dict[str, str]]:
    """Return a password, and what is to be told of it: only one that was made here."""
    if not ask:
        password = passphrases.generate()
        return password, {"password": password}
    if sys.stdin.isatty():
        answer: str = typer.prompt(
            "password", hide_input=True, confirmation_prompt=True, err=True
        )
        return answer, {}
    return sys.stdin.readline().rstrip("\r\n"), {}


def _tell(value: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(value)
        return
    for name, each in value.items():
        out.print(f"{name:<9}{each}", markup=False)
    if "password" in value:
        out.print("(it is stored hashed and not shown again)")
