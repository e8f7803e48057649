"""A report as bytes of one of its formats."""

from typing import Literal

from cli.report.look import png, settings, svg
from cli.report.night import WholeNight, whole
from cli.report.page import night_page
from cli.report.sheet import night_sheet
from cli.report.words import night_name

__all__ = ["Format", "night_report", "whole"]

Format = Literal["html", "svg", "png"]


def night_report(seen: WholeNight, form: Format) -> bytes:
    """Return a night as a page, a drawing or a picture; the same night as the same bytes."""
    if form == "html":
        return night_page(seen).encode()
    title = f"{night_name(seen.night)}, {seen.night['device']}"
    with settings():
        sheet = night_sheet(seen)
        return svg(sheet, title=title).encode() if form == "svg" else png(sheet, title=title)
