from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'train-net' is not installed")
pytest.importorskip("sklearn", reason="the extra 'train' is not installed")

from evaluation.datasets import Recording
from inference.context import IN_BED, night_sessions
from inference.graph import Graph
from inference.model import Model
from inference.scaling import Scaling
from inference.tracks import COUNT, WINDOW, tracks
from noctis.errors import ModelError
from noctis.features import NAMES
from tests.nights import made_up
from training import nets, stager_graph
from training.courses import course_of, motion_tracks, night_tracks
from training.export import build
from training.lessons import CONDITIONS, MOTION, lessons_of
from training.net_graph import to_graph
from training.nets import Net, NetParameters, fit_net, mean_of
from training.parts import Plan, cross_validate
from training.stager import make_stager
from training.trees import Parameters

TINY = NetParameters(width=8, steps=18, batch=2)
PLAN = Plan("blend", Parameters(seed=3, folds=3, iterations=8, leaf_epochs=10), TINY, members=2)


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    return [made_up(f"s{i % 5}", seed=i) for i in range(6)]


@pytest.fixture(scope="module")
def trained(recordings: list[Recording]) -> tuple[Net, ...]:
    nights = [[course_of(recording)] for recording in recordings]
    return tuple(fit_net(nights, TINY, seed=seed) for seed in (1, 2))


def test_a_net_learns_nights_it_is_shown(
    recordings: list[Recording], trained: tuple[Net, ...]
) -> None:
    told = np.concatenate([mean_of(trained, night_tracks(it.rows)) for it in recordings])
    stages = np.concatenate([it.stages for it in recordings])
    assert (told.argmax(axis=1) == stages).mean() > 0.6


def test_training_a_net_twice_gives_the_same_graph(recordings: list[Recording]) -> None:
    nights = [[course_of(it), course_of(recordings[0])] for it in recordings[1:]]
    short = replace(TINY, steps=6)
    graphs = [to_graph([fit_net(nights, short, seed=seed)]) for seed in (4, 4, 5)]
    assert graphs[0] == graphs[1] != graphs[2]


def test_a_nights_tracks_are_those_that_a_worker_makes(recordings: list[Recording]) -> None:
    rows = recordings[0].rows.copy()
    rows[:7, IN_BED] = rows[50:58, IN_BED] = rows[90:120, IN_BED] = 0
    table = night_tracks(rows)
    for at, session in enumerate(night_sessions(rows)):
        live = tracks(session)[-1]
        if rows[at, IN_BED]:
            assert np.array_equal(table[at], live, equal_nan=True)


def test_the_graph_says_what_the_nets_say_at_every_epoch(
    recordings: list[Recording], trained: tuple[Net, ...]
) -> None:
    rows = np.concatenate([recordings[0].rows, recordings[1].rows])
    graph = Graph(to_graph(trained), (WINDOW, COUNT), where="nets")
    scaling = Scaling.within(graph.metadata)
    assert scaling is not None
    windows = np.stack([scaling(tracks(session)) for session in night_sessions(rows)])
    whole = mean_of(trained, tracks(rows[:, :IN_BED], len(rows)))
    assert np.abs(graph(windows) - whole).max() < 1e-6


def test_a_channel_that_no_night_had_changes_nothing(trained: tuple[Net, ...]) -> None:
    graph = Graph(to_graph(trained), (WINDOW, COUNT), where="nets")
    rows = made_up("new", seed=9).rows
    breathing = rows.copy()
    breathing[:, NAMES.index("rr_mean")] = 50
    breathing[:, NAMES.index("rr_sd")] = 3
    pair = np.stack([tracks(it[:, :IN_BED]) for it in (rows, breathing)])
    assert not np.array_equal(pair[0], pair[1], equal_nan=True)
    one, other = graph(trained[0].scaling(pair))
    assert np.array_equal(one, other)


def test_a_graph_that_is_not_its_nets_is_refused(
    recordings: list[Recording], trained: tuple[Net, ...]
) -> None:
    lessons = lessons_of(recordings[:1], [()], trees=False)
    stager_graph._check_nets(to_graph(trained), trained, lessons)
    with pytest.raises(ModelError, match="off the trained nets"):
        stager_graph._check_nets(to_graph(trained[:1]), trained, lessons)


def test_no_part_of_a_fold_has_seen_the_subjects_it_is_tested_on(
    recordings: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[set[str]] = []
    asked: list[tuple[set[str], str]] = []
    fit, opine = nets.fit_net, Net.probabilities

    def watch_fit(nights: list[list[object]], *args: object, **options: object) -> Net:
        learnt.append({course.subject for night in nights for course in night})
        net = fit(nights, *args, **options)
        net.subjects = learnt[-1]
        return net

    def watch(net: Net, table: np.ndarray) -> np.ndarray:
        asked.append((net.subjects, owners[table.tobytes()]))
        return opine(net, table)

    monkeypatch.setattr("training.parts.fit_net", watch_fit)
    monkeypatch.setattr(Net, "probabilities", watch)
    lessons = lessons_of(recordings, [()] * len(recordings), trees=False)
    owners = {
        view.course.tracks.tobytes(): lesson.subject
        for lesson in lessons
        for view in lesson.views.values()
    }
    answers = cross_validate(lessons, replace(PLAN, architecture="net"))
    assert sorted(it.subject for it in answers) == sorted(it.subject for it in lessons)
    assert asked
    assert all(subject not in known for known, subject in asked)


def test_a_blend_is_made_reported_and_loads(
    tmp_path: Path, recordings: list[Recording]
) -> None:
    product = make_stager(PLAN, recordings, [()] * len(recordings))
    manifest = build(tmp_path, product, name="stager", recordings=recordings)
    model = Model.load(tmp_path)
    assert model.manifest == manifest
    assert manifest.architecture == "blend"
    assert {part.file for part in manifest.parts} == {"model.onnx", "nets.onnx"}
    assert manifest.figures.kappa > 0.4
    report = product.report
    assert report is not None
    assert set(report["conditions"]) == set(CONDITIONS)
    assert set(report["parts"]) == {"trees alone", "nets alone"}
    assert report["conditions"]["as recorded"]["kappa"] == manifest.figures.kappa
    assert report["conditions"]["without breathing"] == report["conditions"]["as recorded"]
    assert report["conditions"]["begun an hour late"]["epochs"] == 6 * 40
    assert "10 min of each hour lost" in (tmp_path / "card.md").read_text()


def test_conditions_take_away_what_they_say(recordings: list[Recording]) -> None:
    rows, stages = recordings[0].rows, recordings[0].stages
    still, _ = CONDITIONS["without motion"](rows, stages)
    columns = [NAMES.index(name) for name in MOTION]
    assert not np.nan_to_num(night_tracks(still)[:, motion_tracks()]).any()
    assert (still[:, columns] != rows[:, columns]).any()
    kept = np.delete(np.arange(rows.shape[1]), columns)
    assert np.array_equal(still[:, kept], rows[:, kept])
    lost, scored = CONDITIONS["10 min of each hour lost"](rows, stages)
    assert (lost[60:80, IN_BED] == 0).all()
    assert (scored[60:80] == -1).all()
    assert np.array_equal(lost[80:160], rows[80:160])
    late, later = CONDITIONS["begun an hour late"](rows, stages)
    assert np.array_equal(late, rows[120:])
    assert np.array_equal(later, stages[120:])
