"""``noctis tenant set-quota``: how much a tenant may ask of the facade."""

from dataclasses import asdict, replace
from typing import Annotated, Final

import typer

from cli.auditing import record
from cli.local import DEFAULT_VAR, Var, opened
from cli.output import Json, out, print_json
from noctis.errors import ConfigurationError
from noctis.storage import quotas
from noctis.storage.quotas import Quota

__all__ = ["set_quota"]

DEFAULT: Final = "default"
MOST: Final = 1_000_000_000
Amount = Annotated[str, typer.Option(help="a number, or 'default': as the settings say")]


def set_quota(
    name: Annotated[str, typer.Argument(help="the tenant")],
    *,
    requests_per_second: Amount = "",
    burst: Amount = "",
    epochs_per_minute: Amount = "",
    devices: Amount = "",
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Say how much a tenant may ask of the facade; what is not named stays.

    Running facades know within seconds. The defaults are NOCTIS_API_REQUESTS_PER_SECOND,
    NOCTIS_API_BURST, NOCTIS_API_EPOCHS_PER_MINUTE and NOCTIS_API_DEVICES.
    """
    named = {
        "requests_per_second": requests_per_second,
        "burst": burst,
        "epochs_per_minute": epochs_per_minute,
        "devices": devices,
    }
    changes = {key: _amount(key, text) for key, text in named.items() if text}
    with opened(var) as connection:
        quota = quotas.read(name, connection)
        if changes:
            quota = _changed(quota, changes)
            quotas.put(name, connection, quota)
            told = {key: str(value) for key, value in asdict(quota).items()}
            record(name, connection, "quota_set", name, **told)
    if json:
        print_json({"tenant": name, **asdict(quota)})
        return
    for key, value in asdict(quota).items():
        out.print(f"{key:<20} {DEFAULT if value is None else value}", markup=False)


def _changed(quota: Quota, changes: dict[str, int | None]) -> Quota:
    return replace(quota, **changes)


def _amount(key: str, text: str) -> int | None:
    if text == DEFAULT:
        return None
    least = 0 if key == "devices" else 1
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= MOST:
        message = f"{text!r} is no number of {key.replace('_', ' ')}"
        raise ConfigurationError(message, hint=f"write {least} to {MOST}, or '{DEFAULT}'")
    return int(text)
