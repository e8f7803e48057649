"""``noctis key``: the keys that sign the facade's tokens."""

from datetime import UTC, datetime
from typing import Annotated, Final

import typer
from rich.table import Table

from api.tokens import Keyring
from cli.local import DEFAULT_VAR, Var
from cli.output import Json, out, print_json
from noctis import settings
from noctis.audit import audit

__all__ = ["app"]

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
    audit("key_rotated", by="command line", kid=made.kid, forgot=str(forget).lower())
    _print(keyring, as_json=json)


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
