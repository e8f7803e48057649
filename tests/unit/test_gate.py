import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.gate import measure
from cli.main import app
from evaluation.bootstrap import _t_quantile
from evaluation.comparison import compare, left_out, read_report
from evaluation.datasets import DataError, Recording
from evaluation.figures import BINS, Tally
from evaluation.gate import Limits, decide
from inference.features import COUNT as FEATURE_COUNT
from inference.model import DEFAULT_FOLDER
from noctis.errors import ConfigurationError, ModelError
from registry.manifest import Night, digest_of, read_manifest
from registry.store import Registry
from tests.models import graph_of, write_model
from tests.nights import device_is_there, made_up_rows, publish_copy, write_night

LIMITS = Limits()
SHIPPED = read_manifest(DEFAULT_FOLDER)


def counts(right: float, *, seed: int, sure: float = 0.7, drift: float = 0.0) -> Tally:
    """A subject of whose 800 epochs a share is right, with chance beside it."""
    random = np.random.default_rng(seed)
    share = right + drift * random.normal()
    matrix = np.full((4, 4), int(200 * (1 - share) / 3))
    matrix[np.diag_indices(4)] = int(200 * share)
    bins = np.zeros((BINS, 3))
    bins[10] = (800, 800 * share, 800 * sure)
    return Tally(matrix, np.zeros(4, np.int64), bins)


def house(
    right: float, *, subjects: int = 12, drift: float = 0.02, **more: float
) -> dict[str, Tally]:
    return {f"s{at:02d}": counts(right, seed=at, drift=drift, **more) for at in range(subjects)}


def verdict_of(right: float, **more: float) -> tuple[str, tuple[str, ...]]:
    told = decide(house(right, **more), house(0.7), latency_ratio=1.0, limits=LIMITS)
    return told.verdict, told.reasons


def test_a_better_an_equal_and_a_worse_model_are_told_apart() -> None:
    assert verdict_of(0.74, sure=0.74) == ("superior", ())
    assert verdict_of(0.7) == ("non-inferior", ())
    verdict, reasons = verdict_of(0.66)
    assert verdict == "not shown to be non-inferior"
    assert "has to be above -0.02" in reasons[0]


def test_a_model_that_is_better_with_some_and_worse_with_others_is_not_superior() -> None:
    ours = {f"s{at}": counts(0.9 if at % 2 else 0.6, seed=at) for at in range(12)}
    theirs = {f"s{at}": counts(0.7, seed=at) for at in range(12)}
    told = decide(ours, theirs, latency_ratio=1.0, limits=LIMITS)
    assert told.kappa_difference is not None
    assert told.kappa_difference > 0.05
    assert told.verdict == "not shown to be non-inferior"


def test_too_few_subjects_are_said_plainly() -> None:
    told = decide(
        house(0.9, subjects=5), house(0.7, subjects=5), latency_ratio=1.0, limits=LIMITS
    )
    assert told.verdict == "too few subjects"
    assert told.kappa_interval is None
    assert not told.is_promotable
    assert "5 subjects from whom neither model has learnt" in told.reasons[0]
    assert verdict_of(0.9, subjects=12)[0] == "superior"


def test_a_subject_without_a_staged_epoch_does_not_count_as_one() -> None:
    nobody = Tally(np.zeros((4, 4), np.int64), np.ones(4, np.int64), np.zeros((BINS, 3)))
    ours = {**house(0.9, subjects=5), "nobody": nobody}
    theirs = {**house(0.7, subjects=5), "nobody": nobody}
    told = decide(ours, theirs, latency_ratio=1.0, limits=LIMITS)
    assert (told.verdict, told.subjects) == ("too few subjects", 5)


def test_a_stage_that_is_lost_stops_a_better_model() -> None:
    ours = house(0.8)
    for it in ours.values():
        it.matrix[3] = [20, 100, 20, 60]
    told = decide(ours, house(0.7), latency_ratio=1.0, limits=LIMITS)
    lost = told.stage_f1_difference["rem"]
    assert lost is not None
    assert lost < -0.05
    assert any(reason.startswith("the F1 of rem falls by 0.") for reason in told.reasons)


def test_calibration_and_latency_have_to_hold() -> None:
    told = decide(house(0.8, sure=0.95), house(0.7), latency_ratio=1.51, limits=LIMITS)
    assert told.verdict == "superior"
    assert [reason.split(" ")[1] for reason in told.reasons] == ["calibration", "epoch"]
    wide = LIMITS.model_copy(update={"latency_ratio": 2.0, "calibration_loss": 0.2})
    assert decide(
        house(0.8, sure=0.95), house(0.7), latency_ratio=1.51, limits=wide
    ).is_promotable


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(4, 2.7764), (5, 2.5706), (11, 2.2010), (23, 2.0687)]
)
def test_students_quantile_is_that_of_the_tables(freedom: int, quantile: float) -> None:
    assert _t_quantile(0.975, freedom) == pytest.approx(quantile, rel=0.004)


def test_equal_models_are_seldom_called_different_where_epochs_call_half_of_them_so() -> None:
    told = measure(200, 12, seed=5)
    assert told["superior"] < 0.06
    assert told["plain_percentile"] > told["superior"]
    assert told["mcnemar"] > 0.2
    assert 0.5 < told["kappa"] < 0.65


