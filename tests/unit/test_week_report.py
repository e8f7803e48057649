import re
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from cli.report.look import COLOURS
from cli.report.night import runs
from cli.report.render import week_report
from cli.report.week import Row, WholeWeek
from cli.report.words import NOTHING
from noctis.stages import LABELS as STAGES
from tests.reported import BEDTIME, CODES, MONDAY, SVG, groups, night, texts, week


def drawn(seen: WholeWeek) -> ET.Element:
    return ET.fromstring(week_report(seen, "svg"))  # noqa: S314 - our own


def hours_of(root: ET.Element) -> Any:  # noqa: ANN401 - a function
    """Return what tells the time by the clock of a place of the axis, in hours since noon."""
    [axis] = [it for it in root.iter(f"{SVG}g") if it.get("id") == "matplotlib.axis_1"]
    (first, left), (second, right) = texts(axis)[:2]
    low, high = ((int(it[:2]) - 12) % 24 for it in (first, second))
    return lambda x: low + (x - left) / (right - left) * (high - low)


def test_each_night_is_a_bar_of_its_stages_by_the_clock_on_the_wall() -> None:
    seen = week(0, 2)
    root = drawn(seen)
    hours = hours_of(root)
    for place in (0, 2):
        for stage in STAGES:
            boxes = groups(root, f"row-{place}-{stage}")
            found = [
                tuple(round(hours(f(x for x, _ in it)), 2) for f in (min, max)) for it in boxes
            ]
            stretches = runs((seen.rows[place].night or {})["hypnogram"])
            wanted = [it for it in stretches if it.label == stage]
            assert found == [
                (round(11 + it.begin / 120, 2), round(11 + it.end / 120, 2)) for it in wanted
            ]


def test_a_night_through_a_change_of_the_clocks_keeps_its_length_and_says_so() -> None:
    plain, turned = week(4), week(5)
    assert [it.turned for it in turned.rows] == [False] * 5 + [True, False]
    hours = hours_of(drawn(turned))
    ends = [x for box in groups(drawn(turned), "row-5-wake") for x, _ in box]
    assert (round(hours(min(ends)), 2), round(hours(max(ends)), 2)) == (11, 11 + 5.33)
    assert any("Saturday's night" in it for it, _ in texts(drawn(turned)))
    assert ("23:00 – 05:20") in [it for it, _ in texts(drawn(turned))]  # noqa: RUF001 - as told
    assert not any("clocks" in it for it, _ in texts(drawn(plain)))


@pytest.mark.parametrize("form", ["svg", "html"])
def test_an_evening_without_a_night_is_shown_as_absent(form: Any) -> None:  # noqa: ANN401
    text = week_report(week(0, 1, 2), form).decode()
    assert len(re.findall(r'id="(?:wide-)?row-\d-absent"', text)) == 4
    assert text.lower().count("no night<") >= 4
    assert not re.findall(r'id="(?:wide-)?row-3-deep"', text)


def test_medians_stand_with_their_middle_half_unit_and_definition() -> None:
    told = [it for it, _ in texts(drawn(week(0, 1, 2)))]
    at = told.index("Asleep")
    assert told[at + 1 : at + 4] == [
        "5 h",
        "Total sleep time, TST",
        "5 h – 5 h",  # noqa: RUF001 - as told
    ]
    assert told[told.index("To bed") + 1] == "23:00"
    assert told[told.index("Regularity") + 1] == "81 of 100"
    assert "3 of 7 evenings with a night · Europe/Berlin" in told
    unknown = [it for it, _ in texts(drawn(week(0, regularity=None)))]
    assert unknown[unknown.index("Regularity") + 1] == NOTHING


def test_a_week_without_any_night_is_drawn_all_the_same() -> None:
    told = [it for it, _ in texts(drawn(week()))]
    assert told.count("no night") == 7
    assert "21:00" in told or "22:00" in told
    assert NOTHING in told
    assert "0 of 7" in week_report(week(), "html").decode()


@pytest.mark.parametrize("form", ["svg", "png", "html"])
def test_the_same_week_gives_the_same_bytes(form: Any) -> None:  # noqa: ANN401 - a format
    first = week_report(week(0, 1, 5), form)
    with mpl.rc_context({"axes.facecolor": "red", "font.size": 30}):
        assert week_report(week(0, 1, 5), form) == first


def test_a_picture_of_a_week_is_a4_across_and_shows_every_stage(tmp_path: Any) -> None:  # noqa: ANN401
    (tmp_path / "week.png").write_bytes(week_report(week(0, 1), "png"))
    with Image.open(tmp_path / "week.png") as picture:
        assert picture.size == (2246, 1588)
        pixels = {f"#{r:02x}{g:02x}{b:02x}" for _, (r, g, b) in colours_of(picture)}
    assert {COLOURS[it] for it in (*STAGES, "card", "gap", "joint")} <= pixels


def colours_of(picture: Image.Image) -> Any:  # noqa: ANN401 - how often, and which
    return picture.convert("RGB").getcolors(1 << 22)


def test_a_night_that_begins_at_noon_or_ends_after_it_is_still_within_the_axis() -> None:
    seen = week(0)
    late = night(BEDTIME + timedelta(hours=9), np.tile(CODES, 2)).night
    rows = [Row(MONDAY, late), *seen.rows[1:]]
    root = drawn(WholeWeek(seen.device, MONDAY, seen.told, seen.time_zone, rows))
    hours = hours_of(root)
    ends = [x for box in groups(root, "row-0-wake") for x, _ in box]
    assert (round(hours(min(ends)), 1), round(hours(max(ends)), 1)) == (20.0, 30.7)
