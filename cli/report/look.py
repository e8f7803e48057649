"""How reports look: the page's colours, a sheet measured in pixels, and its bytes.

The same figure gives the same bytes on every machine: text is set in matplotlib's own DejaVu
Sans, ids are hashed with a fixed salt, and no date is kept. In SVG text stays text.
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

__all__ = ["COLOURS", "FONTS", "Sheet", "png", "settings", "svg"]

COLOURS: Final[Mapping[str, str]] = {
    "wake": "#e69f00",
    "rem": "#aa3377",
    "light": "#4477aa",
    "deep": "#1b2a49",
    "heart": "#b3434f",
    "breath": "#3c7f78",
    "motion": "#8a8577",
    "ink": "#1a1d27",
    "soft": "#5b6070",
    "quiet": "#6a6e7c",
    "line": "#e6e3da",
    "grid": "#ece9e0",
    "gap": "#f1efe8",
    "joint": "#c9c5b8",
    "accent": "#3b4fa8",
    "card": "#ffffff",
}
"""The page's own, on white paper (api/page/css/base.css)."""

FONTS: Final = "Inter, system-ui, 'DejaVu Sans', sans-serif"
_OWN: Final = "'DejaVu Sans', sans-serif"
_SETTINGS: Final[Any] = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.unicode_minus": False,
}
_DPI: Final = 72
"""Of a sheet: a point is a pixel."""


class Sheet:
    """An empty figure of so many pixels; places count from its upper left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.width = width
        self.height = height
        size = (width / _DPI, height / _DPI)
        self.figure = Figure(figsize=size, dpi=_DPI, facecolor=COLOURS["card"])

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Return axes without frame, marks and labels."""
        bottom = self.height - top - height
        across, up = self.width, self.height
        place = (left / across, bottom / up, width / across, height / up)
        made = self.figure.add_axes(place)
        made.set_facecolor("none")
        made.tick_params(length=0, labelsize=11, labelcolor=COLOURS["quiet"], pad=8)
        for edge in made.spines.values():
            edge.set_visible(False)
        return made

    def text(
        self,
        left: float,
        base: float,
        text: str,
        *,
        size: float = 12,
        colour: str = "ink",
        align: Literal["left", "center", "right"] = "left",
        weight: Literal["normal", "bold"] = "normal",
    ) -> None:
        """Write a line of text on its base line."""
        self.figure.text(
            left / self.width,
            1 - base / self.height,
            text,
            fontsize=size,
            color=COLOURS[colour],
            ha=align,
            va="baseline",
            weight=weight,
        )

    def box(self, left: float, top: float, width: float, height: float, colour: str) -> None:
        """Fill a rectangle."""
        corner = (left / self.width, 1 - (top + height) / self.height)
        size = (width / self.width, height / self.height)
        self.figure.add_artist(Rectangle(corner, *size, color=COLOURS[colour], lw=0))


@contextmanager
def settings(salt: str = "noctis") -> Iterator[None]:
    """Draw alike everywhere inside, whatever the reader's own matplotlibrc says.

    ``salt`` keeps the ids of two drawings in one document apart.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({**_SETTINGS, "svg.hashsalt": salt})
        yield


def svg(sheet: Sheet, *, title: str) -> str:
    """Return a sheet as SVG, drawn within ``settings``."""
    stream = io.BytesIO()
    told: Any = {"Title": title, "Creator": "Noctis", "Date": None}
    sheet.figure.savefig(stream, format="svg", metadata=told)
    return stream.getvalue().decode().replace(_OWN, FONTS)


def png(sheet: Sheet, *, title: str) -> bytes:
    """Return a sheet as PNG, two pixels for each of its own, drawn within ``settings``."""
    stream = io.BytesIO()
    told = {"Title": title, "Software": "Noctis"}
    sheet.figure.savefig(stream, format="png", dpi=2 * _DPI, metadata=told)
    return stream.getvalue()
