"""``noctis tenant retention``: how long a tenant's epochs stay."""

from typing import Annotated, Final

import typer

from cli.auditing import record
from cli.local import DEFAULT_VAR, Var, opened
from cli.output import Json, out, print_json
from noctis import settings
from noctis.errors import ConfigurationError
from noctis.storage import tenants

__all__ = ["retention"]

DEFAULT: Final = "default"


def retention(
    name: Annotated[str, typer.Argument(help="the tenant")],
    days: Annotated[str, typer.Argument(help=f"a number of days, or '{DEFAULT}'")],
    *,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Say for how many days a tenant's epochs stay.

    Older ones are deleted within hours, with their stages and nights, and what a device sends
    of them again is disposed of. 'default' is what NOCTIS_RETENTION_DAYS says.
    """
    wanted = _days(days)
    with opened(var) as connection:
        tenants.set_retention(name, connection, wanted)
        record(name, connection, "retention_set", name, days=wanted)
    if json:
        print_json({"tenant": name, "retention_days": wanted})
        return
    default = settings.load().retention_days
    stay = f"{default} days, the platform's default" if wanted is None else f"{wanted} days"
    out.print(f"epochs of {name} stay for {stay}")


def _days(text: str) -> int | None:
    if text == DEFAULT:
        return None
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 36500:  # noqa: PLR2004 - a century
        message = f"{text!r} is no number of days"
        raise ConfigurationError(message, hint=f"write 1 to 36500, or '{DEFAULT}'")
    return int(text)
