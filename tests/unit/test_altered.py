import csv
from pathlib import Path

import numpy as np
import pytest

from evaluation.datasets import find_nights, load
from tests.nights import device_is_there, write_night
from training.altered import alter, altered_copies


def read(path: Path) -> tuple[list[float], list[str]]:
    rows = list(csv.reader(path.read_text().splitlines()))[1:]
    return [float(row[0]) for row in rows], [row[1] for row in rows]


def moving_night(folder: Path, *, seed: int) -> Path:
    night = write_night(folder, seed=seed, epochs=640)
    counts = [f"{30 * place},{place % 7 * 3}" for place in range(640)]
    (night / "motion_counts.csv").write_text("t_s,count\n" + "\n".join(counts) + "\n")
    return night


def copies_of(night: Path, root: Path, count: int) -> list[Path]:
    made = [root / str(number) for number in range(count)]
    for number, copy in enumerate(made):
        copy.mkdir(parents=True)
        alter(night, copy, np.random.default_rng(number))
    return made


def test_a_copys_stages_go_with_its_heart(tmp_path: Path) -> None:
    night = moving_night(tmp_path / "ann", seed=1)
    for copy in copies_of(night, tmp_path / "copies", 12):
        starts, stages = read(copy / "stages.csv")
        times, rates = read(copy / "heart_rate.csv")
        places = np.minimum((np.array(times) // 30).astype(int), len(stages) - 1)
        heard, at = np.array(rates, float), np.array(stages)[places]
        of = {stage: heard[at == stage].mean() for stage in set(stages)}
        assert of["W"] > of["R"] > of["N3"]
        assert starts == [30.0 * place for place in range(len(starts))]
        assert min(times) >= 0


def test_copies_differ_in_pace_level_motion_and_beginning(tmp_path: Path) -> None:
    night = moving_night(tmp_path / "ann", seed=1)
    copies = copies_of(night, tmp_path / "copies", 40)
    lengths = {len(read(copy / "stages.csv")[0]) for copy in copies}
    assert min(lengths) >= 250 * 0.9
    assert max(lengths) <= 640 * 1.08
    assert len(lengths) > 30
    still = [copy for copy in copies if not (copy / "motion_counts.csv").exists()]
    assert 0 < len(still) < 20
    own, *levels = (
        np.median([float(rate) for rate in read(it / "heart_rate.csv")[1]])
        for it in (night, *copies)
    )
    assert min(levels) < own - 3
    assert max(levels) > own + 3


def test_a_copy_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    night = moving_night(tmp_path / "ann", seed=1)
    contents = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        alter(night, tmp_path / name, np.random.default_rng(5))
        contents.append({it.name: it.read_bytes() for it in (tmp_path / name).iterdir()})
    assert contents[0] == contents[1]


def test_beats_are_altered_like_heart_rates(tmp_path: Path) -> None:
    night = moving_night(tmp_path / "ann", seed=1)
    (night / "heart_rate.csv").unlink()
    times = np.cumsum(np.full(19000, 1.0))
    beats = [f"{time:.3f},1.000" for time in times]
    beats[50] = f"{times[50]:.3f},5.000"
    (night / "beats.csv").write_text("t_s,rr_s\n" + "\n".join(beats) + "\n")
    (tmp_path / "copy").mkdir()
    alter(night, tmp_path / "copy", np.random.default_rng(1))
    gaps = [float(it) for it in read(tmp_path / "copy" / "beats.csv")[1]]
    assert len(set(gaps) - {5.0}) == 1
    assert 0.7 < gaps[-1] < 1.4
    assert gaps[-1] != 1.0


@pytest.mark.skipif(not device_is_there(), reason="noctis-device is not built")
def test_copies_are_played_once_and_are_always_the_same(tmp_path: Path) -> None:
    moving_night(tmp_path / "nights" / "ann", seed=1)
    folders = find_nights(tmp_path / "nights")
    recordings = load(tmp_path / "nights", cache=tmp_path / "cache")
    [one] = altered_copies(folders, recordings, 2, cache=tmp_path / "cache")
    kept = sorted((tmp_path / "cache").iterdir())
    marks = [path.stat().st_mtime_ns for path in kept]
    [again] = altered_copies(folders, recordings, 2, cache=tmp_path / "cache")
    assert [path.stat().st_mtime_ns for path in kept] == marks
    assert len(kept) == 3
    for first, second in zip(one, again, strict=True):
        assert np.array_equal(first.rows, second.rows)
        assert first.night == recordings[0].night
        assert not np.array_equal(first.rows[:200], recordings[0].rows[:200])
