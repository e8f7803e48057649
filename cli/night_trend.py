"""``noctis night trend``: weeks of nights, and how regular sleep was."""

from datetime import datetime
from typing import Annotated, Final

import typer
from rich.table import Table

from cli.completion import DeviceName
from cli.local import DEFAULT_VAR, Var
from cli.night_view import duration
from cli.nouns.documents import Document
from cli.nouns.platform import platform
from cli.output import Json, print_json, rows_table, show
from cli.profiles import ProfileOption
from noctis.identity import DeviceId
from noctis.storage.trends import MOST_WEEKS

__all__ = ["trend"]

_DATE: Final = ["%Y-%m-%d"]
_DAY_MIN: Final = 24 * 60
_NOON_MIN: Final = 12 * 60
_COLUMNS: Final = {
    "to bed": "bedtime_min",
    "up": "rise_min",
    "in bed": "tib_min",
    "asleep": "tst_min",
    "of it": "efficiency_percent",
    "deep": "deep_percent",
    "REM": "rem_percent",
    "woke": "awakenings",
}


def trend(
    device: DeviceName,
    *,
    weeks: Annotated[
        int, typer.Option("--weeks", min=1, max=MOST_WEEKS, help="How many weeks.")
    ] = 8,
    until: Annotated[
        datetime | None,
        typer.Option(help="The evening behind the last (default: today's).", formats=_DATE),
    ] = None,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Show weeks of nights: the median of each figure, missing nights, regularity."""
    who = DeviceId.parse(device)
    with platform(profile, var) as it:
        found = it.nights.trends(who, weeks, None if until is None else until.date())
    if json:
        print_json(found)
        return
    show(_table(found))


def _table(found: Document) -> Table:
    heads = ("nights", *_COLUMNS, "regularity")
    regularity = _index(found["regularity"])
    title = f"{found['nights']} nights, {found['missing']} missing, regularity {regularity}"
    table = rows_table("week of", *heads, right=heads)
    table.caption = f"{title}; medians, {found['time_zone']}"
    for week in found["weeks"]:
        told = (_told(name, week["figures"][name]) for name in _COLUMNS.values())
        nights = f"{week['nights']} of {week['evenings']}"
        table.add_row(week["monday"], nights, *told, _index(week["regularity"]))
    return table


def _told(name: str, spread: Document | None) -> str:
    if spread is None:
        return "-"
    median: float = spread["median"]
    if name in ("bedtime_min", "rise_min"):
        hours, minutes = divmod(round(median + _NOON_MIN) % _DAY_MIN, 60)
        return f"{hours:02d}:{minutes:02d}"
    if name.endswith("_min"):
        return duration(median)
    return f"{median:.0f} %" if name.endswith("_percent") else f"{median:.0f}"


def _index(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
