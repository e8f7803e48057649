"""Names alone, quickly: for whoever types the beginning of one."""

from pathlib import Path

from cli import profiles
from cli.facade import Facade
from cli.local import engine_of
from noctis.storage import devices
from noctis.storage.engine import transaction
from noctis.storage.tenants import list_all

__all__ = ["names"]


def names(profile: str | None, var: Path, *, of_devices: bool, seconds: float) -> list[str]:
    """Return all tenants, or all devices as ``tenant/device``, that can be asked for.

    Raise NoctisError where that takes more than ``seconds``.
    """
    known = profiles.chosen(profile)
    if known is not None:
        if not of_devices:
            return [known.tenant]
        with Facade(known, seconds=seconds) as facade:
            found = facade.pages("/v1/devices", "devices")
            return [f"{known.tenant}/{it['name']}" for it in found]
    return _stored(var, of_devices=of_devices, seconds=seconds)


def _stored(var: Path, *, of_devices: bool, seconds: float) -> list[str]:
    with engine_of(var) as engine, transaction(engine, seconds=seconds) as connection:
        owners = [it.name for it in list_all(connection)]
        if not of_devices:
            return owners
        return [f"{it}/{one.name}" for it in owners for one in devices.list_of(it, connection)]
