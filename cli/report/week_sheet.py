"""A week on one sheet, A4 across: seven nights by the clock on the wall, and medians."""

from typing import Final

from matplotlib.axes import Axes
from matplotlib.patches import PathPatch

from cli.report.charts import rectangles
from cli.report.figures import WEEK_FIGURES
from cli.report.look import COLOURS, Sheet
from cli.report.night import runs
from cli.report.sheet import ASIDE, EDGE, SIZE
from cli.report.week import Row, WholeWeek
from cli.report.words import (
    DISCLAIMER,
    LONG,
    NAMES,
    NOTHING,
    STAGES,
    duration,
    number,
    span,
    wall,
    week_name,
)
from noctis.epoch import EPOCH_SECONDS

__all__ = ["HEIGHT", "draw", "notes", "regularity", "week_sheet"]

HEIGHT: Final = 560
"""Pixels of the chart with its legend and its hours."""
_LEFT: Final = 52
_RIGHT: Final = 88
_LEGEND_PX: Final = 34
_ROWS_PX: Final = 490
_HALF: Final = 0.33
"""Half of a bar's height, of its row."""
_USUAL: Final = (9.0, 20.0)
"""Hours since noon that are shown at least: 21:00 to 08:00."""
_HOUR_PX: Final = 52


def week_sheet(seen: WholeWeek) -> Sheet:
    """Return a week as a sheet."""
    sheet = Sheet(*SIZE)
    right = sheet.width - EDGE
    sheet.text(EDGE, 60, seen.device, colour="soft")
    sheet.text(EDGE, 94, week_name(seen.monday), size=26)
    told = f"{seen.told['nights']} of {seen.told['evenings']} evenings with a night"
    sheet.text(EDGE, 119, f"{told} · {seen.time_zone}", colour="soft")
    draw(sheet, seen, left=EDGE, top=150, width=right - ASIDE - 48 - EDGE)
    _aside(sheet, seen, right - ASIDE)
    sheet.text(EDGE, 762, " ".join(notes(seen)), size=10, colour="soft")
    sheet.text(right, 762, "Noctis", size=10, colour="soft", align="right")
    return sheet


def notes(seen: WholeWeek) -> list[str]:
    """Return what has to be said of the drawing."""
    turned = [
        f"The clocks were changed in {it.evening:%A}'s night: its bar has its true length."
        for it in seen.rows
        if it.turned
    ]
    return [*turned, DISCLAIMER]


def regularity(seen: WholeWeek) -> str:
    """Return the Sleep Regularity Index of a week."""
    index = seen.told["regularity"]
    return NOTHING if index is None else f"{number(index)} of 100"


def draw(sheet: Sheet, seen: WholeWeek, *, left: float, top: float, width: float) -> None:
    """Draw the week's nights below each other; they take HEIGHT pixels from ``top``."""
    _legend(sheet, seen.rows, left, top)
    across = width - _LEFT - _RIGHT
    axes = sheet.axes(left + _LEFT, top + _LEGEND_PX, across, _ROWS_PX)
    axes.set_ylim(len(seen.rows) - 0.5, -0.5)
    axes.set_yticks([])
    _hours(axes, seen.rows, across)
    for place, row in enumerate(seen.rows):
        middle = top + _LEGEND_PX + _ROWS_PX * (place + 0.5) / len(seen.rows)
        _row(axes, place, row)
        day = f"{row.evening:%a} {row.evening.day}"
        sheet.text(left, middle + 4, day, size=11, colour="quiet")
        if row.night is None:
            sheet.text(left + _LEFT + 10, middle + 4, row.reason, size=11, colour="quiet")
            continue
        asleep = duration(row.night["figures"]["tst_min"])
        sheet.text(left + width, middle, asleep, size=12, align="right")
        sheet.text(
            left + width, middle + 16, span(row.night), size=10, colour="soft", align="right"
        )


def _legend(sheet: Sheet, rows: list[Row], left: float, top: float) -> None:
    shown = {**NAMES, "out_of_bed": LONG["out_of_bed"]}
    there = {label for it in rows for label in (it.night or {}).get("hypnogram", ())}
    for label, name in shown.items():
        if label not in {*NAMES, *there}:
            continue
        sheet.box(left, top, 10, 10, _colour(label))
        sheet.text(left + 16, top + 9, name, size=10.5, colour="soft")
        left += 34 + 5.6 * len(name)


def _colour(label: str) -> str:
    return label if label in STAGES else "joint"


def _row(axes: Axes, place: int, row: Row) -> None:
    """Draw a night from when it began by the clock on the wall: the deeper, the longer down."""
    if row.night is None:
        low, high = axes.get_xlim()
        path = rectangles([(low, high)], place - _HALF, place + _HALF)
        axes.add_patch(
            PathPatch(path, facecolor=COLOURS["gap"], linewidth=0, gid=f"row-{place}-absent")
        )
        return
    found = runs(row.night["hypnogram"])
    begin, epoch_h = row.begin_min / 60, EPOCH_SECONDS / 3600
    for label in ("out_of_bed", *STAGES):
        spans = [
            (begin + it.begin * epoch_h, begin + it.end * epoch_h)
            for it in found
            if it.label == label
        ]
        depth = STAGES.index(label) + 1 if label in STAGES else 1
        top = place - _HALF
        path = rectangles(spans, top, top + 2 * _HALF * depth / len(STAGES))
        colour = COLOURS[_colour(label)]
        axes.add_patch(
            PathPatch(path, facecolor=colour, linewidth=0, gid=f"row-{place}-{label}")
        )


def _hours(axes: Axes, rows: list[Row], across: float) -> None:
    """Give all nights the same axis: hours since noon, named by the clock on the wall."""
    there = [it for it in rows if it.night is not None]
    low = min(_USUAL[0], *(it.begin_min // 60 for it in there), _USUAL[0])
    ends = (-(-(it.begin_min + it.length_min) // 60) for it in there)
    high = max(_USUAL[1], *ends, _USUAL[1])
    every = next((it for it in (1, 2, 3, 4, 6) if (high - low) / it * _HOUR_PX <= across), 12)
    marks = [it for it in range(int(low), int(high) + 1) if it % every == 0]
    axes.set_xlim(low, high)
    axes.set_xticks(marks, [wall(60 * it) for it in marks])
    axes.grid(axis="x", color=COLOURS["grid"], linewidth=1)
    axes.set_axisbelow(True)


def _aside(sheet: Sheet, seen: WholeWeek, left: float) -> None:
    right, figures = left + ASIDE, seen.told["figures"]
    asleep = figures["tst_min"]
    sheet.text(left - 1, 178, duration(asleep and asleep["median"]), size=30)
    sheet.text(left, 200, "asleep, the median", colour="soft")
    sheet.box(left, 224, ASIDE, 1, "line")
    sheet.text(left, 254, "Regularity", colour="soft")
    sheet.text(right, 254, regularity(seen), align="right")
    sheet.text(left, 269, "Sleep Regularity Index, SRI", size=9, colour="quiet")
    base = 294.0
    for each in WEEK_FIGURES:
        spread = figures.get(each.name)
        if spread is None:
            continue
        low, median, high = (each.told(spread[it]) for it in ("low", "median", "high"))
        half = f"{low} – {high}"  # noqa: RUF001 - from, to
        sheet.text(left, base, each.title, colour="soft")
        sheet.text(right, base, median, align="right")
        sheet.text(left, base + 14, each.term, size=9, colour="quiet")
        sheet.text(right, base + 14, half, size=9, colour="quiet", align="right")
        base += 33
