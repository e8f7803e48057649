import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image
from typing_extensions import override

from cli.report.look import COLOURS
from cli.report.night import WholeNight, runs
from cli.report.render import night_report
from cli.report.words import NOTHING, full_hours
from noctis.stages import LABELS as STAGES
from tests.reported import START, SVG, groups, night, texts

HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)> $\\frac{1}{0}$ {{ 7 * 7 }}"
FOLDER = Path(__file__).parents[2]


def drawn(whole: WholeNight) -> ET.Element:
    return ET.fromstring(night_report(whole, "svg"))  # noqa: S314 - our own


def columns(whole: WholeNight, root: ET.Element) -> Any:  # noqa: ANN401 - a function
    """Return what tells the epoch that a place of the time axis shows."""
    known = groups(root, "stage-light") + groups(root, "stage-wake")
    left = min(x for line in known for x, _ in line)
    right = max(x for line in known for x, _ in line)
    return lambda x: (x - left) / (right - left) * len(whole.stages)


def test_each_stretch_of_a_stage_is_drawn_in_its_lane_from_its_begin_to_its_end() -> None:
    whole = night()
    root = drawn(whole)
    column = columns(whole, root)
    heights = []
    for stage in ("wake", "rem", "light", "deep"):
        boxes = groups(root, f"stage-{stage}")
        found = [tuple(round(column(f(x for x, _ in it))) for f in (min, max)) for it in boxes]
        assert found == [(it.begin, it.end) for it in runs(whole.stages) if it.label == stage]
        heights.append({round(sum(y for _, y in it) / len(it)) for it in boxes})
    assert [len(it) for it in heights] == [1, 1, 1, 1]
    assert heights == sorted(heights, key=min)


def test_stages_have_the_colours_of_the_page_on_the_drawing_too() -> None:
    root = drawn(night())
    for stage in STAGES:
        [found] = [it for it in root.iter(f"{SVG}g") if it.get("id") == f"stage-{stage}"]
        [path] = found.iter(f"{SVG}path")
        assert COLOURS[stage] in path.get("style", "")


def test_what_was_not_measured_is_a_gap_and_a_lone_value_is_still_seen() -> None:
    whole = night()
    gaps = replace(whole, heart=whole.heart.copy())
    gaps.heart[100:130] = gaps.heart[131:140] = np.nan
    root = drawn(gaps)
    column = columns(whole, root)
    lines = groups(root, "trace-heart")
    assert len(groups(drawn(whole), "trace-heart")) == 1
    assert round(column(lines[0][-1][0]) - 0.5) == 99
    assert round(column(lines[-1][0][0]) - 0.5) == 140
    [alone] = [it for it in root.iter(f"{SVG}g") if it.get("id") == "alone-heart"]
    [dot] = alone.iter(f"{SVG}use")
    assert round(column(float(dot.get("x", "0"))) - 0.5) == 130


@pytest.mark.parametrize(
    ("start", "hours"),
    [
        (datetime(2026, 3, 28, 22, 5, tzinfo=UTC), ["00:00", "01:00", "03:00", "04:00"]),
        (datetime(2026, 10, 24, 21, 5, tzinfo=UTC), ["00:00", "01:00", "02:00", "02:00"]),
        (datetime(2026, 7, 1, 21, 5, tzinfo=UTC), ["00:00", "01:00", "02:00", "03:00"]),
    ],
    ids=["to summer time", "to winter time", "in summer"],
)
def test_hours_are_those_of_the_clock_beside_the_bed_and_one_hour_apart(
    start: datetime, hours: list[str]
) -> None:
    root = drawn(night(start))
    marks = [it for it in texts(root) if re.fullmatch(r"\d\d:\d\d", it[0])]
    assert [it for it, _ in marks][:4] == hours
    steps = {round(b - a, 1) for (_, a), (_, b) in pairwise(marks)}
    assert len(steps) == 1


def test_hours_are_full_where_the_bed_stands_whatever_they_are_elsewhere() -> None:
    begin = datetime(2026, 3, 1, 16, 40, tzinfo=UTC)
    found = full_hours(begin, begin + timedelta(hours=5), ZoneInfo("Asia/Kolkata"), 2)
    assert [f"{it:%H:%M}" for it in found] == ["18:30", "20:30"]


def test_the_figures_beside_it_are_the_nights_and_named_as_on_the_page() -> None:
    told = [it for it, _ in texts(drawn(night()))]
    page = (FOLDER / "api" / "page" / "js" / "figures.js").read_text()
    for name, value in (
        *(("In bed", "5 h 20 min"), ("Efficiency", "94 %"), ("To fall asleep", "10 min")),
        *(("Awake after that", "7 min"), ("Awakenings", "1"), ("To first REM", "4 h 25 min")),
    ):
        assert told[told.index(name) + 1] == value
        assert f'"{name}"' in page
    assert any("staged by stager@1, live · revision 3" in it for it in told)
    assert not any("Heart rate asleep" in it for it in told)


