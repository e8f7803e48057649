"""The page without a mouse."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.acceptance.page.conftest import ANN, BED, Opener
from tests.acceptance.page.visits import Visit
from tests.household import PASSWORD, Household

pytestmark = [pytest.mark.broker, pytest.mark.postgres]


def focused(tab: Visit) -> dict[str, str]:
    """Return what has the focus: its name, and how that is shown."""
    told: dict[str, str] = tab.page.evaluate("""() => {
      const it = document.activeElement;
      const style = getComputedStyle(it);
      const text = it.getAttribute("aria-label") ?? it.textContent;
      return { tag: it.tagName, id: it.id, type: it.type ?? "", text,
        outline: `${style.outlineStyle} ${style.outlineWidth}` };
    }""")
    return told


def tab_to(tab: Visit, text: str) -> None:
    """Press Tab until something has the focus; each step must be seen."""
    here: dict[str, str] = {}
    for _ in range(40):
        tab.page.keyboard.press("Tab")
        last, here = here, focused(tab)
        if here["tag"] == "BODY" or (here["type"] == "date" == last.get("type")):
            continue  # behind the end; a later part of the same field
        assert "none" not in here["outline"], here
        if text in (here["text"], here["id"]) or here["text"].startswith(text):
            return
    pytest.fail(f"Tab does not come to {text}")


def test_whoever_has_no_mouse_comes_everywhere(visit: Opener, house: Household) -> None:
    later, earlier = house.nights(BED)
    tab = visit().open()
    expect(tab.page.get_by_label("Password")).to_be_visible()
    tab_to(tab, "login")
    tab.page.keyboard.type(ANN)
    tab_to(tab, "password")
    tab.page.keyboard.type(PASSWORD)
    tab.page.keyboard.press("Enter")
    tab.shows("Tonight")
    tab_to(tab, "Nights")
    tab.page.keyboard.press("Enter")
    tab.shows("Nights")
    tab_to(tab, tab.page.locator(".night-row").first.inner_text().split("\n")[0])
    tab.page.keyboard.press("Enter")
    expect(tab.page).to_have_url(f"{tab.address}/#/night/{later.id}")
    expect(tab.page.get_by_role("heading", name="The night")).to_be_visible()
    tab_to(tab, "The night: position in the night")
    slider = tab.page.get_by_role("slider")
    for key, place in (("End", None), ("Home", "0"), ("ArrowRight", "1"), ("PageUp", "21")):
        tab.page.keyboard.press(key)
        expect(slider).to_have_attribute("aria-valuenow", place or str(ends_at(later)))
    tab.page.keyboard.press("[")
    expect(tab.page).to_have_url(f"{tab.address}/#/night/{earlier.id}")


def ends_at(night: Any) -> int:  # noqa: ANN401 - a recording
    return len(night.night.hypnogram) - 1


def test_the_way_past_the_bar_is_the_first_one(visit: Opener) -> None:
    tab = visit().enter(ANN)
    tab.page.reload()
    tab.shows("Tonight")
    tab.page.keyboard.press("Tab")
    assert focused(tab)["text"] == "Skip to the content"
    tab.page.keyboard.press("Enter")
    tab.shows("Tonight")
    assert focused(tab)["id"] == "content"
