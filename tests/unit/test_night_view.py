from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from rich.console import Console

from cli.night_view import picture, table
from cli.nouns.nights import hypnogram, told
from noctis.figures import figures
from noctis.hypnogram import MISSING, OUT_OF_BED, UNSTAGED
from noctis.stages import Stage
from noctis.storage.recordings import Night, Recording

CODES = np.array(
    [Stage.WAKE] * 20
    + [Stage.LIGHT] * 300
    + [Stage.DEEP] * 120
    + [OUT_OF_BED] * 10
    + [Stage.LIGHT] * 100
    + [Stage.REM] * 80
    + [UNSTAGED] * 4
    + [MISSING] * 2
    + [Stage.WAKE] * 4,
    np.uint8,
)
START = datetime(2026, 11, 21, 21, 30, tzinfo=UTC)
RECORDING = Recording(
    id=UUID(int=7),
    device="bed",
    revision=3,
    night=Night(
        state="closed",
        evening=date(2026, 11, 21),
        time_zone="Europe/Berlin",
        started_at=START,
        ended_at=START + timedelta(minutes=320),
        hypnogram=CODES.tobytes(),
        model_id=1,
        moved=0,
        closes_at=None,
    ),
    figures=figures(CODES),
    epochs=638,
    missing=2,
    unstaged=4,
    model="stager@1",
    replaced_by=None,
    revised_at=START,
)


def whole(recording: Recording) -> dict[str, Any]:
    codes = recording.night.codes.tolist()
    return told("home", recording) | hypnogram(codes)


def drawn(shown: object, width: int) -> list[str]:
    console = Console(width=width, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(shown)
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [40, 69, 70, 80, 120])
def test_a_night_fits_the_terminal(width: int) -> None:
    lines = drawn(picture(whole(RECORDING), width=width), width)
    assert max(len(line) for line in lines) <= width
    assert any("Deep" in line and "█" in line for line in lines)


def test_the_figures_stand_beside_the_hypnogram_where_there_is_room() -> None:
    wide = drawn(picture(whole(RECORDING), width=80), 80)
    assert any("Deep" in line and "5:00" in line for line in wide) is False
    assert any("Wake" in line and "in bed" in line and "5:20" in line for line in wide)
    narrow = drawn(picture(whole(RECORDING), width=60), 60)
    assert not any("Wake" in line and "in bed" in line for line in narrow)
    assert any("in bed" in line and "5:20" in line for line in narrow)


def test_times_are_those_of_the_sleeper() -> None:
    assert (
        "2026-11-21 22:30 to 03:50 Europe/Berlin"
        in drawn(picture(whole(RECORDING), width=90), 90)[0]
    )
    assert any(
        "22:30  03:50  closed" in line for line in drawn(table([told("home", RECORDING)]), 100)
    )


def test_a_table_of_nights_fits_eighty_columns() -> None:
    lines = drawn(
        table([told("home", it) for it in (RECORDING, replace(RECORDING, revision=123))]), 80
    )
    assert len(lines) == 3
    assert "5:00" in lines[1]
    assert "94 %" in lines[1]


def test_figures_that_are_undefined_are_dashes_and_nulls() -> None:
    awake = np.zeros(60, np.uint8)
    night = replace(RECORDING.night, hypnogram=awake.tobytes())
    shown = replace(RECORDING, night=night, figures=figures(awake))
    assert any(
        "REM after" in line and "-" in line
        for line in drawn(picture(whole(shown), width=80), 80)
    )
    value = told("home", shown)
    assert value["figures"]["sol_min"] is None
    assert value["figures"]["efficiency_percent"] == 0.0
    assert "hypnogram" not in value


def test_a_night_as_json_says_what_each_half_minute_was() -> None:
    value = whole(RECORDING)
    assert len(value["hypnogram"]) == 640
    assert value["epoch_seconds"] == 30
    assert set(value["hypnogram"]) == {
        *("wake", "light", "deep", "rem"),
        *("out_of_bed", "unstaged", "missing"),
    }
    assert value["figures"]["awakenings"] == 1
    assert value["started_at"] == "2026-11-21T21:30:00+00:00"