def night(name: str, subject: str, digest: str) -> Recording:
    rows = made_up_rows(40, seed=len(name))
    known = Night(name=name, subject=subject, files={"stages.csv": digest * 64})
    stages = np.random.default_rng(1).integers(0, 4, len(rows)).astype(np.int8)
    return Recording(known, rows, stages)


def test_subjects_whom_a_model_knows_are_left_out_with_all_their_nights() -> None:
    learnt = (Night(name="x", subject="someone", files={"stages.csv": "a" * 64}),)
    manifest = SHIPPED.model_copy(update={"version": "new", "nights": learnt})
    nights = [
        night("one", "ann", "a"),
        night("two", "ann", "b"),
        night("three", "bob", "c"),
        night("four", "someone", "d"),
    ]
    out = left_out(nights, [SHIPPED, manifest])
    assert out == [
        "stager@new has learnt from subject ann",
        "stager@new has learnt from subject ann",
        None,
        "stager@new has learnt from subject someone",
    ]


def test_a_report_that_was_changed_is_refused(tmp_path: Path) -> None:
    nights = [night(f"night-{at}", f"s{at}", f"{at:x}") for at in range(6)]
    write_model(tmp_path / "other", "other", {"model.onnx": graph_of((FEATURE_COUNT,))})
    made = compare(tmp_path / "other", DEFAULT_FOLDER, nights, limits=LIMITS)
    assert made.decision.subjects == 6
    assert not made.decision.is_promotable
    file = tmp_path / "report.json"
    file.write_text(made.model_dump_json())
    assert read_report(file) == made
    content = json.loads(file.read_text())
    content["decision"] |= {"verdict": "superior", "reasons": []}
    file.write_text(json.dumps(content))
    with pytest.raises(ModelError, match="its counts decide otherwise"):
        read_report(file)
    file.write_text("{}")
    with pytest.raises(DataError, match="no report of a comparison"):
        read_report(file)


class Desk:
    """The command line on a folder of its own, with nights and versions to choose from."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.nights = folder, folder / "nights"
        for seed in range(6):
            write_night(self.nights / f"night-{seed}", seed=seed, epochs=64)
        self.registry = Registry(folder / "var" / "models")
        for version in ("equal", "other"):
            publish_copy(folder / "var", version)
        graph = graph_of((FEATURE_COUNT,))
        write_model(folder / "draft", "bad", {"model.onnx": graph})
        self.registry.publish(folder / "draft")

    def run(self, *arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, ["model", *arguments, "--var", str(self.folder / "var")])
        if isinstance(done.exception, ConfigurationError | ModelError):
            assert code == 1
            return str(done.exception)
        assert done.exit_code == code, done.output
        return done.stdout


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    if not device_is_there():
        pytest.skip("noctis-device is not built")
    return Desk(tmp_path_factory.mktemp("desk"))


def test_the_gate_lets_an_equal_model_pass_and_tells_the_history_why(desk: Desk) -> None:
    ann = ("--approver", "ann")
    assert "needs somebody who answers" in desk.run("promote", "equal", code=1)
    assert "nothing shows" in desk.run("promote", "equal", *ann, code=1)
    data = ("--data", str(desk.nights))
    refusal = desk.run("promote", "bad", *ann, *data, code=1)
    assert "stager@bad is not promoted: kappa" in refusal
    assert desk.registry.resolve() is None
    switch = json.loads(desk.run("promote", "equal", *ann, *data, "--json"))
    assert (switch["version"], switch["approver"]) == ("equal", "ann")
    assert "non-inferior to stager@" in switch["reason"]
    digest = switch["reason"].rpartition(" ")[2]
    kept = desk.registry.folder / "reports" / f"{digest}.json"
    assert read_report(kept).candidate.model == "stager@equal"
    assert digest_of(kept) == digest
    forced = desk.run("promote", "bad", *ann, *data, "--override", "a drill", "--json")
    assert "override: a drill; kappa" in json.loads(forced)["reason"]
    assert desk.registry.history()[-1].version == desk.registry.resolve() == "bad"
    desk.run("rollback", "--reason", "the drill is over")
    assert desk.registry.resolve() == "equal"


def test_a_report_serves_for_the_models_that_it_is_on_alone(desk: Desk) -> None:
    report = str(desk.folder / "report.json")
    serving = desk.registry.resolve() or "shipped"
    data = ("--data", str(desk.nights))
    told = desk.run("compare", "other", serving, *data, "--out", report, "--json")
    assert json.loads(told)["decision"]["verdict"] == "non-inferior"
    told = desk.run("compare", "bad", "other", *data, code=1)
    assert "not shown to be non-inferior" in told
    given = ("--approver", "bob", "--report", report)
    assert "is on stager@other, not on stager@bad" in desk.run("promote", "bad", *given, code=1)
    desk.run("promote", "other", *given)
    assert desk.registry.resolve() == "other"
    refusal = desk.run("promote", "other", *given, code=1)
    assert f"is on stager@{serving}, not on stager@other" in refusal.replace(
        f"{SHIPPED.full_name}", "stager@shipped"
    )


def test_other_aliases_take_any_version(desk: Desk) -> None:
    desk.run("promote", "bad", "--alias", "shadow")
    assert desk.registry.resolve("shadow") == "bad"


def test_a_champion_that_moved_during_the_comparison_is_not_replaced(desk: Desk) -> None:
    with pytest.raises(ModelError, match="champion has moved meanwhile"):
        desk.registry.promote("champion", "equal", expected="another")
