"""A report as bytes of one of its formats; the same night gives the same bytes."""

from collections.abc import Callable
from typing import Literal

from cli.report.look import Sheet, png, settings, svg
from cli.report.night import WholeNight, whole
from cli.report.night_page import night_page
from cli.report.sheet import night_sheet
from cli.report.week import WholeWeek, week
from cli.report.week_page import week_page
from cli.report.week_sheet import week_sheet
from cli.report.words import night_name, week_name

__all__ = ["Format", "night_report", "week", "week_report", "whole"]

Format = Literal["html", "svg", "png"]


def night_report(seen: WholeNight, form: Format) -> bytes:
    """Return a night as a page, a drawing or a picture."""
    if form == "html":
        return night_page(seen).encode()
    title = f"{night_name(seen.night)}, {seen.night['device']}"
    return _drawn(lambda: night_sheet(seen), form, title)


def week_report(seen: WholeWeek, form: Format) -> bytes:
    """Return a week as a page, a drawing or a picture."""
    if form == "html":
        return week_page(seen).encode()
    return _drawn(lambda: week_sheet(seen), form, f"{week_name(seen.monday)}, {seen.device}")


def _drawn(draw: Callable[[], Sheet], form: Literal["svg", "png"], title: str) -> bytes:
    with settings():
        sheet = draw()
        return svg(sheet, title=title).encode() if form == "svg" else png(sheet, title=title)
