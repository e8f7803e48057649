"""Nights as nets learn them: every epoch's tracks in its session, and its stage."""

from collections.abc import Sequence
from dataclasses import dataclass

import joblib  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from evaluation.datasets import Recording
from inference.context import IN_BED, Rows, session_of
from inference.tracks import COUNT, NAMES, tracks

__all__ = ["Course", "course_of", "courses_of", "motion_tracks", "night_tracks"]

_MOTION = ("motion", "moving", "still", "since_motion", "onset", "cycle")


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """A night's tracks (n, C), NaN = unknown, its stages (n,), -1 where unscored."""

    subject: str
    tracks: NDArray[np.float32]
    stages: NDArray[np.int8]


def motion_tracks(names: Sequence[str] = NAMES) -> list[int]:
    """Return the columns of the tracks that rest on the accelerometer."""
    return [i for i, name in enumerate(names) if name.startswith(_MOTION)]


def night_tracks(rows: Rows) -> NDArray[np.float32]:
    """Return the tracks, shape (n, C), of a night's rows, shape (n, 16), session by session.

    As live, but for a session of more than 960 epochs, whose beginning a worker forgets.
    """
    table = np.full((len(rows), COUNT), np.nan, np.float32)
    end = len(rows)
    while (occupied := np.flatnonzero(rows[:end, IN_BED])).size:
        session = session_of(rows[:end])
        if len(session):
            table[end - len(session) : end] = tracks(session, len(session))
            end -= len(session)
        else:
            end = int(occupied[-1]) + 1
    return table


def course_of(recording: Recording) -> Course:
    """Return the recording as a net learns it."""
    return Course(recording.night.subject, night_tracks(recording.rows), recording.stages)


def courses_of(recordings: Sequence[Recording], *, jobs: int = 1) -> list[Course]:
    """Return the recordings' courses, computed by ``jobs`` processes."""
    work = joblib.Parallel(n_jobs=jobs)
    return list(work(joblib.delayed(course_of)(recording) for recording in recordings))
