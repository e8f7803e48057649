"""How nights look in the terminal."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from rich.table import Table
from rich.text import Text

from cli.hypnogram import draw
from cli.nouns.documents import Document
from cli.output import rows_table
from noctis.stages import LABELS, Stage

__all__ = ["FOUND", "duration", "picture", "stages_of", "table"]

FOUND: Final = "found"
_ASIDE: Final = 26
_NARROW: Final = 70


def table(nights: Sequence[Document]) -> Table:
    """Return the nights as a table, in the devices' local times."""
    are_of_one = len({it["device"] for it in nights}) == 1
    figures = ("in bed", "asleep", "of it", "deep", "REM", "woke", "rev.")
    names = ("evening", "from", "to", "state", *figures)
    made = rows_table(*(() if are_of_one else ("device",)), *names, right=figures)
    for it in nights:
        row = _row(it)
        made.add_row(*row if are_of_one else (it["device"], *row))
    return made


def _row(night: Document) -> tuple[str, ...]:
    begin, end = _local(night)
    figures, kind = night["figures"], night["kind"]
    woke = figures["awakenings"]
    return (
        night["evening"],
        f"{begin:%H:%M}",
        f"{end:%H:%M}",
        night["state"] if kind == FOUND else f"{kind}, {night['state']}",
        duration(figures["tib_min"]),
        duration(figures["tst_min"]),
        _percent(figures["efficiency_percent"]),
        duration(figures["deep_min"]),
        duration(figures["rem_min"]),
        "-" if woke is None else f"{woke} x",
        str(night["revision"]),
    )


def picture(night: Document, *, width: int) -> Table:
    """Return the hypnogram with the figures beside it, below it where it is narrow."""
    begin, end = _local(night)
    title = (
        f"{night['device']}  {begin:%Y-%m-%d %H:%M} to {end:%H:%M} {night['time_zone']}, "
        f"{night['state']}, revision {night['revision']}"
    )
    is_wide = width >= _NARROW
    lanes = draw(stages_of(night), width=width - _ASIDE - 3 if is_wide else width)
    made = Table.grid(padding=(0, 3))
    if is_wide:
        made.add_row(lanes, _aside(night["figures"]))
    else:
        made.add_row(lanes)
        made.add_row(_aside(night["figures"]))
    whole = Table.grid()
    whole.add_row(Text(title))
    whole.add_row(made)
    return whole


def stages_of(night: Document) -> list[Stage | None]:
    """Return a stage for each 30 s of a night, None where there is none."""
    return [Stage(LABELS.index(it)) if it in LABELS else None for it in night["hypnogram"]]


def _local(night: Document) -> tuple[datetime, datetime]:
    """Return when a night began and ended, by the clock of the sleeper."""
    zone = ZoneInfo(night["time_zone"])
    began, ended = (datetime.fromisoformat(night[name]) for name in ("started_at", "ended_at"))
    return began.astimezone(zone), ended.astimezone(zone)


def _aside(figures: Document) -> Table:
    """Return the figures as lines of name, value and share."""
    made = Table.grid(padding=(0, 1))
    made.add_column(min_width=11)
    made.add_column(justify="right")
    made.add_column(justify="right", style="bright_black")
    woke = "-" if figures["awakenings"] is None else f"{figures['awakenings']}"
    for name, key, share in (
        ("in bed", "tib_min", ""),
        ("asleep", "tst_min", _percent(figures["efficiency_percent"])),
        ("onset after", "sol_min", ""),
        ("awake after", "waso_min", f"{woke} x"),
        ("light", "light_min", _percent(figures["light_percent"])),
        ("deep", "deep_min", _percent(figures["deep_percent"])),
        ("REM", "rem_min", _percent(figures["rem_percent"])),
        ("REM after", "rem_latency_min", ""),
    ):
        made.add_row(name, duration(figures[key]), share)
    if figures["unscored_min"]:
        made.add_row("no stage", duration(figures["unscored_min"]), "")
    return made


def duration(minutes: float | None) -> str:
    """Return minutes as hours and minutes."""
    if minutes is None:
        return "-"
    hours, rest = divmod(int(minutes + 0.5), 60)
    return f"{hours}:{rest:02d}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} %"
