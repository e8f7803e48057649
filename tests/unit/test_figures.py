import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noctis.figures import Figures, figures
from noctis.hypnogram import MISSING, OUT_OF_BED, UNSTAGED, from_stages, to_stages
from noctis.stages import Stage

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "sleep_figures.json").read_text()
)
CODES = st.lists(st.integers(0, MISSING), max_size=200)


def of(text: str) -> Figures:
    """Return the figures of a night written as W L D R, o: out of bed, u: unstaged, -: none."""
    return figures(np.array(["WLDRou-".index(letter) for letter in text], np.uint8))


def test_the_figures_agree_with_yasa_on_hundreds_of_hypnograms() -> None:
    assert len(VECTORS) == 300
    for vector in VECTORS:
        ours = figures(np.array([int(code) for code in vector["hypnogram"]], np.uint8))
        for name, theirs in vector["figures"].items():
            expected = None if theirs is None else pytest.approx(theirs, abs=5.1e-5)
            assert getattr(ours, name) == expected, (vector["hypnogram"], name)


def test_a_night_that_can_be_counted_by_hand() -> None:
    night = of("WWLLDDWWRLWW")
    assert night == Figures(
        tib_min=6.0,
        out_of_bed_min=0.0,
        unscored_min=0.0,
        tst_min=3.0,
        wake_min=3.0,
        light_min=1.5,
        deep_min=1.0,
        rem_min=0.5,
        spt_min=4.0,
        sol_min=1.0,
        waso_min=2.0,
        rem_latency_min=3.0,
        awakenings=1,
    )
    assert night.efficiency_percent == 50.0
    assert (night.light_percent, night.deep_percent) == (50.0, pytest.approx(100 / 3))


def test_what_is_out_of_bed_is_wake() -> None:
    night = of("LLooLL")
    assert (night.waso_min, night.out_of_bed_min, night.awakenings) == (1.0, 1.0, 1)


def test_what_has_no_stage_is_neither_sleep_nor_wake() -> None:
    night = of("W-LuL--L")
    assert (night.tib_min, night.spt_min, night.tst_min) == (4.0, 3.0, 1.5)
    assert (night.waso_min, night.wake_min, night.unscored_min) == (0.0, 0.5, 2.0)


def test_an_unstaged_epoch_neither_begins_nor_ends_an_awakening() -> None:
    assert of("LuWuWuL").awakenings == 1
    assert of("LuuL").awakenings == 0


def test_the_last_awakening_is_no_awakening_of_the_night() -> None:
    assert of("LLWW").awakenings == 0


def test_figures_that_are_undefined_are_none() -> None:
    awake = of("WWWW")
    assert (awake.tst_min, awake.spt_min, awake.efficiency_percent) == (0.0, 0.0, 0.0)
    undefined = (awake.sol_min, awake.waso_min, awake.rem_latency_min, awake.awakenings)
    assert undefined == (None, None, None, None)
    assert (awake.light_percent, awake.rem_percent) == (None, None)
    assert of("LL").rem_latency_min is None


def test_of_a_night_without_any_stage_only_the_time_in_bed_is_known() -> None:
    night = asdict(of("uu-oo"))
    known = {name: value for name, value in night.items() if value is not None}
    assert known == {"tib_min": 2.5, "out_of_bed_min": 1.0, "unscored_min": 1.5}
    assert of("").efficiency_percent is None


@given(CODES)
def test_the_parts_of_a_night_add_up(codes: list[int]) -> None:
    night = figures(np.array(codes, np.uint8))
    if night.tst_min is None:
        return
    parts = (night.wake_min, night.light_min, night.deep_min, night.rem_min)
    assert sum(part or 0 for part in parts) + night.unscored_min == night.tib_min
    assert sum(part or 0 for part in parts[1:]) == night.tst_min
    if night.sol_min is not None:
        assert night.sol_min + (night.spt_min or 0) <= night.tib_min


@given(st.lists(st.none() | st.sampled_from(Stage)))
def test_a_hypnogram_gives_its_stages_back(stages: list[Stage | None]) -> None:
    assert to_stages(from_stages(stages)) == stages


def test_no_code_but_a_stage_becomes_one() -> None:
    codes = np.array([OUT_OF_BED, UNSTAGED, MISSING, Stage.REM], np.uint8)
    assert to_stages(codes) == [None, None, None, Stage.REM]
