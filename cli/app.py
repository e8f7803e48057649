"""``noctis app``: programs that read a tenant's stages, at the broker and over the facade."""

from typing import Annotated, Final

import typer

from cli.accounts import show_account
from cli.asking import Yes, confirm
from cli.completion import SomeTenant
from cli.local import DEFAULT_VAR, Var
from cli.nouns.platform import platform
from cli.output import Json, out, print_json, print_rows
from cli.profiles import ProfileOption
from noctis.identity import ROLES, check_role, parse_login

__all__ = ["app"]

app: Final = typer.Typer(help="Apps that read a tenant's stages.", no_args_is_help=True)

NONE: Final = "none"

Name = Annotated[str, typer.Argument(help="app@tenant; each phone its own")]


@app.command("list")
def list_apps(
    tenant: SomeTenant = None,
    *,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """List apps and their roles."""
    with platform(profile, var) as it:
        rows = it.apps.list_of(tenant)
    print_rows(rows, as_json=json, empty="no app yet: noctis app add")


@app.command("add")
def add(
    name: Name,
    *,
    role: Annotated[
        str | None,
        typer.Option(help=f"{', '.join(ROLES)}; without one it reads devices and epochs."),
    ] = None,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Add an app and print its password, once."""
    parse_login(name)
    if role is not None:
        check_role(role)
    with platform(profile, var) as it:
        made = it.apps.add(name, role)
    show_account(made, as_json=json)


@app.command("rotate")
def rotate(
    name: Name,
    *,
    yes: Yes = False,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Give an app another password, printed once; the one before ends at once."""
    parse_login(name)
    confirm(name, f"{name} is cut off until it has the new password", yes=yes)
    with platform(profile, var) as it:
        made = it.apps.rotate(name)
    show_account(made, as_json=json)


@app.command("set-role")
def set_role(
    name: Name,
    role: Annotated[str, typer.Argument(help=f"{', '.join(ROLES)}, or {NONE}")],
    *,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Give an app another role; the tokens that it has are void within seconds."""
    wanted = None if role == NONE else check_role(role)
    with platform(profile, var) as it:
        it.apps.set_role(name, wanted)
    if json:
        print_json({"app": name, "role": wanted})
    else:
        out.print(f"{name}: {role}", markup=False)


@app.command("remove")
def remove(
    name: Name,
    *,
    yes: Yes = False,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Take an app's account away for good; its name stays taken."""
    parse_login(name)
    confirm(name, f"{name} will never connect again under this name", yes=yes)
    with platform(profile, var) as it:
        it.apps.remove(name)
    if json:
        print_json({"app": name, "removed": True})
    else:
        out.print(f"{name} is removed", markup=False)
