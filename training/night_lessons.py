"""Nights as the stager of whole nights learns them, and the same under worse conditions."""

from collections.abc import Sequence

import joblib  # type: ignore[import-untyped]
import numpy as np

from evaluation.datasets import UNSCORED, Progress, Recording
from inference.context import Rows
from inference.night import codes_of
from inference.night_tracks import COUNT, night_tracks
from training.courses import Course
from training.lessons import CONDITIONS, Lesson, Stages, View

__all__ = ["night_course", "night_lessons_of"]


def night_course(subject: str, rows: Rows, stages: Stages) -> Course:
    """Return the tracks of a night's rows, shape (n, 16), with all of the night in sight.

    Of epochs before the sleeper came and after they went nothing is to be learnt.
    """
    part, codes = codes_of(rows)
    tracks = np.full((len(rows), COUNT), np.nan, np.float32)
    tracks[part] = night_tracks(codes)
    scored = np.full_like(stages, UNSCORED)
    scored[part] = stages[part]
    return Course(subject, tracks, scored)


def night_lessons_of(
    recordings: Sequence[Recording],
    copies: Sequence[Sequence[Recording]],
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[Lesson]:
    """Return the recordings with their altered copies as lessons, by ``jobs`` processes."""
    work = joblib.Parallel(n_jobs=jobs, pre_dispatch="n_jobs", return_as="generator")
    pairs = zip(recordings, copies, strict=True)
    lessons: list[Lesson] = []
    for lesson in work(joblib.delayed(_lesson)(*pair) for pair in pairs):
        if progress is not None:
            progress("tracks of the whole nights", len(lessons), len(recordings))
        lessons.append(lesson)
    return lessons


def _lesson(recording: Recording, copies: Sequence[Recording]) -> Lesson:
    subject = recording.night.subject
    altered = [condition(recording.rows, recording.stages) for condition in CONDITIONS.values()]
    views = {
        name: View(night_course(subject, rows, stages), None)
        for name, (rows, stages) in zip(CONDITIONS, altered, strict=True)
    }
    return Lesson(
        subject, views, tuple(night_course(subject, it.rows, it.stages) for it in copies)
    )
