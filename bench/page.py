"""The page's first paint beside a bare document's, and a night's charts beside empty ones.

Headless Chromium and one server, which hands out the page and an HTML document of one heading
(``bench.page_server``). In each round both are opened in turn in a profile of their own, with
nothing kept (cold), and again with what the browser kept of that (warm): milliseconds from the
start of the navigation to the first contentful paint, and until the heading is painted: on the
page that is the door, drawn by its modules. Then, in a document opened anew for each, the page
draws a night of 960 epochs, and uPlot alone as many charts of as many points without a value:
the first time, and five times more. A ratio is formed within a round.
"""

import argparse
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from playwright.sync_api import Browser, Page

from api.assets import Shelf
from bench.page_server import BARE
from noctis.childproc import Child, free_port
from tests.chromium import launched

__all__ = ["main", "measure"]

EPOCHS: Final = 960
AGAIN: Final = 5
WIDE: Final[Any] = {"width": 1180, "height": 900}
PLACES: Final = {"page": "/", "bare": BARE}
_CHARTS: Final = Path(__file__).with_name("page_charts.js")
_HEADING: Final = """
new MutationObserver((_, it) => {
  if (!document.querySelector("main h1")) return;
  it.disconnect();
  requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("heading")));
}).observe(document, { childList: true, subtree: true });
"""
_PAINTED: Final = """
() => new Promise((resolve) => {
  const found = {};
  new PerformanceObserver((list) => {
    for (const { name, startTime } of list.getEntries()) found[name] = startTime;
    const told = [found["first-contentful-paint"], found.heading];
    if (told.every((each) => each !== undefined)) resolve(told);
  }).observe({ entryTypes: ["paint", "mark"] });
  for (const { name, startTime } of performance.getEntries()) found[name] = startTime;
  const told = [found["first-contentful-paint"], found.heading];
  if (told.every((each) => each !== undefined)) resolve(told);
})
"""


class Key(NamedTuple):
    """What was measured: what of, of which way, and with what behind it."""

    what: str
    way: str
    when: str


AIMS_MS: Final = {
    Key("first paint", "page", "cold"): 1000.0,
    Key("drawn", "night", "first"): 50.0,
}
_BESIDE: Final = {"page": "bare", "night": "empty"}
Figures = dict[Key, list[float]]
"""Milliseconds, one of each round."""


def measure(browser: Browser, rounds: int) -> dict[str, Any]:
    """Return medians and ratios of so many rounds; one before them is thrown away."""
    figures: Figures = {}
    with _serving() as address:
        for number in range(rounds + 1):
            print(f"round {number} of {rounds}", file=sys.stderr)
            told = _round(browser, address, backwards=number % 2 == 1)
            for key, value in told.items() if number else ():
                figures.setdefault(key, []).append(value)
    sizes = {"rounds": rounds, "epochs": EPOCHS}
    return {"chromium": browser.version, **sizes, **_told(figures)}


def _round(browser: Browser, address: str, *, backwards: bool) -> dict[Key, float]:
    found: dict[Key, float] = {}
    turns = -1 if backwards else 1
    for way in list(PLACES)[::turns]:
        context = browser.new_context(base_url=address, viewport=WIDE)
        context.add_init_script(_HEADING)
        for when in ("cold", "warm"):
            page = context.new_page()
            page.goto(PLACES[way])
            painted = page.evaluate(_PAINTED)
            for what, value in zip(("first paint", "heading"), painted, strict=True):
                found[Key(what, way, when)] = value
            page.close()
        context.close()
    for way in ("night", "empty")[::turns]:
        context = browser.new_context(base_url=address, viewport=WIDE)
        first, *again = _drawn(context.new_page(), way)
        for what in ("drawn", "shown"):
            found[Key(what, way, "first")] = first[what]
            found[Key(what, way, "again")] = median(each[what] for each in again)
        context.close()
    return found


def _drawn(page: Page, way: str) -> list[dict[str, float]]:
    page.goto("/")
    page.get_by_role("heading", level=1).wait_for()
    parts = f"/page/{Shelf().look().name}"
    drawn: list[dict[str, float]] = page.evaluate(
        _CHARTS.read_text(), [parts, way, EPOCHS, 1 + AGAIN]
    )
    return drawn


def _told(figures: Figures) -> dict[str, Any]:
    ratios = {
        f"{key.what}, {key.when}": [
            one / other
            for one, other in zip(
                values, figures[key._replace(way=_BESIDE[key.way])], strict=True
            )
        ]
        for key, values in figures.items()
        if key.way in _BESIDE
    }
    return {
        "ms": {
            f"{way}: {what}, {when}": _spread(values)
            for (what, way, when), values in figures.items()
        },
        "ratio": {name: _spread(values) for name, values in ratios.items()},
        "aims": {
            f"{key.way}: {key.what}, {key.when}": {
                "under_ms": aim,
                "held": median(figures[key]) < aim,
            }
            for key, aim in AIMS_MS.items()
        },
    }


def _spread(values: list[float]) -> dict[str, float]:
    told = {"median": median(values), "least": min(values), "most": max(values)}
    return {name: round(value, 2) for name, value in told.items()}


@contextmanager
def _serving() -> Iterator[str]:
    """Serve both documents; the address."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="noctis-bench-") as folder:
        command = (sys.executable, "-m", "bench.page_server", str(port))
        child = Child(command, log=Path(folder) / "server.log")
        try:
            _wait(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            child.stop(within_s=20)


def _wait(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{BARE}", timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def main() -> int:
    """Measure, and tell; 0."""
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="that count (15)")
    parser.add_argument("--json", action="store_true", help="one JSON value on stdout")
    given = parser.parse_args()
    with launched() as browser:
        result = measure(browser, given.rounds)
    if given.json:
        print(json.dumps(result))
    else:
        for unit in ("ms", "ratio"):
            for name, it in result[unit].items():
                print(f"{unit:<7}{name:<28}{it['median']:>9} ({it['least']} to {it['most']})")
        for name, aim in result["aims"].items():
            print(f"{name}: under {aim['under_ms']:g} ms: {aim['held']}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
