"""A week as a page."""

from cli.report import week_sheet
from cli.report.figures import FIGURES, WEEK_FIGURES
from cli.report.inline import Styles
from cli.report.look import Sheet
from cli.report.page import drawings, rendered
from cli.report.week import Row, WholeWeek
from cli.report.week_sheet import notes, regularity
from cli.report.words import duration, evening_name, number, span, week_name

__all__ = ["week_page"]

_OF_NIGHTS = [
    it
    for it in FIGURES
    if it.name in ("tst_min", "efficiency_percent", "deep_min", "rem_min", "awakenings")
]


def week_page(seen: WholeWeek) -> str:
    """Return a week as a page, with its chart for wide and for narrow screens."""
    styles, name, asleep = Styles(), week_name(seen.monday), seen.told["figures"]["tst_min"]
    label = f"{name}: the stages of each night by the clock; the nights as a table below"

    def drawn(width: int) -> Sheet:
        sheet = Sheet(width, week_sheet.HEIGHT)
        week_sheet.draw(sheet, seen, left=0, top=0, width=width)
        return sheet

    return rendered(
        "week.html",
        styles,
        title=f"{name} · {seen.device}",
        device=seen.device,
        zone=seen.time_zone,
        name=name,
        asleep=duration(asleep and asleep["median"]),
        nights=f"{seen.told['nights']} of {seen.told['evenings']}",
        regularity=regularity(seen),
        heads=["Evening", "In bed", *(it.title for it in _OF_NIGHTS)],
        rows=[_row(it) for it in seen.rows],
        figures=_figures(seen),
        notes=" ".join(notes(seen)),
        **drawings(drawn, styles, label),
    )


def _row(row: Row) -> dict[str, object]:
    name = evening_name(row.evening)
    if row.night is None:
        return {"evening": name, "reason": row.reason.capitalize()}
    figures = row.night["figures"]
    cells = [span(row.night), *(it.told(figures[it.name]) for it in _OF_NIGHTS)]
    return {"evening": name, "reason": "", "cells": cells}


def _figures(seen: WholeWeek) -> list[dict[str, str]]:
    """Return a row for each figure that a night of the week has."""
    made = []
    for each in WEEK_FIGURES:
        spread = seen.told["figures"].get(each.name)
        if spread is None:
            continue
        told = {it: each.told(spread[it]) for it in ("median", "low", "high")}
        told["nights"] = number(spread["nights"])
        made.append({"title": each.title, "definition": each.definition, **told})
    return made
