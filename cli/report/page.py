"""Reports as pages: one file each, without script, that asks nobody for anything."""

import base64
import hashlib
from collections.abc import Callable
from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cli.report.inline import Styles, inline
from cli.report.look import Sheet, settings, svg

__all__ = ["drawings", "rendered"]

WIDTHS: Final = {"wide": 984, "narrow": 330}
"""Pixels of a drawing, for a desk and for a phone."""


def drawings(draw: Callable[[int], Sheet], styles: Styles, label: str) -> dict[str, Markup]:
    """Return what ``draw`` draws in each of WIDTHS, by name, as parts of one page."""
    made = {}
    for name, width in WIDTHS.items():
        with settings(name):
            drawn = svg(draw(width), title=label)
        part = inline(drawn, styles, label=label, prefix=f"{name}-")
        made[name] = Markup(part)  # noqa: S704 - ElementTree escaped it
    return made


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
