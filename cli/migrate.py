"""``noctis migrate``: bring the database's schema up to date."""

from cli.local import DEFAULT_VAR, Var, database_url
from cli.output import Json, out, print_json
from noctis.storage.migrate import upgrade

__all__ = ["migrate"]


def migrate(*, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """Bring the database to the newest schema; `noctis up` does it by itself."""
    upgrade(database_url(var))
    if json:
        print_json({"schema": "newest"})
    else:
        out.print("the database has the newest schema")
