"""A night as a page."""

from typing import Final

from cli.nouns.documents import Document
from cli.report import charts
from cli.report.figures import FIGURES, VITALS
from cli.report.inline import Styles
from cli.report.look import Sheet
from cli.report.night import WholeNight, mean, runs
from cli.report.page import drawings, rendered
from cli.report.words import (
    DISCLAIMER,
    LONG,
    STAGES,
    about,
    clock,
    duration,
    night_name,
    number,
    span,
)
from noctis.epoch import EPOCH_SECONDS

__all__ = ["night_page"]

_HEADS: Final = ("From", "Stage", "For", "Heart rate, bpm", "Breathing, per min", "Moving, %")


def night_page(whole: WholeNight) -> str:
    """Return a night as a page, with charts for wide and for narrow screens."""
    night, styles = whole.night, Styles()
    name = night_name(night)
    label = f"{name}: sleep stages, heart rate, breathing and movement; as a table below"

    def drawn(width: int) -> Sheet:
        sheet = Sheet(width, charts.HEIGHT)
        charts.draw(sheet, whole, left=0, top=0, width=width - 18)
        return sheet

    return rendered(
        "night.html",
        styles,
        title=f"{name} · {night['device']}",
        night=night,
        name=name,
        span=span(night),
        asleep=duration(night["figures"]["tst_min"]),
        pieces=_pieces(night["figures"]),
        heads=_HEADS,
        rows=_rows(whole),
        figures=_figures(night["figures"]),
        about=f"{' · '.join(about(night))}. {DISCLAIMER}",
        **drawings(drawn, styles, label),
    )


def _rows(whole: WholeNight) -> list[dict[str, str]]:
    """Return a row for each stretch of one stage."""
    return [
        {
            "begin": clock(whole.at(it.begin), whole.zone),
            "stage": LONG[it.label],
            "length": duration((it.end - it.begin) * EPOCH_SECONDS / 60),
            "heart": number(mean(whole.heart, it)),
            "breath": number(mean(whole.breath, it), 1),
            "motion": number(mean(whole.motion, it)),
        }
        for it in runs(whole.stages)
    ]


def _pieces(figures: Document) -> list[dict[str, str]]:
    """Return the shares of the stages side by side, in percent."""
    minutes = {it: figures[f"{it}_min"] or 0.0 for it in STAGES}
    total, left, pieces = sum(minutes.values()), 0.0, []
    for stage, length in minutes.items():
        if length:
            width = 100 * length / total
            shown = {"left": f"{left:.2f}", "width": f"{max(width - 0.3, 0.1):.2f}"}
            pieces.append({"stage": stage, **shown})
            left += width
    return pieces


def _figures(figures: Document) -> list[dict[str, str]]:
    return [
        {
            "title": it.title,
            "value": it.told(figures.get(it.name)),
            "share": _share(figures, it.name),
            "definition": it.definition,
        }
        for it in FIGURES
        if it.name not in VITALS or figures.get(it.name) is not None
    ]


def _share(figures: Document, name: str) -> str:
    share = name.replace("_min", "_percent")
    return number(figures[share], unit="%") if share != name and share in figures else ""
