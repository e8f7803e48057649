"""Nights as a stager's parts learn them, and the same nights under worse conditions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import joblib  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from evaluation.datasets import UNSCORED, Progress, Recording
from inference.context import IN_BED, Rows, night_features
from noctis.features import FEATURES, NAMES
from training.courses import Course, course_of, night_tracks
from training.features import Table

__all__ = ["AS_RECORDED", "CONDITIONS", "Lesson", "View", "lessons_of"]

Stages = NDArray[np.int8]

AS_RECORDED: Final = "as recorded"
MISSING: Final = np.array([feature.missing for feature in FEATURES], np.int16)
BREATHING: Final = ("rr_mean", "rr_sd", "rr_regularity", "resp_amp_cv")
MOTION: Final = ("act_count", "enmo", "move_frac", "still_s", "tilt_change")
HOUR: Final = 120
DROPOUT: Final = slice(60, 80)  # ten minutes of each hour


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What nets see of a night's epochs, and what trees see; None where there are none."""

    course: Course
    table: Table | None

    @property
    def stages(self) -> Stages:
        """The stages, shape (n,), -1 where unscored."""
        return self.course.stages


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A night to learn from: under each condition, and altered copies for nets."""

    subject: str
    views: dict[str, View]
    copies: tuple[Course, ...]

    @property
    def view(self) -> View:
        """The night as it was recorded."""
        return self.views[AS_RECORDED]


def _without(names: Sequence[str]) -> Callable[[Rows, Stages], tuple[Rows, Stages]]:
    columns = [NAMES.index(name) for name in names]

    def condition(rows: Rows, stages: Stages) -> tuple[Rows, Stages]:
        changed = rows.copy()
        changed[:, columns] = MISSING[columns]
        return changed, stages

    return condition


def _dropout(rows: Rows, stages: Stages) -> tuple[Rows, Stages]:
    """Take ten minutes of each hour away; what is not there is not to be staged."""
    changed, scored = rows.copy(), stages.copy()
    for begin in range(0, len(rows), HOUR):
        gone = slice(begin + DROPOUT.start, begin + DROPOUT.stop)
        changed[gone, :IN_BED], changed[gone, IN_BED] = MISSING, 0
        scored[gone] = UNSCORED
    return changed, scored


def _late(rows: Rows, stages: Stages) -> tuple[Rows, Stages]:
    return rows[HOUR:], stages[HOUR:]


CONDITIONS: Final = {
    AS_RECORDED: lambda rows, stages: (rows, stages),
    "without breathing": _without(BREATHING),
    "without motion": _without(MOTION),
    "10 min of each hour lost": _dropout,
    "begun an hour late": _late,
}


def lessons_of(
    recordings: Sequence[Recording],
    copies: Sequence[Sequence[Recording]],
    *,
    trees: bool,
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[Lesson]:
    """Return the recordings with their altered copies as lessons, by ``jobs`` processes.

    ``trees``: whether to make the features that trees take.
    """
    work = joblib.Parallel(n_jobs=jobs, pre_dispatch="n_jobs", return_as="generator")
    pairs = zip(recordings, copies, strict=True)
    lessons: list[Lesson] = []
    for lesson in work(joblib.delayed(_lesson)(*pair, trees) for pair in pairs):
        if progress is not None:
            progress("features and tracks of the nights", len(lessons), len(recordings))
        lessons.append(lesson)
    return lessons


def _lesson(
    recording: Recording,
    copies: Sequence[Recording],
    trees: bool,  # noqa: FBT001
) -> Lesson:
    views: dict[str, View] = {}
    subject, known = recording.night.subject, recording.rows
    for name, condition in CONDITIONS.items():
        rows, stages = condition(known, recording.stages)
        if views and rows is not known and np.array_equal(rows, known):
            views[name] = views[AS_RECORDED]
            continue
        table = Table(subject, night_features(rows), stages) if trees else None
        views[name] = View(Course(subject, night_tracks(rows), stages), table)
    return Lesson(subject, views, tuple(map(course_of, copies)))
