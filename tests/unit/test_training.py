import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from evaluation import figures as evaluate
from evaluation.datasets import (
    DataError,
    Recording,
    describe,
    find_device,
    find_nights,
    load,
    parse,
    play,
)
from evaluation.document import figures
from inference.context import FEATURE_NAMES, Rows, night_features, night_sessions
from inference.model import Model
from noctis.errors import ModelError
from noctis.features import COUNT, NAMES, quantise
from noctis.histograms import PLACES
from noctis.settings import Settings
from noctis.stages import LABELS
from registry import fingerprint
from registry.manifest import ARTEFACT, Manifest, Night, digest_of, night_in_training
from tests.nights import device_is_there, made_up, write_night

pytest.importorskip("sklearn", reason="the extra 'train' is not installed")

from training import tree_graph, trees
from training.features import Table, motion_columns, stack, tabulate, without_motion
from training.train import Order, make_model, train
from training.trees import Parameters, cross_validate, fit

TINY = Parameters(seed=3, folds=3, iterations=8, leaf_epochs=10)
HEADER = ",".join(("t_s", "stage", "in_bed", *NAMES))
NIGHT = Night(name="one", subject="ann", files={"stages.csv": "0" * 64})


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    return [made_up(f"s{i % 5}", seed=i) for i in range(6)]


@pytest.fixture(scope="module")
def tables(recordings: list[Recording]) -> list[Table]:
    return tabulate(recordings)


def make(folder: Path, recordings: list[Recording], seed: int = 3) -> Manifest:
    folder.mkdir()
    parameters = Parameters(seed=seed, folds=3, iterations=8, leaf_epochs=10)
    return make_model(folder, Order(data=folder, parameters=parameters), recordings)


def test_a_model_is_made_checked_and_loads(tmp_path: Path, recordings: list[Recording]) -> None:
    manifest = make(tmp_path / "model", recordings)
    assert manifest.figures.kappa > 0.5
    assert set(manifest.figures.subjects) == {"s0", "s1", "s2", "s3", "s4"}
    assert [night.name for night in manifest.nights] == sorted(
        recording.night.name for recording in recordings
    )
    told = fingerprint.read(tmp_path / "model")
    assert told.names == ("s0", "s1", "s2", "s3", "s4")
    assert told.total[PLACES[0]].sum() == sum(len(it.rows) for it in recordings)
    model = Model.load(tmp_path / "model")
    rows = recordings[0].rows
    predicted = model.predict(night_sessions(rows)).argmax(axis=1)
    assert (predicted == recordings[0].stages).mean() > 0.8


def test_training_twice_with_one_seed_gives_the_same_bytes(
    tmp_path: Path, recordings: list[Recording]
) -> None:
    first = make(tmp_path / "first", recordings)
    second = make(tmp_path / "second", recordings)
    other = make(tmp_path / "other", recordings, seed=4)
    assert first.files[ARTEFACT] == second.files[ARTEFACT] != other.files[ARTEFACT]
    assert first.figures == second.figures
    assert digest_of(tmp_path / "first" / ARTEFACT) == first.files[ARTEFACT]


