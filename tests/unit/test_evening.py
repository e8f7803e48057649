from pathlib import Path

import numpy as np
import pytest

from evaluation.datasets import DataError, load
from evaluation.evening import EVENING, begun_early
from tests.nights import device_is_there, write_night

EPOCHS = 32


def with_evening(folder: Path, *, minutes: int) -> Path:
    """Write a night whose heart rate begins some minutes before it, 90 bpm all that time."""
    night = write_night(folder, seed=1, epochs=EPOCHS)
    header, *rates = (night / "heart_rate.csv").read_text().splitlines()
    early = [f"{time},90" for time in range(-60 * minutes, 0, 5)]
    (night / "heart_rate.csv").write_text("\n".join((header, *early, *rates)) + "\n")
    counts = [f"{30 * place},7" for place in range(EPOCHS)]
    (night / "motion_counts.csv").write_text("t_s,count\n" + "\n".join(counts) + "\n")
    return night


def lines(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()[1:]]


def test_a_night_without_an_evening_is_played_as_it_lies(tmp_path: Path) -> None:
    night = write_night(tmp_path / "ann", seed=1, epochs=EPOCHS)
    assert begun_early(night, tmp_path) == night


def test_a_night_with_an_evening_begins_there_and_unscored(tmp_path: Path) -> None:
    night = with_evening(tmp_path / "ann", minutes=10)
    (tmp_path / "draft").mkdir()
    early = begun_early(night, tmp_path / "draft")
    stages = {float(time): stage for time, stage, *_ in lines(early / "stages.csv")}
    known = [stage for _, stage, *_ in lines(night / "stages.csv")]
    assert [stages[30.0 * at] for at in range(EPOCHS + 20)] == [""] * 20 + known
    for name in ("heart_rate.csv", "motion_counts.csv"):
        moved, own = lines(early / name), lines(night / name)
        assert [float(row[0]) - 600 for row in moved] == [float(row[0]) for row in own]
        assert [row[1:] for row in moved] == [row[1:] for row in own]


def test_an_evening_is_at_the_most_as_long_as_all_nights_have_it(tmp_path: Path) -> None:
    night = with_evening(tmp_path / "ann", minutes=90)
    (tmp_path / "draft").mkdir()
    early = begun_early(night, tmp_path / "draft")
    assert len(lines(early / "stages.csv")) == EPOCHS + EVENING


@pytest.mark.skipif(not device_is_there(), reason="noctis-device is not built")
def test_the_firmware_plays_the_evening_unscored_and_without_motion(tmp_path: Path) -> None:
    with_evening(tmp_path / "nights" / "ann", minutes=10)
    [recording] = load(tmp_path / "nights", cache=tmp_path / "cache")
    assert len(recording.rows) == EPOCHS + 20
    assert (recording.stages[:20] == -1).all()
    assert (recording.stages[20:] != -1).any()
    heart, motion = recording.rows[:, 0], recording.rows[:, 9]
    assert len(np.unique(heart[2:19])) == 1
    assert (motion[:20] == 255).all()
    assert (motion[21:] != 255).all()


@pytest.mark.skipif(not device_is_there(), reason="noctis-device is not built")
def test_a_complaint_names_the_file_and_line_that_were_given(tmp_path: Path) -> None:
    night = with_evening(tmp_path / "nights" / "ann", minutes=10)
    broken = (night / "stages.csv").read_text().splitlines()
    broken[4] = "90,asleep"
    (night / "stages.csv").write_text("\n".join(broken) + "\n")
    with pytest.raises(DataError) as raised:
        load(tmp_path / "nights", cache=tmp_path / "cache")
    assert f"{night}/stages.csv, line 5" in str(raised.value)
