"""A night on one sheet, A4 across: its charts, and its figures beside them."""

from typing import Final

from cli.nouns.documents import Document
from cli.report.charts import draw
from cli.report.figures import FIGURES, VITALS
from cli.report.look import Sheet
from cli.report.night import WholeNight
from cli.report.words import (
    DISCLAIMER,
    LONG,
    NOTHING,
    STAGES,
    about,
    duration,
    night_name,
    number,
    span,
)

__all__ = ["ASIDE", "EDGE", "SIZE", "night_sheet"]

SIZE: Final = (1123, 794)
"""A4 at 96 pixels an inch."""
EDGE: Final = 56
ASIDE: Final = 270
_SHOWN: Final = (
    *("tib_min", "efficiency_percent", "sol_min", "waso_min", "awakenings"),
    "rem_latency_min",
)
_LINE: Final = 25


def night_sheet(whole: WholeNight) -> Sheet:
    """Return a night as a sheet."""
    night = whole.night
    sheet = Sheet(*SIZE)
    right = sheet.width - EDGE
    sheet.text(EDGE, 60, night["device"], colour="soft")
    sheet.text(EDGE, 94, night_name(night), size=26)
    sheet.text(EDGE, 119, f"{span(night)} · {night['time_zone']}", colour="soft")
    draw(sheet, whole, left=EDGE, top=142, width=right - ASIDE - 48 - EDGE)
    _aside(sheet, night["figures"], right - ASIDE)
    told = " · ".join(about(night))
    sheet.text(EDGE, 762, f"{told}. {DISCLAIMER}", size=10, colour="soft")
    sheet.text(right, 762, "Noctis", size=10, colour="soft", align="right")
    return sheet


def _aside(sheet: Sheet, figures: Document, left: float) -> None:
    right = left + ASIDE
    sheet.text(left - 1, 178, duration(figures["tst_min"]), size=30)
    sheet.text(left, 200, "asleep", colour="soft")
    minutes = {it: figures[f"{it}_min"] or 0.0 for it in STAGES}
    total = sum(minutes.values())
    _bar(sheet, minutes, left, 228)
    base = 270.0
    for stage in STAGES:
        sheet.box(left, base - 9, 10, 10, stage)
        sheet.text(left + 20, base, LONG[stage])
        sheet.text(right - 52, base, duration(figures[f"{stage}_min"]), align="right")
        share = number(100 * minutes[stage] / total, unit="%") if total else NOTHING
        sheet.text(right, base, share, colour="soft", align="right")
        base += _LINE
    sheet.box(left, base, ASIDE, 1, "line")
    base += 36
    measured = [it for it in VITALS if figures.get(it) is not None]
    for each in FIGURES:
        if each.name in (*_SHOWN, *measured):
            sheet.text(left, base, each.title, colour="soft")
            sheet.text(right, base, each.told(figures[each.name]), align="right")
            base += _LINE


def _bar(sheet: Sheet, minutes: dict[str, float], left: float, top: float) -> None:
    """Draw the shares of the stages side by side."""
    total = sum(minutes.values())
    sheet.box(left, top, ASIDE, 12, "gap")
    for stage, length in minutes.items():
        if not length:
            continue
        width = ASIDE * length / total
        sheet.box(left, top, max(width - 2, 1), 12, stage)
        left += width
