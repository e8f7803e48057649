"""Debian's Chromium, led by Playwright: nothing is downloaded, and nothing of it stays."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from playwright.sync_api import Browser, sync_playwright

__all__ = ["chromium", "launched", "needed"]

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
STEADY: Final = (
    "--font-render-hinting=none",
    "--disable-lcd-text",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
)


def chromium() -> str | None:
    """Return the path of a Chromium; ``NOCTIS_CHROMIUM`` names another one."""
    named = os.environ.get("NOCTIS_CHROMIUM", "")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def launched() -> Iterator[Browser]:
    """Run a headless Chromium; as root without its sandbox, which refuses to run so."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(),
            args=STEADY,
            chromium_sandbox=os.geteuid() != 0,
        )
        try:
            yield browser
        finally:
            browser.close()


def needed() -> None:
    """Skip the test where there is no Chromium; in CI that is a failure."""
    if chromium() is None:
        told = "this needs chromium: scripts/bootstrap check"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
