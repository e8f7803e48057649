"""The page for everybody: screen reader, phone, dark, and no motion."""

from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import expect

from tests import npm_packages
from tests.acceptance.page.conftest import ANN, BED, Opener
from tests.acceptance.page.visits import Visit
from tests.household import Household

pytestmark = [pytest.mark.broker, pytest.mark.postgres]
AXE: Final = Path(__file__).parents[2] / "axe"
PHONE: Final[Any] = {"width": 360, "height": 740}
WIDE: Final[Any] = {"width": 1180, "height": 900}
LOOKS: Final = (("light", WIDE), ("dark", WIDE), ("light", PHONE), ("dark", PHONE))
CUT_OFF: Final = """() => [...document.querySelectorAll("body *")].filter((it) =>
  it.clientWidth > 1 && it.scrollWidth > it.clientWidth + 1
  && getComputedStyle(it).overflowX !== "visible"
  && !it.matches(".table-holder, .unseen, select, input"),
).map((it) => it.outerHTML.slice(0, 160))"""
RULES: Final = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) =>
    html.slice(0, 160) + " " + failureSummary.slice(0, 200))]);
}"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The script of axe-core."""
    folder = npm_packages.installed(AXE)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


def faults(tab: Visit, axe: str) -> dict[str, object]:
    """Return what is wrong with what is shown, in every look: by look, rule and element."""
    tab.page.evaluate(axe)
    found: dict[str, object] = {}
    for scheme, size in LOOKS:
        tab.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        tab.page.set_viewport_size(size)
        wide = tab.page.evaluate("document.documentElement.scrollWidth")
        told = tab.page.evaluate(RULES)
        if wide > size["width"]:
            told.append(["scrolls-sideways", wide])
        told += [["cut-off", it] for it in tab.page.evaluate(CUT_OFF)]
        if told:
            found[f"{scheme} {size['width']}"] = told
    tab.page.set_viewport_size(WIDE)
    return found


def test_the_door_has_no_fault_that_axe_knows(visit: Opener, axe: str) -> None:
    tab = visit(refused=(400,)).open()
    assert faults(tab, axe) == {}
    tab.sign_in(ANN, "certainly not")
    expect(tab.page.get_by_role("alert")).not_to_be_empty()
    assert faults(tab, axe) == {}


def test_no_view_has_a_fault_that_axe_knows_nor_scrolls_sideways(
    visit: Opener, house: Household, axe: str
) -> None:
    tab = visit().enter(ANN)
    found = {"Tonight": faults(tab, axe)}
    for place in ("Nights", "Trends", "Compare", "Devices", "Alerts", "Drift", "Models"):
        tab.go(place, place)
        found[place] = faults(tab, axe)
    tab.page.get_by_role("link", name="Account").click()
    tab.shows("Account")
    found["Account"] = faults(tab, axe)
    tab.open(f"#/night/{house.nights(BED)[1].id}")
    expect(tab.page.get_by_role("heading", name="The night")).to_be_visible()
    tab.page.get_by_text("The night as a table").click()
    tab.page.get_by_text("What these mean").click()
    found["Night"] = faults(tab, axe)
    tab.page.goto("/licences")
    tab.shows("Licences")
    found["Licences"] = faults(tab, axe)
    assert {name: told for name, told in found.items() if told} == {}


def test_every_place_can_be_reached_however_narrow_the_screen_is(visit: Opener) -> None:
    tab = visit().enter(ANN)
    links = tab.page.get_by_role("navigation", name="Main").get_by_role("link")
    assert links.count() == 8
    for width in (320, 360, 390, 600, 760, 900, 930, 1180):
        tab.page.set_viewport_size({"width": width, "height": 740})
        boxes = [link.bounding_box() for link in links.all()]
        ends = [box["x"] + box["width"] for box in boxes if box]
        assert len(ends) == 8
        assert max(ends) <= width, width
        assert tab.page.evaluate(CUT_OFF) == [], width


def test_a_phone_shows_the_difference_of_two_nights_beside_them(visit: Opener) -> None:
    tab = visit(viewport=PHONE).enter(ANN, "#/compare", "Compare")
    table = tab.page.get_by_role("region", name="Figures of both nights")
    expect(table.get_by_role("columnheader", name="Difference")).to_be_visible()
    assert table.evaluate("(it) => it.scrollWidth - it.clientWidth") <= 0


@pytest.mark.parametrize(("wish", "moves"), [("reduce", False), ("no-preference", True)])
def test_nothing_moves_for_whoever_wants_it_still(
    visit: Opener, wish: str, *, moves: bool
) -> None:
    tab = visit(reduced_motion=wish).enter(ANN)
    tab.page.evaluate("document.querySelector('main').ariaBusy = 'true'")
    style = "getComputedStyle(document.querySelector('main')).transitionDuration"
    assert (tab.page.evaluate(style) != "0s") is moves