def test_the_artefacts_bytes_do_not_depend_on_the_order_of_a_set(
    tables: list[Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = fit(tables, TINY)
    artefact = tree_graph.to_artefact(classifier)
    convert = tree_graph.to_onnx

    def turned(*args: object, **options: object) -> object:
        graph = convert(*args, **options)
        graph.opset_import.reverse()
        return graph

    monkeypatch.setattr(tree_graph, "to_onnx", turned)
    assert tree_graph.to_artefact(classifier) == artefact


def test_no_subject_is_tested_on_a_model_that_knows_them(
    tables: list[Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[set[str], set[str]]] = []
    fold = trees._fold

    def watch(known: list[Table], new: list[Table], parameters: Parameters) -> object:
        seen.append(({t.subject for t in known}, {t.subject for t in new}))
        return fold(known, new, parameters)

    monkeypatch.setattr(trees, "_fold", watch)
    matrices = cross_validate(tables, TINY)
    assert len(seen) == 3
    assert all(not known & new for known, new in seen)
    scored = sum(int((table.stages >= 0).sum()) for table in tables)
    assert sum(int(matrix.sum()) for matrix in matrices.values()) == scored


def test_nights_of_one_subject_cannot_be_cross_validated(tables: list[Table]) -> None:
    alone = [Table("ann", table.features, table.stages) for table in tables]
    with pytest.raises(DataError, match="one subject alone"):
        cross_validate(alone, TINY)


def test_a_missing_stage_is_an_error(tables: list[Table]) -> None:
    sleepless = [
        Table(t.subject, t.features, np.where(t.stages == 2, 1, t.stages)) for t in tables
    ]
    with pytest.raises(DataError, match="hold 3 of 4 stages"):
        fit(sleepless, TINY)


def test_a_night_without_motion_has_the_features_that_training_gives_it(
    recordings: list[Recording], tables: list[Table]
) -> None:
    rows: Rows = recordings[0].rows.copy()
    for name in ("act_count", "enmo", "move_frac", "still_s", "tilt_change"):
        rows[:, NAMES.index(name)] = quantise(np.full((1, COUNT), np.nan))[0, NAMES.index(name)]
    assert without_motion(tables[0]).features.tobytes() == night_features(rows).tobytes()
    assert 10 < len(motion_columns()) < len(FEATURE_NAMES) // 2


def test_unscored_epochs_are_not_learnt() -> None:
    stages = np.array([0, -1, 1, 2, -1, 3], np.int8)
    table = Table("ann", np.arange(12, dtype=np.float32).reshape(6, 2), stages)
    features, kept = stack([table, table])
    assert kept.tolist() == [0, 1, 2, 3] * 2
    assert features[:, 0].tolist() == [0, 4, 6, 10] * 2


def test_rare_stages_are_lifted_by_a_power_of_their_share(tables: list[Table]) -> None:
    few = [replace(t, stages=np.where(t.stages == 2, -1, t.stages)) for t in tables[1:]]
    tables = [tables[0], *few]
    plain = fit(tables, replace(TINY, prior_power=0.0)).predict_proba(tables[0].features)
    lifted = fit(tables, replace(TINY, prior_power=0.3)).predict_proba(tables[0].features)
    _, stages = stack(tables)
    expected = plain * (np.bincount(stages) / len(stages)) ** -0.3
    assert np.allclose(lifted, expected / expected.sum(axis=1, keepdims=True))


def test_kappa_accuracy_and_f1_of_known_matrices() -> None:
    perfect = np.diag([5, 4, 3, 2])
    assert evaluate.kappa(perfect) == evaluate.accuracy(perfect) == 1
    assert evaluate.macro_f1(perfect) == 1
    chance = np.outer([1, 2, 3, 4], [4, 3, 2, 1])
    assert evaluate.kappa(chance) == pytest.approx(0)
    textbook = np.zeros((4, 4), np.int64)
    textbook[:2, :2] = [[20, 5], [10, 15]]
    assert evaluate.kappa(textbook) == pytest.approx(0.4)
    assert evaluate.stage_f1(textbook)[:2] == pytest.approx([40 / 55, 30 / 45])
    assert np.isnan(evaluate.stage_f1(textbook)[2:]).all()


def test_confusion_leaves_unscored_epochs_out() -> None:
    reference = np.array([0, 1, 2, 3, -1, 1], np.int8)
    predicted = np.array([0, 1, 2, 1, 3, 0])
    matrix = evaluate.confusion(reference, predicted)
    assert matrix.sum() == 5
    assert matrix[3, 1] == matrix[1, 0] == matrix[1, 1] == 1


def test_the_interval_comes_from_subjects() -> None:
    good, bad = np.diag([50] * 4), np.full((4, 4), 12)
    same = figures({"a": good + bad, "b": good + bad}, seed=0)
    assert same.kappa_interval == (same.kappa, same.kappa)
    unlike = figures({"a": 2 * good, "b": 2 * bad}, seed=0)
    assert unlike.kappa_interval[0] == 0
    assert unlike.kappa_interval[1] == 1
    assert set(unlike.stage_f1) == set(LABELS)


def csv_of(*lines: str) -> str:
    return "\n".join((HEADER, *lines)) + "\n"


def test_the_firmwares_csv_becomes_rows() -> None:
    recording = parse(
        csv_of("0,,1,60.375" + "," * 13 + ",1", "30,N3,0,60" + "," * 13 + ",0.5"), NIGHT
    )
    assert recording.stages.tolist() == [-1, 2]
    assert recording.rows[:, 0].tolist() == [81, 80]
    assert recording.rows[:, COUNT].tolist() == [1, 0]
    assert recording.rows[0, 1] == 127


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "columns"),
        ("t_s,stage\n0,W\n", "columns"),
        (HEADER + "\n", "no epoch"),
        (csv_of("0,W,1,60"), "wrong length"),
        (csv_of("0,,1" + "," * 15), "no epoch has a stage"),
    ],
)
def test_a_csv_that_cannot_be_used_says_why(text: str, message: str) -> None:
    with pytest.raises(DataError, match=f"one: .*{message}"):
        parse(text, NIGHT)


