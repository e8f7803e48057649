import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cli.main import app
from evaluation.bootstrap import draw, interval
from evaluation.datasets import Recording
from evaluation.document import document, one
from evaluation.figures import (
    BINS,
    NO_STAGE,
    Tally,
    accuracy,
    calibration_error,
    kappa,
    macro_f1,
    stage_f1,
    tally,
    total,
)
from evaluation.staging import by_subject, stage_night
from inference.context import Rows
from inference.model import DEFAULT_FOLDER, Model
from inference.stage import is_stageable
from noctis.stages import LABELS
from registry.manifest import Night, digest_of, read_manifest
from tests.nights import device_is_there, made_up_rows, publish_copy, write_night


def judged(
    seed: int, *, epochs: int = 400, stages: int = 4
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A reference, stages and probabilities; some epochs unscored, some without a stage."""
    random = np.random.default_rng(seed)
    reference = random.integers(0, stages, epochs).astype(np.int8)
    chances = random.dirichlet(np.ones(4), epochs)
    chances[np.arange(epochs), reference] += 0.4 * random.random(epochs)
    chances /= chances.sum(axis=1, keepdims=True)
    told = chances.argmax(axis=1).astype(np.int8)
    reference[random.random(epochs) < 0.1] = NO_STAGE
    gone = random.random(epochs) < 0.07
    told[gone], chances[gone] = NO_STAGE, np.nan
    return reference, told, chances


@pytest.mark.parametrize(("seed", "stages"), [(0, 4), (1, 3), (2, 2), (3, 4)])
def test_every_figure_is_what_scikit_learn_computes(seed: int, stages: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="the extra 'train' is missing")
    calibration = pytest.importorskip("sklearn.calibration")
    reference, told, chances = judged(seed, stages=stages)
    counts = tally(reference, told, chances)
    both = (reference != NO_STAGE) & (told != NO_STAGE)
    r, t = reference[both], told[both]
    labels = np.arange(4)
    assert counts.matrix.tolist() == metrics.confusion_matrix(r, t, labels=labels).tolist()
    assert kappa(counts.matrix) == pytest.approx(metrics.cohen_kappa_score(r, t))
    assert accuracy(counts.matrix) == pytest.approx(metrics.accuracy_score(r, t))
    assert macro_f1(counts.matrix) == pytest.approx(metrics.f1_score(r, t, average="macro"))
    f1 = metrics.f1_score(r, t, average=None, labels=labels, zero_division=np.nan)
    assert np.nan_to_num(stage_f1(counts.matrix)) == pytest.approx(np.nan_to_num(f1))
    confidence = chances[both].max(axis=1)
    rates, means = calibration.calibration_curve(r == t, confidence, n_bins=BINS)
    filled = np.histogram(confidence, BINS, (0, 1))[0]
    weights = filled[filled > 0] / filled.sum()
    expected = (np.abs(rates - means) * weights).sum()
    assert calibration_error(counts.bins) == pytest.approx(expected)
    scored = reference != NO_STAGE
    fifth = np.where(told == NO_STAGE, 4, told)[scored]
    strict = metrics.cohen_kappa_score(reference[scored], fifth)
    figures = one(counts)
    assert figures["kappa_unstaged_wrong"] == pytest.approx(strict, abs=6e-5)
    assert figures["unstaged"] == (scored & (told == NO_STAGE)).sum() > 0
    assert figures["epochs"] == both.sum()


def test_a_model_that_knows_how_sure_it_is_has_no_calibration_error() -> None:
    right = np.array([1] * 8 + [0] * 2, np.int8)
    chances = np.tile([0.8, 0.2, 0.0, 0.0], (10, 1))
    stages = np.zeros(10, np.int8)
    assert calibration_error(tally(1 - right, stages, chances).bins) == pytest.approx(0)
    sure = np.tile([1.0, 0.0, 0.0, 0.0], (10, 1))
    assert calibration_error(tally(1 - right, stages, sure).bins) == pytest.approx(0.2)


def test_too_sure_here_and_not_sure_enough_there_do_not_cancel_out() -> None:
    stages = np.zeros(20, np.int8)
    reference = np.array([0] * 10 + [0] * 9 + [1], np.int8)
    chances = np.array([[0.9, 0.1, 0.0, 0.0]] * 10 + [[1.0, 0.0, 0.0, 0.0]] * 10)
    assert calibration_error(tally(reference, stages, chances).bins) == pytest.approx(0.1)


def test_a_subject_of_whom_nothing_is_known_has_no_figures() -> None:
    nothing = np.full(5, NO_STAGE, np.int8)
    told = document({"ann": tally(nothing, nothing, np.full((5, 4), np.nan))})
    assert told["kappa"] is None
    assert told["kappa_interval"] == [None, None]
    assert told["subjects"]["ann"]["stage_f1"] == dict.fromkeys(LABELS)
    json.dumps(told, allow_nan=False)


def tallies_of(subjects: int) -> dict[str, Tally]:
    return {f"s{at}": tally(*judged(at)) for at in range(subjects)}


def test_the_pooled_figures_are_those_of_all_epochs_together() -> None:
    nights = [judged(seed) for seed in range(3)]
    together = tally(*(np.concatenate(parts) for parts in zip(*nights, strict=True)))
    told = document(tallies_of(3))
    assert {**told, "subjects": None, "kappa_interval": None} == {
        **one(together),
        "subjects": None,
        "kappa_interval": None,
    }
    assert told["subjects"]["s1"] == one(tally(*nights[1]))
    low, high = told["kappa_interval"]
    assert low < told["kappa"] < high


def test_a_sample_of_the_bootstrap_holds_whole_subjects() -> None:
    weights = draw(5, seed=3)
    assert (weights.sum(axis=1) == 5).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(5), abs=0.1)
    assert (weights == draw(5, seed=3)).all()
    several = [tally(*judged(seed)) for seed in range(5)]
    sample = total(several).weighted(weights[:1])
    by_hand = sum(
        (int(count) * it.matrix for count, it in zip(weights[0], several, strict=True)),
        np.zeros((4, 4), np.int64),
    )
    assert sample.matrix[0].tolist() == by_hand.tolist()


def test_the_interval_leaves_a_fortieth_on_each_side() -> None:
    assert interval(np.arange(1001.0)) == pytest.approx((25, 975))
    assert interval(np.array([np.nan, 1.0, 1.0])) == (1, 1)


def recording(rows: Rows, subject: str = "ann", *, stage: int = 1) -> Recording:
    night = Night(name=subject, subject=subject, files={"stages.csv": "0" * 64})
    return Recording(night, rows, np.full(len(rows), stage, np.int8))


def test_empty_bed_and_poor_quality_get_no_stage_as_live() -> None:
    rows = made_up_rows(120, seed=1)
    staging = stage_night(Model.load(DEFAULT_FOLDER), rows)
    silent = [not is_stageable(row) for row in rows]
    assert (staging.stages == NO_STAGE).tolist() == silent
    assert 0 < sum(silent) < len(rows)
    assert np.isnan(staging.probabilities).all(axis=1).tolist() == silent


def test_an_epoch_is_staged_from_its_past_alone() -> None:
    rows = made_up_rows(150, seed=2)
    model = Model.load(DEFAULT_FOLDER)
    whole, begun = stage_night(model, rows), stage_night(model, rows[:90])
    assert whole.stages[:90].tolist() == begun.stages.tolist()
    known = begun.stages != NO_STAGE
    assert np.allclose(whole.probabilities[:90][known], begun.probabilities[known], atol=1e-6)


def test_the_nights_of_a_subject_are_counted_together() -> None:
    rows = made_up_rows(8, seed=1)
    recordings = [recording(rows, name) for name in ("ann", "bob", "ann")]
    parts = [tally(*judged(seed)) for seed in range(3)]
    found = by_subject(recordings, parts)
    assert set(found) == {"ann", "bob"}
    assert (found["ann"].matrix == parts[0].matrix + parts[2].matrix).all()
    assert (found["bob"].bins == parts[1].bins).all()


@pytest.mark.skipif(not device_is_there(), reason="noctis-device is not built")
def test_the_command_prints_one_json_value_and_warns_of_nights_that_were_learnt(
    tmp_path: Path,
) -> None:
    for seed, name in enumerate(("ann", "bob")):
        write_night(tmp_path / "nights" / name, seed=seed)
    arguments = ["model", "evaluate", "--data", str(tmp_path / "nights"), "--json"]
    arguments += ["--var", str(tmp_path / "var")]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    told = json.loads(done.stdout)
    manifest = read_manifest(DEFAULT_FOLDER)
    assert told["model"] == manifest.full_name
    assert (told["nights"], told["in_training"]) == (2, [])
    assert set(told["subjects"]) == {"ann", "bob"}
    assert set(told["stage_f1"]) == set(LABELS)
    assert np.sum(told["confusion"]) == told["epochs"] > 200
    assert "learnt" not in done.stderr
    learnt = Night(
        name="elsewhere",
        subject="x",
        files={"stages.csv": digest_of(tmp_path / "nights" / "bob" / "stages.csv")},
    )
    folder = publish_copy(tmp_path / "var", nights=[learnt.model_dump()])
    done = CliRunner().invoke(app, [*arguments, "--version", folder], catch_exceptions=False)
    assert json.loads(done.stdout)["in_training"] == ["bob"]
    assert "has learnt from 1 of these 2 nights" in " ".join(done.stderr.split())
