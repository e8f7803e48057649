from hypothesis import given
from hypothesis import strategies as st

from cli.hypnogram import draw
from noctis.stages import Stage

stages = st.lists(st.sampled_from([*Stage, None]), max_size=2000)


def lanes(text: str) -> dict[str, str]:
    rows = (line.split("│") for line in text.splitlines() if "│" in line)
    return {label.strip(): blocks for label, blocks in rows}


@given(stages, st.integers(20, 200))
def test_any_night_fits_the_width(night: list[Stage | None], width: int) -> None:
    drawn = draw(night, width=width).plain
    assert all(len(line) <= width + 4 for line in drawn.splitlines())


def test_each_stage_has_its_lane_and_its_time() -> None:
    night = [Stage.WAKE] * 10 + [Stage.LIGHT] * 20 + [Stage.DEEP] * 20 + [Stage.REM] * 10
    drawn = lanes(draw(night, width=67).plain)
    assert drawn["Wake"] == "█" * 10 + " " * 50
    assert drawn["Light"] == " " * 10 + "█" * 20 + " " * 30
    assert drawn["Deep"] == " " * 30 + "█" * 20 + " " * 10
    assert drawn["REM"] == " " * 50 + "█" * 10
    assert "?" not in drawn


def test_a_brief_awakening_in_a_wide_column_still_shows() -> None:
    night: list[Stage | None] = [Stage.DEEP] * 960
    night[480] = Stage.WAKE
    assert "▁" in lanes(draw(night, width=47).plain)["Wake"]


def test_epochs_without_a_stage_have_a_lane_of_their_own() -> None:
    assert lanes(draw([Stage.WAKE, None], width=40).plain)["?"] == " █"
