"""Nights on the page: what is painted and told of them is what is stored."""

import math
from datetime import timedelta
from typing import Final

import pytest
from playwright.sync_api import expect

from noctis.hypnogram import LABELS
from noctis.storage.recordings import Recording
from tests.acceptance.page.canvases import painted
from tests.acceptance.page.conftest import ANN, BED, Opener, evening
from tests.acceptance.page.visits import Visit
from tests.household import Household

pytestmark = [pytest.mark.broker, pytest.mark.postgres]
GUS: Final = "gus@cabin"
CABIN: Final = "cabin/bed"


def stages_of(night: Recording) -> list[str]:
    return [LABELS[code] for code in night.night.codes.tolist()]


def told(minutes: float | None) -> str:
    """Return minutes as people read them."""
    if minutes is None:
        return "\u2013"
    hours, rest = divmod(math.floor(minutes + 0.5), 60)
    if not hours:
        return f"{rest} min"
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def rounded(value: float, digits: int, unit: str) -> str:
    """Return a number as people read it; halves go up, as in the page."""
    scale = 10**digits
    return f"{math.floor(value * scale + 0.5) / scale:.{digits}f} {unit}"


def on_night(visit: Opener, night: Recording, login: str = ANN) -> Visit:
    tab = visit().open(f"#/night/{night.id}").sign_in(login)
    expect(tab.page.get_by_role("heading", name="The night")).to_be_visible()
    return tab


def test_a_past_night_is_painted_epoch_by_epoch_as_it_is_stored(
    visit: Opener, house: Household
) -> None:
    whole = house.nights(BED)[1]
    stages = stages_of(whole)
    tab = on_night(visit, whole)
    picture = painted(tab.page.locator(".chart"))
    assert picture.wrong(stages) == []
    shown = {stage for place in range(1000) for stage in picture.stages(place / 1000)}
    assert shown == {"wake", "rem", "light", "deep"} <= set(stages)


def test_a_gap_is_left_empty_and_told_as_a_gap(visit: Opener, house: Household) -> None:
    broken = house.nights(BED)[0]
    stages = stages_of(broken)
    gap = stages.index("missing"), len(stages) - stages[::-1].index("missing")
    assert gap[1] - gap[0] > 50
    tab = on_night(visit, broken)
    picture = painted(tab.page.locator(".chart"))
    assert picture.wrong(stages) == []
    middle = (gap[0] + gap[1]) / 2 / len(stages)
    assert picture.stages(middle) == set()
    heart = painted(tab.page.locator(".chart").nth(1))
    column = [heart.at(middle, y / 100) for y in range(100)]
    assert (0xB3, 0x43, 0x4F) not in column
    expect(tab.main).to_contain_text(f"{told(broken.missing / 2)} are missing")
    tab.page.get_by_text("The night as a table").click()
    row = tab.page.get_by_role("row").filter(has_text="No data")
    expect(row).to_contain_text(told((gap[1] - gap[0]) / 2))


def test_the_figures_of_a_night_are_those_of_the_facade(
    visit: Opener, house: Household
) -> None:
    whole = house.nights(BED)[1]
    figures = house.told(ANN, f"/v1/recordings/{whole.id}").json()["figures"]
    tab = on_night(visit, whole)
    card = tab.page.get_by_role("region", name="Figures")
    expect(card.locator(".hero-value")).to_have_text(told(figures["tst_min"]))
    for title, name in {
        "In bed": "tib_min",
        "To fall asleep": "sol_min",
        "Awake after that": "waso_min",
        "To first REM": "rem_latency_min",
    }.items():
        pair = card.locator(".figures > div").filter(
            has=tab.page.get_by_text(title, exact=True)
        )
        expect(pair.locator("dd")).to_have_text(told(figures[name]))
    for title, name in {"Deep sleep": "deep_min", "REM sleep": "rem_min"}.items():
        item = card.get_by_role("listitem").filter(has_text=title)
        expect(item).to_contain_text(told(figures[name]))
    efficiency = f"{math.floor(figures['efficiency_percent'] + 0.5)} %"
    expect(card).to_contain_text(efficiency)


