"""Whoever has just run ``make up``: what it prints leads to a night that arrives."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, expect

from noctis.childproc import free_port
from tests.acceptance.page.visits import Visit
from tests.integration.broker_fixtures import eventually

pytestmark = [pytest.mark.broker, pytest.mark.postgres]
ROOT: Final = Path(__file__).parents[3]
NOCTIS: Final = Path(sys.executable).with_name("noctis")
MADE: Final = re.compile(r"^\S+/noctis up(.*)$", re.MULTILINE)
ADDRESS: Final = re.compile(r"open +(http://\S+)")
SIGN_IN: Final = re.compile(r"sign in +(\S+) +password (\S+)")
UP_S: Final = 120.0
ARRIVES_MS: Final = 60_000


@contextmanager
def made_up(folder: Path) -> Iterator[Path]:
    """Run what ``make up`` runs, with ports of its own; yield the file that it prints into."""
    told = subprocess.run(
        ["make", "--dry-run", "up"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    recipe = MADE.search(told.stdout)
    assert recipe, told.stdout
    ports = ["--api-port", str(free_port()), "--internal-port", "0"]
    printed = folder / "printed"
    with printed.open("w") as file:
        process = subprocess.Popen(
            [NOCTIS, "up", *recipe[1].split(), *ports, "--var", folder / "var"],
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        assert eventually(lambda: "Ctrl-C" in printed.read_text(), within_s=UP_S)
        yield printed
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(UP_S) == 0, printed.read_text()


def nights_after_a_reload(visit: Visit) -> int:
    visit.page.reload()
    listed = visit.page.locator(".night-row, .empty")
    expect(listed.first).to_be_visible()
    return visit.page.locator(".night-row").count()


def test_a_newcomer_opens_the_printed_address_and_sees_a_night_arrive(
    browser: Browser, folder: Path
) -> None:
    with made_up(folder) as printed:
        text = printed.read_text()
        address, sign_in = ADDRESS.search(text), SIGN_IN.search(text)
        assert address, text
        assert sign_in, text
        visit = Visit(browser, address[1].rstrip("/"))
        visit.open().sign_in(*sign_in.groups())
        visit.shows("Tonight")
        now = visit.page.get_by_role("region", name="Now")
        stage = re.compile("Awake|REM sleep|Light sleep|Deep sleep")
        expect(now.locator(".hero-value")).to_have_text(stage, timeout=ARRIVES_MS)
        told = now.inner_text()
        expect(now).not_to_have_text(told, timeout=ARRIVES_MS)
        visit.go("Nights", "Nights")
        assert eventually(lambda: nights_after_a_reload(visit) == 1, within_s=UP_S)
        visit.leave()
        visit.check()
