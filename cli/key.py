"""``noctis key``: the keys that sign the facade's tokens."""

from datetime import UTC, datetime
from typing import Annotated, Final

import typer
from rich.table import Table

from api.scopes import INTERNAL_READ, INTERNAL_SCOPES
from api.tokens import INTERNAL_AUDIENCE, LIFETIME_S, Keyring
from cli.auditing import noted
from cli.local import DEFAULT_VAR, Var
from cli.output import Json, out, print_json
from noctis import settings
from noctis.identity import Principal

__all__ = ["app"]

OPERATOR: Final = "command line"
PLATFORM: Final = "platform"
"""What a token that no user asked for has for a tenant: /internal counts requests by it."""

app: Final = typer.Typer(help="The keys that sign the facade's tokens.", no_args_is_help=True)


@app.command("list")
def list_keys(*, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """List the keys: the newest signs, those before verify until their tokens have ended."""
    _print(_keyring(var), as_json=json)


@app.command("rotate")
def rotate(
    *,
    forget: Annotated[
        bool, typer.Option("--forget", help="Trust no older key, nor any token there is.")
    ] = False,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Make a new key that signs from now on; running facades see it at once.

    Nobody is logged out, unless you say --forget, because a key was copied: then all log in
    again or refresh.
    """
    keyring = _keyring(var)
    made = keyring.rotate(forget=forget)
    noted(var, "key_rotated", made.kid, forgot=str(forget).lower())
    _print(keyring, as_json=json)


@app.command("token")
def token(
    *,
    only_read: Annotated[
        bool, typer.Option("--read", help=f"A token that may look alone: {INTERNAL_READ}.")
    ] = False,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Make a token of 15 minutes for /internal; who can read the keys is an operator.

    curl -H "Authorization: Bearer $(noctis key token)" localhost:8001/internal/monitoring
    """
    scopes = frozenset({INTERNAL_READ} if only_read else INTERNAL_SCOPES)
    keyring = Keyring(settings.load(var=var).token_keys, audience=INTERNAL_AUDIENCE)
    made = keyring.issue(Principal(OPERATOR, PLATFORM, scopes))
    scope = " ".join(sorted(scopes))
    noted(var, "internal_token_made", scope=scope)
    if json:
        print_json({"access_token": made, "expires_in": LIFETIME_S, "scope": scope})
        return
    out.print(made, markup=False, highlight=False, soft_wrap=True)


def _keyring(var: Var) -> Keyring:
    return Keyring(settings.load(var=var).token_keys)


def _print(keyring: Keyring, *, as_json: bool) -> None:
    keys = list(keyring.keys().values())
    rows = [
        {
            "kid": key.kid,
            "made_at": datetime.fromtimestamp(key.made_ns / 1e9, UTC).isoformat(),
            "use": "signs" if key is keys[-1] else "verifies",
        }
        for key in keys
    ]
    if as_json:
        print_json(rows)
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*row.values())
    out.print(table)
