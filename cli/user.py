"""``noctis user``: people who ask the facade, the first admin among them."""

import sys
from typing import Annotated, Any, Final

import typer

from cli.asking import Yes, confirm
from cli.completion import SomeTenant
from cli.local import DEFAULT_VAR, Var
from cli.nouns.platform import platform
from cli.output import Json, out, print_json, print_rows
from cli.profiles import ProfileOption
from noctis import passphrases
from noctis.identity import ROLES, check_role, parse_login

__all__ = ["app"]

app: Final = typer.Typer(help="Users of a tenant, and their roles.", no_args_is_help=True)

Login = Annotated[str, typer.Argument(help="name@tenant")]
Role = Annotated[str, typer.Option(help=f"{', '.join(ROLES)} (the models of all tenants).")]
Ask = Annotated[
    bool,
    typer.Option("--ask", help="Ask for the password, or read a line; else one is made."),
]


@app.command("list")
def list_users(
    tenant: SomeTenant = None,
    *,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """List users and their roles."""
    with platform(profile, var) as it:
        rows = it.users.list_of(tenant)
    print_rows(rows, as_json=json, empty="nobody yet: noctis user add")


@app.command("add")
def add(
    login: Login,
    *,
    role: Role = "member",
    ask: Ask = False,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Add a user; a password that is made is printed, once."""
    parse_login(login)
    check_role(role)
    password, made = _password(ask=ask)
    with platform(profile, var) as it:
        it.users.add(login, role, password)
    _tell({"user": login, "role": role, **made}, as_json=json)


@app.command("remove")
def remove(
    login: Login,
    *,
    yes: Yes = False,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Remove a user, and end what sessions he has.

    On the platform's own machine the last admin too; over a facade one stays.
    """
    parse_login(login)
    confirm(login, f"{login} will not be let in any more", yes=yes)
    with platform(profile, var) as it:
        it.users.remove(login)
    _tell({"user": login, "removed": True}, as_json=json)


@app.command("set-password")
def set_password(
    login: Login,
    *,
    ask: Ask = False,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Give a user another password, and end what sessions he has."""
    parse_login(login)
    password, made = _password(ask=ask)
    with platform(profile, var) as it:
        it.users.set_password(login, password)
    _tell({"user": login, **made}, as_json=json)


@app.command("set-role")
def set_role(
    login: Login,
    role: Annotated[str, typer.Argument(help=", ".join(ROLES))],
    *,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Give a user another role, and end what sessions he has."""
    check_role(role)
    with platform(profile, var) as it:
        it.users.set_role(login, role)
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
