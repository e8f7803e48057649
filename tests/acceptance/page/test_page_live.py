"""A night that is going on: what a device makes arrives on the page by itself."""

import re

import pytest
from playwright.sync_api import expect

from tests.acceptance.page.canvases import COLOURS, painted
from tests.acceptance.page.conftest import Opener
from tests.acceptance.page.visits import SHOWN_MS, Visit
from tests.household import Household

pytestmark = [pytest.mark.broker, pytest.mark.postgres]
STAGE = re.compile("Awake|REM sleep|Light sleep|Deep sleep")
SPEED = 240
HOURS = 6


def colours_in(tab: Visit) -> set[tuple[int, ...]]:
    return painted(tab.page.locator(".chart")).colours & set(COLOURS.values())


def test_a_stage_arrives_over_mqtt_and_is_told_and_painted_without_a_reload(
    visit: Opener, house: Household
) -> None:
    house.settle("kim@attic", "bed", zone="Europe/Berlin")
    tab = visit().enter("kim@attic")
    expect(tab.main).to_contain_text("Waiting for sleep")
    expect(tab.page.get_by_text("connected", exact=True)).to_be_visible()
    assert colours_in(tab) == set()
    tab.page.evaluate("window.isSamePage = true")
    hero = tab.page.get_by_role("region", name="Now").locator(".hero-value")
    with house.sleeping("attic/bed", speed=SPEED, hours=HOURS):
        expect(hero).to_have_text(STAGE)
        first = tab.page.get_by_role("region", name="Now").inner_text()
        expect(tab.page.get_by_role("region", name="Now")).not_to_have_text(first)
        expect(tab.page.get_by_role("status")).to_have_text(
            re.compile(rf"({STAGE.pattern}) since \d\d:\d\d")
        )
        assert colours_in(tab)
        assert tab.page.evaluate("window.isSamePage")


def test_the_page_comes_back_by_itself_when_the_facade_was_killed(
    visit: Opener, house: Household
) -> None:
    house.settle("lou@cellar", "bed")
    tab = visit(lost=True).enter("lou@cellar")
    now = tab.page.get_by_role("region", name="Now")
    with house.sleeping("cellar/bed", speed=SPEED, hours=HOURS):
        expect(now.locator(".hero-value")).to_have_text(STAGE)
        tab.page.evaluate("window.isSamePage = true")
        house.kill_facade()
        expect(now).to_contain_text("reconnecting")
        expect(now.get_by_text("live", exact=True)).to_be_visible(timeout=3 * SHOWN_MS)
        told = now.inner_text()
        expect(now).not_to_have_text(told)
        assert tab.page.evaluate("window.isSamePage")
