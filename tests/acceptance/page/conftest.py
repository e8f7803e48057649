"""One platform and one Chromium for all tests of the page, and a visit for each."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, expect

from cli.service import device_program
from noctis.errors import ProcessError
from tests.acceptance.page.visits import SHOWN_MS, Visit
from tests.chromium import launched, needed
from tests.household import Household

ANN: Final = "ann@home"
BED: Final = "home/bedroom"
BOB: Final = "bob@hotel"
ROOM: Final = "hotel/room-1"
Opener = Callable[..., Visit]


def evening(days: int) -> datetime:
    """Return 22:10 UTC so many days ago."""
    today = datetime.now(UTC).replace(hour=22, minute=10, second=0, microsecond=0)
    return today - timedelta(days=days)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    needed()
    expect.set_options(timeout=SHOWN_MS)  # a busy machine takes its time
    with launched() as browser:
        yield browser


@pytest.fixture(scope="package")
def house(browser: Browser) -> Iterator[Household]:  # noqa: ARG001 - no browser, no platform
    """A home with a whole night and one with a gap, and a hotel with another one."""
    try:
        device_program()
    except ProcessError:
        pytest.skip("this needs noctis-device")
    with ExitStack() as ends:
        name = ends.enter_context(tempfile.TemporaryDirectory(prefix="noctis-test-"))
        folder = Path(name)
        folder.chmod(0o755)
        house = ends.enter_context(Household(folder))
        house.settle(ANN, "bedroom", zone="Europe/Berlin")
        house.settle(BOB, "room-1", role="member")
        house.sleep(BED, evening(5), hours=6, seed=1)
        house.sleep(BED, evening(3), hours=2, seed=2)
        house.sleep(BED, evening(3) + timedelta(hours=2.5), hours=1.5, seed=3)
        house.sleep(ROOM, evening(3), hours=0.5, seed=4)
        house.staged(BED, 420, 720)
        house.staged(ROOM, 60)
        yield house


@pytest.fixture
def visit(browser: Browser, house: Household) -> Iterator[Opener]:
    """Open the page in a tab of a new profile; what went wrong in it fails the test."""
    visits: list[Visit] = []

    def opened(**options: Any) -> Visit:  # noqa: ANN401 - what Playwright takes
        visits.append(Visit(browser, house.address, **options))
        return visits[-1]

    yield opened
    for each in visits:
        each.leave()
    for each in visits:
        each.check()
