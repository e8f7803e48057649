"""Tables to learn from: each epoch's features in its session, and its stage."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import joblib  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from evaluation.datasets import UNSCORED, Progress, Recording
from inference.context import FEATURE_NAMES, night_features

__all__ = ["Table", "motion_columns", "stack", "tabulate", "without_motion"]

_MOTION: Final = ("motion", "moving", "since_motion", "onset", "cycle")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A night's features (n, F) and stages (n,), -1 where unscored, and whose they are."""

    subject: str
    features: NDArray[np.float32]
    stages: NDArray[np.int8]


def motion_columns() -> list[int]:
    """Return the columns of the features that rest on the accelerometer."""
    return [i for i, name in enumerate(FEATURE_NAMES) if name.startswith(_MOTION)]


def tabulate(
    recordings: Sequence[Recording], *, jobs: int = 1, progress: Progress | None = None
) -> list[Table]:
    """Return the recordings' tables, computed by ``jobs`` processes."""
    work = joblib.Parallel(n_jobs=jobs, return_as="generator")
    tables: list[Table] = []
    for table in work(joblib.delayed(_table)(recording) for recording in recordings):
        if progress is not None:
            progress("features of the nights", len(tables), len(recordings))
        tables.append(table)
    return tables


def _table(recording: Recording) -> Table:
    features = night_features(recording.rows)
    return Table(recording.night.subject, features, recording.stages)


def without_motion(table: Table) -> Table:
    """Return the table as it would be without an accelerometer."""
    features = table.features.copy()
    features[:, motion_columns()] = np.nan
    return Table(table.subject, features, table.stages)


def stack(tables: Sequence[Table]) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Return the features (m, F) and stages (m,) of all tables' scored epochs."""
    features = np.concatenate([table.features for table in tables])
    stages = np.concatenate([table.stages for table in tables])
    scored = stages != UNSCORED
    return features[scored], stages[scored]
