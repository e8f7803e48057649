"""Arguments that complete themselves: devices and tenants, as the platform has them."""

from pathlib import Path
from typing import Annotated, Final

import typer
from typer import Context

__all__ = ["DeviceName", "SomeTenant", "TenantName", "device_names", "tenant_names"]

WITHIN_S: Final = 2.0


def device_names(context: Context, incomplete: str) -> list[str]:
    """Return the devices ``tenant/device`` that begin so; none where nobody answers soon."""
    return [name for name in _asked(context, devices=True) if name.startswith(incomplete)]


def tenant_names(context: Context, incomplete: str) -> list[str]:
    """Return the tenants that begin so; none where nobody answers soon."""
    return [name for name in _asked(context, devices=False) if name.startswith(incomplete)]


DeviceName = Annotated[
    str, typer.Argument(help="tenant/device", autocompletion=device_names, show_default=False)
]
"""The argument of a device."""
TenantName = Annotated[
    str, typer.Argument(help="a tenant", autocompletion=tenant_names, show_default=False)
]
"""The argument of a tenant."""
SomeTenant = Annotated[
    str | None,
    typer.Argument(help="a tenant; none: all in reach", autocompletion=tenant_names),
]
"""The argument of a tenant that need not be named."""


def _asked(context: Context, *, devices: bool) -> list[str]:
    """Return the names; what goes wrong while somebody types is not worth a word."""
    try:
        from cli.nouns.names import names  # noqa: PLC0415 - only where it is needed

        chosen = context.params
        return names(
            chosen.get("profile"),
            Path(chosen.get("var") or "var"),
            of_devices=devices,
            seconds=WITHIN_S,
        )
    except Exception:  # noqa: BLE001 - see above
        return []
