"""The bench of the page: it measures what it says, here without a word on how fast."""

import pytest
from playwright.sync_api import Browser

from bench.page import measure


def test_each_way_is_measured_and_a_ratio_is_of_its_own_round(browser: Browser) -> None:
    told = measure(browser, rounds=1)
    for page, bare in (("page", "bare"), ("night", "empty")):
        measured = {
            name.removeprefix(f"{page}: "): it["median"]
            for name, it in told["ms"].items()
            if name.startswith(page)
        }
        assert len(measured) == 4
        for name, value in measured.items():
            beside = told["ms"][f"{bare}: {name}"]["median"]
            assert beside > 0
            ratio = told["ratio"][name]["median"]
            assert ratio == pytest.approx(value / beside, rel=0.05, abs=0.01)
    assert set(told["aims"]) == {"page: first paint, cold", "night: drawn, first"}
