"""``noctis night compare``: two nights of a device side by side."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from cli.completion import DeviceName
from cli.local import DEFAULT_VAR, Var
from cli.night_find import find
from cli.night_view import duration
from cli.nouns.platform import platform
from cli.output import Json, print_json, rows_table, show
from cli.profiles import ProfileOption
from noctis.identity import DeviceId

__all__ = ["compare"]

_DATE: Final = ["%Y-%m-%d"]
_ROWS: Final = (
    ("in bed", "tib_min"),
    ("asleep", "tst_min"),
    ("efficiency", "efficiency_percent"),
    ("onset after", "sol_min"),
    ("awake after", "waso_min"),
    ("light", "light_min"),
    ("deep", "deep_min"),
    ("REM", "rem_min"),
    ("REM after", "rem_latency_min"),
    ("awakenings", "awakenings"),
)

Evening = Annotated[datetime, typer.Argument(help="an evening, as 2026-03-01", formats=_DATE)]


def compare(
    device: DeviceName,
    first: Evening,
    second: Evening,
    *,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Compare two nights of a device, figure by figure; of an evening the longest night."""
    who = DeviceId.parse(device)
    with platform(profile, var) as it:
        nights = [find(it.nights, who, at.date()) for at in (first, second)]
    one, other = (night["figures"] for night in nights)
    differences = {name: _less(other, one, name) for name in one}
    if json:
        kept = [
            {key: it for key, it in night.items() if key != "hypnogram"} for night in nights
        ]
        print_json({"device": device, "nights": kept, "differences": differences})
        return
    heads = (nights[0]["evening"], nights[1]["evening"], "difference")
    table = rows_table("", *heads, right=heads)
    for label, name in _ROWS:
        told = (_told(name, it[name]) for it in (one, other))
        table.add_row(label, *told, _told(name, differences[name], sign=True))
    show(table)


def _less(figures: Mapping[str, Any], others: Mapping[str, Any], name: str) -> float | None:
    """Return by how much a figure is more; None where either is undefined."""
    if figures[name] is None or others[name] is None:
        return None
    return round(float(figures[name] - others[name]), 2)


def _told(name: str, value: float | None, *, sign: bool = False) -> str:
    if value is None:
        return "-"
    before = "" if not sign else "-" if value < 0 else "+"
    if name.endswith("_min"):
        return before + duration(abs(value))
    unit = " %" if name.endswith("_percent") else ""
    return f"{before}{abs(value):.0f}{unit}"
