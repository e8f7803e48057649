"""A drawing as a part of a page: its colours and styles become the page's own."""

from typing import Final
from xml.etree import ElementTree as ET

from cli.report.look import COLOURS

__all__ = ["Styles", "inline"]

SVG: Final = "http://www.w3.org/2000/svg"
_DROPPED: Final = tuple(f"{{{SVG}}}{name}" for name in ("metadata", "title", "style"))


class Styles:
    """The styles of a page's drawings as classes.

    A page without ``style`` attributes can forbid all that it did not come with.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name(self, style: str) -> str:
        """Return the class of a style, its colours replaced by the page's."""
        for colour, value in COLOURS.items():
            style = style.replace(value, f"var(--{colour})")
        return self._names.setdefault(style, f"d{len(self._names)}")

    @property
    def rules(self) -> str:
        """The classes as CSS."""
        return "\n".join(f".{name} {{ {style} }}" for style, name in self._names.items())


def inline(svg: str, styles: Styles, *, label: str, prefix: str) -> str:
    """Return one of our own drawings without header, as an image of so many words.

    ``prefix`` goes before its ids, which are once in a document.
    """
    ET.register_namespace("", SVG)
    root = ET.fromstring(svg)  # noqa: S314 - drawn by ourselves
    for parent in list(root.iter()):
        for each in [it for it in parent if it.tag in _DROPPED]:
            parent.remove(each)
    for element in root.iter():
        _settle(element, styles, prefix)
    for size in ("width", "height"):
        del root.attrib[size]
    root.attrib |= {"class": prefix.rstrip("-"), "role": "img", "aria-label": label}
    return ET.tostring(root, encoding="unicode")


def _settle(element: ET.Element, styles: Styles, prefix: str) -> None:
    """Give an element of a drawing its class, and ids of its own in the page."""
    known = element.attrib
    style = known.pop("style", "")
    if style:
        known["class"] = styles.name(style)
    if "id" in known:
        known["id"] = prefix + known["id"]
    if "clip-path" in known:
        known["clip-path"] = known["clip-path"].replace("url(#", f"url(#{prefix}")
