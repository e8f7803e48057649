"""The list of nights as it is now, without a reload and without a jump."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Locator, expect

from tests.acceptance.page.conftest import Opener, evening
from tests.acceptance.page.visits import SHOWN_MS, Visit
from tests.household import Household

pytestmark = [pytest.mark.broker, pytest.mark.postgres]
LOW = {"width": 1180, "height": 130}


def rows_of(tab: Visit) -> Locator:
    return tab.page.get_by_role("listitem").filter(has_text="%")


def top_of(element: Locator) -> float:
    box = element.bounding_box()
    assert box is not None
    return box["y"]


def test_a_night_is_told_as_what_it_is_until_it_has_closed(
    visit: Opener, house: Household
) -> None:
    house.settle("eve@loft", "bed")
    rose = datetime.now(UTC) - timedelta(hours=2)
    house.sleep("loft/bed", rose - timedelta(hours=1), hours=1, seed=6)
    house.staged("loft/bed", 120)
    tab = visit().enter("eve@loft", "#/nights", "Nights")
    row = rows_of(tab)
    expect(row).to_have_count(1)
    expect(row.locator(".tag")).to_have_text("recording")
    later = visit()
    later.page.clock.set_fixed_time(time.time() * 1000 + 600_000)
    later.enter("eve@loft", "#/nights", "Nights")
    expect(rows_of(later).locator(".tag")).to_have_text("not closed yet")
    (night,) = house.nights("loft/bed")
    reader = visit().open(f"#/night/{night.id}").sign_in("eve@loft")
    expect(reader.main).to_contain_text("Not closed yet")
    reader.page.get_by_text("What these mean").click()
    expect(reader.main).not_to_contain_text("with the whole night in sight")
    house.rise("loft/bed", rose)
    house.closed("loft/bed", 1)
    expect(row.locator(".tag")).to_have_count(0)
    expect(reader.main).to_contain_text("with the whole night in sight")
    expect(reader.main).not_to_contain_text("Not closed yet")
    expect(reader.page.get_by_text("light, deep and REM sleep together")).to_be_visible()
    expect(reader.page.get_by_text("What these mean")).to_be_focused()


def test_nights_come_and_change_in_the_list_by_themselves_below_a_still_reader(
    visit: Opener, house: Household
) -> None:
    house.settle("fay@lodge", "bed")
    house.sleep("lodge/bed", evening(4), hours=2, seed=7)
    house.staged("lodge/bed", 240)
    tab = visit(viewport=LOW).enter("fay@lodge", "#/nights", "Nights")
    reader = rows_of(tab).last.get_by_role("link")
    reader.focus()
    tab.page.evaluate("window.read = document.activeElement; scrollTo(0, 9999)")
    place = top_of(reader)
    assert tab.page.evaluate("scrollY") > 0
    house.sleep("lodge/bed", evening(2), hours=1, seed=8)
    house.staged("lodge/bed", 120, 240)
    expect(rows_of(tab)).to_have_count(2)
    assert top_of(reader) == pytest.approx(place, abs=2)
    expect(reader).to_be_focused()
    before = reader.inner_text()
    house.sleep("lodge/bed", evening(4) + timedelta(hours=2.2), hours=1, seed=9)
    house.staged("lodge/bed", 120, 360)
    expect(reader).not_to_have_text(before)
    expect(reader).to_be_focused()
    assert tab.page.evaluate("window.read === document.activeElement")
    with tab.page.expect_response(
        lambda it: "/v1/recordings?" in it.url and it.status == 304, timeout=SHOWN_MS
    ):
        """What has not changed is not sent again."""
