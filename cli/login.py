"""``noctis login`` and ``noctis profile``: facades elsewhere, and which one is asked."""

import ipaddress
import os
import sys
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from cli import profiles
from cli.errors import SignInError
from cli.facade import Facade, sign_in
from cli.output import Json, out, print_json, progress, rows_table, show
from cli.profiles import LOCAL, Profile, ProfileOption
from noctis.errors import ConfigurationError, NoctisError
from noctis.identity import parse_login

__all__ = ["app", "login"]

app: Final = typer.Typer(
    help="Facades that you are logged in to, and which one is asked.", no_args_is_help=True
)
PASSWORD: Final = "NOCTIS_PASSWORD"  # noqa: S105 - the variable's name

Name = Annotated[
    str, typer.Argument(help="a profile", autocompletion=lambda: [*profiles.names(), LOCAL])
]


def login(
    url: Annotated[str, typer.Argument(help="of the facade, as https://sleep.example.org")],
    *,
    user: Annotated[str, typer.Option(help="name@tenant of a user.")] = "",
    client: Annotated[
        str, typer.Option("--app", help="name@tenant of an app, in place of a user.")
    ] = "",
    profile: Annotated[
        str | None, typer.Option("--profile", help="What to call it (default: the host).")
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(help="Certificate of its CA, if it has one of its own.", exists=True),
    ] = None,
    allow_http: Annotated[
        bool, typer.Option("--allow-http", help="Let the password go over a net in the clear.")
    ] = False,
    json: Json = False,
) -> None:
    """Log in to a facade; commands ask it from now on, with --profile or without.

    The password is asked for, read as a line where there is no terminal, or taken from
    NOCTIS_PASSWORD. Of a user it is not kept: a token that renews itself is, in a file that
    only you can read. `noctis profile use local` turns back to this machine's own platform.
    """
    if bool(user) == bool(client):
        message = "neither or both of --user and --app are given"
        raise ConfigurationError(message, hint="name who logs in: --user ann@home")
    wanted = Profile(
        name=profile or _name_of(url),
        url=_checked(url, allow_http=allow_http),
        login=user or client,
        kind="user" if user else "app",
        access_token="",
        expires_at=0.0,
        ca=str(ca.absolute()) if ca else "",
    )
    parse_login(wanted.login)
    made = sign_in(wanted, _password(wanted.login))
    profiles.save(made)
    profiles.use(made.name)
    if json:
        print_json(_plain(made))
        return
    out.print(f"logged in to {made.url} as {made.login}; commands now ask it", markup=False)
    progress(f"the profile is {made.name!r}; 'noctis profile use {LOCAL}' turns back")


@app.command("list")
def list_profiles(*, profile: ProfileOption = None, json: Json = False) -> None:
    """List the profiles; the one in use is marked."""
    used = profile or profiles.current()
    rows = [_plain(profiles.load(name)) for name in profiles.names()]
    if json:
        print_json([row | {"used": row["profile"] == used} for row in rows])
        return
    table = rows_table("", "profile", "facade", "login")
    table.add_row("*" if used == LOCAL else "", LOCAL, "this machine's own platform", "")
    for row in rows:
        table.add_row(
            "*" if row["profile"] == used else "", row["profile"], row["url"], row["login"]
        )
    show(table)


@app.command("use")
def use(name: Name, *, json: Json = False) -> None:
    """Have commands ask another facade, or 'local': this machine's own platform."""
    profiles.use(name)
    told = os.environ.get("NOCTIS_PROFILE")
    if told and told != name:
        progress(f"NOCTIS_PROFILE is set to {told!r}, and goes first")
    if json:
        print_json({"profile": name})
    else:
        out.print(f"commands now ask {name}", markup=False)


@app.command("remove")
def remove(name: Name, *, json: Json = False) -> None:
    """End the session of a profile, and forget it."""
    is_ended = _sign_out(name)
    profiles.remove(name)
    if json:
        print_json({"profile": name, "session_ended": is_ended})
    else:
        out.print(f"{name} is forgotten", markup=False)


def _sign_out(name: str) -> bool:
    """End the session at the facade, where it can be reached; a damaged profile has none."""
    if name not in profiles.names():
        profiles.load(name)
    try:
        known = profiles.load(name)
        if not known.refresh_token:
            return False
        with Facade(known) as facade:
            facade.revoke()
    except NoctisError as error:
        progress(f"its session goes on until it ends by itself: {error.message}")
        return False
    return True


def _plain(made: Profile) -> dict[str, str]:
    return {"profile": made.name, "url": made.url, "login": made.login, "kind": made.kind}


def _checked(url: str, *, allow_http: bool) -> str:
    """Return the facade's address; raise ConfigurationError for what cannot be one."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.username:
        message = f"{url!r} is no address of a facade"
        raise ConfigurationError(message, hint="write it as https://sleep.example.org")
    if parts.scheme == "http" and not allow_http and not _is_here(host):
        message = f"{url} would carry your password over the net for everybody to read"
        raise ConfigurationError(message, hint="use https, or say --allow-http if it is meant")
    return url.rstrip("/")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name_of(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2].replace(":", "-")


def _password(who: str) -> str:
    given = os.environ.get(PASSWORD)
    if given:
        return given
    if sys.stdin.isatty():
        answer: str = typer.prompt(f"Password of {who}", hide_input=True, err=True)
        return answer
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        message = f"nobody tells the password of {who}"
        raise SignInError(message, hint=f"set {PASSWORD}, or write it to standard input")
    return line
