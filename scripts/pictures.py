"""Make every picture of the documentation: ``make pictures`` writes docs/pictures.

A platform of its own runs in a temporary folder; a made-up sleeper spends some nights in it,
and Chromium looks at the page. The same seeds make the same nights.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page, expect
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tests.chromium import launched
from tests.household import PASSWORD, Household

FOLDER: Final = Path(__file__).parents[1] / "docs" / "pictures"
MOST_BYTES: Final = 160_000
ANN: Final = "ann@home"
BED: Final = "home/bedroom"
EVENINGS: Final = tuple(datetime(2026, 3, day, 22, 5, tzinfo=UTC) for day in (1, 2, 3))
HOURS: Final = 7.5
DESK: Final[Any] = {"width": 1120, "height": 980}
PHONE: Final[Any] = {"width": 390, "height": 844}
COLUMNS: Final = 100
FONT: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # of somebody else's server
INK: Final = TerminalTheme(
    (20, 24, 35),
    (233, 234, 240),
    [
        *((20, 24, 35), (240, 160, 144), (127, 208, 168), (230, 159, 0)),
        *((91, 147, 204), (204, 92, 155), (108, 184, 175), (233, 234, 240)),
    ],
)


def main() -> None:
    """Make them all, and tell how large each is."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="noctis-pictures-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with Household(folder) as house:
            house.settle(ANN, "bedroom", zone="Europe/Berlin")
            for seed, evening in enumerate(EVENINGS, 1):
                house.sleep(BED, evening, hours=HOURS, seed=seed)
                house.rise(BED, evening + timedelta(hours=HOURS))
            newest = house.closed(BED, len(EVENINGS))[0]
            _terminal(house, FOLDER / "terminal.svg")
            _report(house, FOLDER / "report.svg")
            with launched() as browser:
                _page(browser, house, str(newest.id))
    for path in sorted(FOLDER.iterdir()):
        size = path.stat().st_size
        print(f"{size:>8} {path.relative_to(FOLDER.parents[1])}")
        if size > MOST_BYTES:
            sys.exit(f"{path.name} is larger than {MOST_BYTES} bytes")


def _page(browser: Browser, house: Household, newest: str) -> None:
    night, title = f"#/night/{newest}", "The night"
    for look in ("light", "dark"):
        with _shown(browser, house, place=night, heading=title, look=look, size=DESK) as page:
            _shoot(page, f"night-{look}.png", whole=True)
    with _shown(browser, house, place=night, heading=title, look="light", size=PHONE) as page:
        _shoot(page, "night-phone.png")
    comparing = {"place": "#/compare", "heading": "Compare", "look": "light", "size": DESK}
    with _shown(browser, house, **comparing) as page:
        expect(page.locator(".charts")).to_have_count(2)
        _shoot(page, "compare-light.png", whole=True)
    start = datetime.now(UTC) - timedelta(hours=5)
    house.settle("kim@attic", "bed", zone="Europe/Berlin")
    house.sleep("attic/bed", start, hours=5, seed=4)
    house.staged("attic/bed", 600)
    live = {"place": "", "heading": "The night so far", "look": "dark", "size": PHONE}
    with _shown(browser, house, login="kim@attic", **live) as page:
        expect(page.get_by_text("live", exact=True)).to_be_visible()
        _shoot(page, "tonight-phone.png")


@contextmanager
def _shown(
    browser: Browser,
    house: Household,
    *,
    place: str,
    heading: str,
    look: Any,  # noqa: ANN401 - light or dark
    size: Any,  # noqa: ANN401 - Playwright's
    login: str = ANN,
) -> Iterator[Page]:
    """Sign in and look at a place until a heading is there."""
    context = browser.new_context(
        base_url=house.address,
        viewport=size,
        color_scheme=look,
        reduced_motion="reduce",
        device_scale_factor=2 if size is PHONE else 1,
    )
    page = context.new_page()
    page.goto(f"/{place}")
    page.get_by_label("Name").fill(login)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name=heading)).to_be_visible(timeout=30_000)
    page.evaluate("document.fonts.ready.then(() => {})")
    yield page
    context.close()


def _shoot(page: Page, name: str, *, whole: bool = False) -> None:
    page.screenshot(path=FOLDER / name, full_page=whole, animations="disabled")


def _report(house: Household, path: Path) -> None:
    """Keep what ``noctis night report`` makes of the last night."""
    _noctis(house, "report", "--output", str(path))
    path.chmod(0o644)  # nobody's night


def _terminal(house: Household, path: Path) -> None:
    """Keep what ``noctis night show`` draws, with its colours."""
    shown = _noctis(house, "show")
    console = Console(record=True, width=COLUMNS, file=StringIO())
    console.print(Text.from_ansi(shown.strip("\n")))
    drawn = console.export_svg(title=f"noctis night show {BED}", theme=INK)
    path.write_text(FONT.sub("", drawn))


def _noctis(house: Household, verb: str, *arguments: str) -> str:
    """Return what a command of the last night prints."""
    noctis = Path(sys.executable).with_name("noctis")
    var = ["--var", str(house.platform.var)]
    done = subprocess.run(  # noqa: S603 - our own program
        [noctis, "night", verb, BED, *arguments, *var],
        capture_output=True,
        text=True,
        check=True,
        env={"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"},
    )
    return done.stdout


if __name__ == "__main__":
    main()
