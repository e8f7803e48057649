"""A night through the live worker's own context and model, without broker and database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import joblib  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from evaluation.datasets import Progress, Recording
from evaluation.figures import NO_STAGE, Tally, tally, total
from inference.context import Context, Moment, Rows
from inference.model import Model
from inference.stage import is_stageable, judge
from noctis.epoch import EPOCH_SECONDS
from noctis.stages import COUNT

__all__ = ["Staging", "by_subject", "stage_night", "stage_nights"]

BATCH: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Staging:
    """What a model says of a night's n epochs, as a worker would have published it.

    ``stages``: int8 (n,), NO_STAGE where it says null. ``probabilities``: float32 (n, 4), NaN
    there.
    """

    stages: NDArray[np.int8]
    probabilities: NDArray[np.float32]


def stage_night(model: Model, rows: Rows) -> Staging:
    """Return the stages of a night's rows, shape (n, 16), one epoch after the other.

    Each sees its past alone. Empty bed and poor quality get no stage, as live.
    """
    staging = Staging(
        np.full(len(rows), NO_STAGE, np.int8), np.full((len(rows), COUNT), np.nan, np.float32)
    )
    context = Context()
    for begin in range(0, len(rows), BATCH):
        questions = []
        for seq, row in enumerate(rows[begin : begin + BATCH], begin):
            context.push(Moment(seq, seq * float(EPOCH_SECONDS)), row)
            questions.append(context.session() if is_stageable(row) else None)
        for at, judged in enumerate(judge(model, questions), begin):
            if judged.stage is not None and judged.probabilities is not None:
                staging.stages[at] = judged.stage
                staging.probabilities[at] = judged.probabilities
    return staging


def stage_nights(
    folder: Path,
    recordings: Sequence[Recording],
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[Tally]:
    """Return the counts of each night under the model in ``folder``, by ``jobs`` processes.

    Raises ModelError when the model is damaged.
    """
    work = joblib.Parallel(n_jobs=jobs, return_as="generator")
    tallies: list[Tally] = []
    for one in work(joblib.delayed(_tally)(folder, recording) for recording in recordings):
        if progress is not None:
            progress("nights through the model", len(tallies), len(recordings))
        tallies.append(one)
    return tallies


_loaded = lru_cache(maxsize=2)(Model.load)  # once a process, not once a night


def _tally(folder: Path, recording: Recording) -> Tally:
    staging = stage_night(_loaded(folder), recording.rows)
    return tally(recording.stages, staging.stages, staging.probabilities)


def by_subject(
    recordings: Sequence[Recording], tallies: Sequence[Tally]
) -> Mapping[str, Tally]:
    """Return the sum of each subject's nights' counts."""
    nights: dict[str, list[Tally]] = {}
    for recording, one in zip(recordings, tallies, strict=True):
        nights.setdefault(recording.night.subject, []).append(one)
    return {subject: total(several).pooled() for subject, several in nights.items()}