@pytest.mark.parametrize("form", ["svg", "png", "html"])
def test_the_same_night_gives_the_same_bytes(form: Any) -> None:  # noqa: ANN401 - a format
    first = night_report(night(), form)
    with mpl.rc_context({"axes.facecolor": "red", "font.size": 30, "path.sketch": (1, 2, 3)}):
        assert night_report(night(), form) == first
    assert b"2026-11-2" not in first.replace(b"2026-11-21", b"") or form == "png"


def test_a_picture_is_a4_across_and_shows_every_stage(tmp_path: Path) -> None:
    (tmp_path / "night.png").write_bytes(night_report(night(), "png"))
    with Image.open(tmp_path / "night.png") as picture:
        assert picture.size == (2246, 1588)
        pixels = {f"#{r:02x}{g:02x}{b:02x}" for _, (r, g, b, _) in colours_of(picture)}
    assert {COLOURS[it] for it in (*STAGES, "card", "heart", "breath")} <= pixels


def colours_of(picture: Image.Image) -> Any:  # noqa: ANN401 - how often, and which
    return picture.convert("RGBA").getcolors(1 << 22)


class Seen(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    @override
    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def page(whole: WholeNight) -> str:
    return night_report(whole, "html").decode()


def test_a_page_refers_to_nothing_but_itself_and_runs_nothing() -> None:
    text = page(night())
    seen = Seen(text)
    assert {tag for tag, _ in seen.tags} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
    } == set()
    for _, attributes in seen.tags:
        assert not {"src", "href", "style", "xlink:href", "srcset"} & {
            name for name, value in attributes.items() if not (value or "").startswith("#")
        }
        assert not [it for it in attributes if it.startswith("on")]
    assert "@import" not in text
    assert "<metadata" not in text
    assert set(re.findall(r"url\((.)", text)) == {"#"}
    [policy] = [it["content"] for tag, it in seen.tags if it.get("http-equiv")]
    assert "default-src 'none'; style-src 'sha256-" in str(policy)


def test_no_id_of_a_page_is_there_twice_and_each_reference_has_its_target() -> None:
    text = page(night())
    ids = [it["id"] for _, it in Seen(text).tags if "id" in it]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)
    assert set(re.findall(r'labelledby="([^"]+)"', text)) <= set(ids)


def test_what_a_person_wrote_is_text_and_nothing_else() -> None:
    whole = night()
    whole.night.update(note=HOSTILE, tags=[HOSTILE], device=HOSTILE, model=HOSTILE)
    seen = Seen(page(whole))
    assert "script" not in {tag for tag, _ in seen.tags}
    assert "img" not in {tag for tag, _ in seen.tags}
    assert HOSTILE in seen.texts
    root = drawn(whole)
    assert HOSTILE in [it for it, _ in texts(root)]
    assert not list(root.iter(f"{SVG}script"))
    assert len(night_report(whole, "png")) > 10_000


def test_the_page_tells_each_stretch_of_the_night_as_a_table_too() -> None:
    whole = night()
    seen = Seen(page(whole))
    told = " ".join(" ".join(it.split()) for it in seen.texts)
    assert "22:30 Awake 10 min" in " ".join(told.split())
    rows = sum(tag == "tr" for tag, _ in seen.tags)
    assert rows > len(runs(whole.stages))
    assert "Out of bed" in told
    assert "No data" in told


def test_the_colours_are_those_of_the_page_in_light_and_in_dark() -> None:
    def tokens(text: str) -> list[dict[str, str]]:
        blocks = re.findall(r":root \{(.*?)\}", text, re.DOTALL)
        return [dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", it)) for it in blocks]

    light, dark = tokens((FOLDER / "api/page/css/base.css").read_text())
    ours = tokens((FOLDER / "cli/report/templates/report.css").read_text())
    assert ours[0].items() <= light.items()
    assert ours[1].items() <= dark.items()
    assert {**COLOURS, "card": light["card"]}.items() <= light.items()
    printed = {name: value for name, value in ours[2].items() if name not in ("paper", "card")}
    assert printed.items() <= light.items()
    assert ours[1].keys() <= ours[2].keys()


def test_a_night_of_which_nothing_is_known_is_drawn_all_the_same() -> None:
    empty = np.full(60, np.nan)
    whole = night(START, np.full(60, 6, np.uint8))
    whole = replace(whole, heart=empty, breath=empty, motion=empty)
    assert "30 min are missing" in page(whole)
    root = drawn(whole)
    assert groups(root, "stage-deep") == []
    told = [it for it, _ in texts(root)]
    assert told[told.index("Efficiency") + 1] == NOTHING


def test_a_report_says_how_to_install_what_draws_it() -> None:
    program = (
        "import sys; sys.modules['matplotlib'] = None; sys.argv = "
        "['noctis', 'night', 'report', 'home/bed', '--output', 'night.png']\n"
        "from cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "needs matplotlib" in done.stderr
    assert "pip install 'noctis[report]'" in done.stderr
    assert "Traceback" not in done.stderr