def test_heart_and_breathing_asleep_are_told_with_what_they_mean(
    visit: Opener, house: Household
) -> None:
    house.settle(GUS, "bed")
    house.sleep(CABIN, evening(4), hours=1, seed=6)
    house.sleep(CABIN, evening(2), hours=2, seed=5)
    house.rise(CABIN, evening(2) + timedelta(hours=2))
    night, _ = house.closed(CABIN, 2)
    figures = house.told(GUS, f"/v1/recordings/{night.id}").json()["figures"]
    vitals = {
        "Heart rate": rounded(figures["heart_rate_bpm"], 0, "bpm"),
        "Heart rate dip": rounded(figures["heart_rate_dip_percent"], 0, "%"),
        "Breathing": rounded(figures["breathing_rate_per_min"], 1, "/min"),
    }
    tab = on_night(visit, night, GUS)
    card = tab.page.get_by_role("region", name="Figures")
    for title, value in vitals.items():
        pair = card.locator(".figures > div").filter(
            has=tab.page.get_by_text(title, exact=True)
        )
        expect(pair.locator("dd")).to_have_text(value)
    meaning = card.get_by_text("below the median awake in bed")
    expect(meaning).to_be_hidden()
    card.get_by_text("What these mean").click()
    expect(meaning).to_be_visible()
    tab.go("Trends", "Trends")
    for title, value in {
        "Heart rate asleep": "Heart rate",
        "Breathing asleep": "Breathing",
    }.items():
        trend = tab.page.get_by_role("region", name=title)
        expect(trend.locator(".card-head .quiet")).to_have_text(vitals[value])
    tab.page.goto(f"{tab.address}/#/compare/{night.id}/-")
    tab.shows("Compare")
    for title, value in vitals.items():
        name = tab.page.get_by_role("rowheader", name=title, exact=True)
        cells = tab.page.get_by_role("row").filter(has=name).get_by_role("cell")
        assert cells.all_inner_texts() == [value, "\u2013", ""]


def test_a_night_that_has_not_closed_says_so_and_shows_no_figure_of_heart_or_breath(
    visit: Opener, house: Household
) -> None:
    tab = on_night(visit, house.nights(BED)[1])
    expect(tab.main).to_contain_text("Not closed yet")
    card = tab.page.get_by_role("region", name="Figures")
    expect(card).not_to_contain_text("Heart rate")


def test_two_nights_stand_below_each_other_on_one_axis(visit: Opener, house: Household) -> None:
    later, earlier = house.nights(BED)
    tab = visit().open(f"#/compare/{later.id}/{earlier.id}").sign_in(ANN)
    tab.shows("Compare")
    charts = tab.page.locator(".charts")
    expect(charts).to_have_count(2)
    longest = max(len(stages_of(it)) for it in (later, earlier))
    for place, night in enumerate((later, earlier)):
        stages = stages_of(night)
        padded = stages + ["missing"] * (longest - len(stages))
        assert painted(charts.nth(place).locator(".chart")).wrong(padded) == []
    row = tab.page.get_by_role("row").filter(has_text="Asleep")
    cells = row.get_by_role("cell").all_inner_texts()
    assert cells[:2] == [told(later.figures.tst_min), told(earlier.figures.tst_min)]


def test_the_list_leads_to_each_night_and_a_date_to_its_own(
    visit: Opener, house: Household
) -> None:
    later, earlier = house.nights(BED)
    tab = visit().enter(ANN, "#/nights", "Nights")
    rows = tab.page.get_by_role("listitem").filter(has_text="%")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text(told(later.figures.tst_min))
    tab.page.get_by_label("Evening of the night").fill(str(earlier.night.evening))
    expect(tab.page).to_have_url(f"{tab.address}/#/night/{earlier.id}")
    expect(tab.page.get_by_role("heading", name="The night")).to_be_visible()
    tab.page.go_back()
    tab.shows("Nights")
    rows.first.get_by_role("link").click()
    expect(tab.page).to_have_url(f"{tab.address}/#/night/{later.id}")