def test_a_folder_without_nights_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no night in .*stages\.csv"):
        find_nights(tmp_path)


def test_a_subject_is_the_folder_or_what_a_note_says(tmp_path: Path) -> None:
    folder = write_night(tmp_path / "a" / "first", seed=1)
    assert find_nights(tmp_path) == [folder]
    assert describe(folder).subject == "first"
    (folder / "subject.txt").write_text("ann\n")
    assert describe(folder).subject == "ann"
    assert set(describe(folder).files) == {"stages.csv", "heart_rate.csv"}


def program(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_a_program_that_fails_hangs_or_is_missing_is_named(tmp_path: Path) -> None:
    failing = program(tmp_path / "failing", "echo 'line 3 is no number' >&2; exit 2")
    with pytest.raises(DataError, match="line 3 is no number"):
        play(tmp_path, failing)
    with pytest.raises(DataError, match="within 0 s"):
        play(tmp_path, program(tmp_path / "hanging", "exec sleep 20"), seconds=0.2)
    with pytest.raises(DataError, match="cannot start"):
        play(tmp_path, tmp_path / "missing")


def test_a_night_is_played_once_and_again_when_it_or_the_program_changes(
    tmp_path: Path,
) -> None:
    night = write_night(tmp_path / "nights" / "ann", seed=1)
    text = csv_of("0,W,1,60" + "," * 13 + ",1")
    (tmp_path / "out.csv").write_text(text)
    count = tmp_path / "count"
    body = f"echo played >> {count}; cat {tmp_path / 'out.csv'}"
    device = program(tmp_path / "device", body)

    def plays() -> int:
        load(tmp_path / "nights", cache=tmp_path / "cache", device=device)
        return len(count.read_text().splitlines())

    assert [plays(), plays()] == [1, 1]
    program(device, body + " # another build")
    assert [plays(), plays()] == [2, 2]
    (night / "heart_rate.csv").write_text("t_s,bpm\n0,61\n")
    assert [plays(), plays()] == [3, 3]


def test_the_same_night_of_two_subjects_is_refused(tmp_path: Path) -> None:
    write_night(tmp_path / "nights" / "ann", seed=1)
    shutil.copytree(tmp_path / "nights" / "ann", tmp_path / "nights" / "bob")
    (tmp_path / "out.csv").write_text(csv_of("0,W,1,60" + "," * 13 + ",1"))
    device = program(tmp_path / "device", f"cat {tmp_path / 'out.csv'}")
    with pytest.raises(DataError, match=r"bob and ann have the same stages\.csv"):
        load(tmp_path / "nights", cache=tmp_path / "cache", device=device)


@pytest.mark.skipif(not device_is_there(), reason="noctis-device is not built")
def test_nights_go_through_the_firmware_into_a_published_model(tmp_path: Path) -> None:
    data = tmp_path / "nights"
    for seed in range(4):
        write_night(data / f"night-{seed}", seed=seed)
    order = Order(data=data, parameters=TINY)
    settings = Settings(var=tmp_path / "var")
    manifest = train(order, settings)
    folder = settings.models / "stager" / "versions" / manifest.version
    assert Model.load(folder).manifest == manifest
    assert manifest.figures.kappa > 0.5
    assert night_in_training(data / "night-2", manifest)
    assert not night_in_training(write_night(tmp_path / "new", seed=9), manifest)
    again = train(order, settings, out=tmp_path / "again")
    assert again.files[ARTEFACT] == manifest.files[ARTEFACT]
    with pytest.raises(ModelError, match="exists"):
        train(order, settings, out=tmp_path / "again")


@pytest.mark.skipif(not device_is_there(), reason="noctis-device is not built")
def test_a_made_up_night_of_the_firmware_can_be_read() -> None:
    done = subprocess.run(
        [str(find_device()), "--seed", "3", "--hours", "2", "--to", "csv"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    recording = parse(done.stdout, NIGHT)
    assert len(recording.rows) == 240
    assert all(a == b for a, b in pairwise(recording.rows[:, COUNT].tolist()))
