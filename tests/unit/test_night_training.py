"""The training of a stager of whole nights, on made-up nights."""

import numpy as np
import pytest

from evaluation.datasets import DataError, Recording
from inference.context import IN_BED
from tests.nights import made_up

night = pytest.importorskip("training.night", reason="the extra train-net is not installed")
lessons = pytest.importorskip("training.night_lessons")

SUBJECTS = ("ann", "bea", "cy", "dan")


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    return [made_up(who, seed=seed) for seed, who in enumerate(SUBJECTS)]


def small() -> object:
    nets = night.NetParameters(steps=20, width=8, dropout=0.1, learning_rate=0.01)
    return night.NightPlan(folds=2, members=1, nets=nets)


def test_the_same_nights_and_seed_make_the_same_model_and_it_has_learnt(
    recordings: list[Recording],
) -> None:
    copies = [(made_up(it.night.subject, seed=90),) for it in recordings]
    first, again = (night.make_night_stager(small(), recordings, copies) for _ in range(2))
    assert first.graphs == again.graphs
    assert first.figures == again.figures
    assert first.figures.kappa > 0.4
    assert sorted(first.figures.subjects) == sorted(SUBJECTS)
    assert set(first.report["conditions"]) > {"as recorded", "without motion"}


def test_nights_of_one_sleeper_or_without_a_stage_are_refused(
    recordings: list[Recording],
) -> None:
    with pytest.raises(DataError, match="one subject alone"):
        night.make_night_stager(small(), recordings[:1], [()])
    awake = [
        Recording(it.night, it.rows, np.where(it.stages == 2, 1, it.stages).astype(np.int8))
        for it in recordings
    ]
    with pytest.raises(DataError, match="3 of 4 stages"):
        night.make_night_stager(small(), awake, [()] * len(awake))


def test_nothing_is_learnt_of_epochs_before_the_sleeper_comes_and_after_they_went(
    recordings: list[Recording],
) -> None:
    rows, stages = recordings[0].rows.copy(), recordings[0].stages
    rows[:20, IN_BED] = rows[150:, IN_BED] = 0
    course = lessons.night_course("ann", rows, stages)
    assert (course.stages[:20] == -1).all()
    assert (course.stages[150:] == -1).all()
    assert (course.stages[20:150] == stages[20:150]).all()
    assert np.isnan(course.tracks[:20]).all()
