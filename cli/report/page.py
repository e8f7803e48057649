"""Reports as pages: one file each, without script, that asks nobody for anything."""

import base64
import hashlib
from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cli.nouns.documents import Document
from cli.report import charts
from cli.report.inline import Styles, inline
from cli.report.look import Sheet, settings, svg
from cli.report.night import WholeNight, mean, runs
from cli.report.words import (
    DISCLAIMER,
    FIGURES,
    LONG,
    STAGES,
    VITALS,
    about,
    clock,
    duration,
    night_name,
    number,
    span,
)
from noctis.epoch import EPOCH_SECONDS

__all__ = ["night_page", "rendered"]

WIDTHS: Final = {"wide-": 984, "narrow-": 330}
_HEADS: Final = ("From", "Stage", "For", "Heart rate, bpm", "Breathing, per min", "Moving, %")


def night_page(whole: WholeNight) -> str:
    """Return a night as a page, with charts for wide and for narrow screens."""
    night, styles = whole.night, Styles()
    name = night_name(night)
    label = f"{name}: sleep stages, heart rate, breathing and movement; as a table below"
    drawings = {
        prefix.rstrip("-"): Markup(_charts(whole, styles, width, label, prefix))  # noqa: S704 - our own drawing, escaped by ElementTree
        for prefix, width in WIDTHS.items()
    }
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
        **drawings,
    )


def rendered(template: str, styles: Styles, **values: object) -> str:
    """Return a page of a template; its policy allows its own style sheet and nothing else."""
    source = _environment().get_template("report.css").render()
    css = f"{source}\n{styles.rules}\n"
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    made = _environment().get_template(template)
    return made.render(css=Markup(css), hash=f"sha256-{digest}", **values)  # noqa: S704 - ours


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("cli.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _charts(whole: WholeNight, styles: Styles, width: int, label: str, prefix: str) -> str:
    with settings(prefix):
        sheet = Sheet(width, charts.HEIGHT)
        charts.draw(sheet, whole, left=0, top=0, width=width - 18)
        return inline(svg(sheet, title=label), styles, label=label, prefix=prefix)


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
