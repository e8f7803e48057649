"""A night through the code that serves: the live worker's, or that for whole nights.

Neither broker nor database is needed.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import joblib  # type: ignore[import-untyped]

from evaluation.datasets import Progress, Recording
from evaluation.figures import Tally, tally, total
from inference import versions
from inference.context import Context, Moment, Rows
from inference.model import Model
from inference.night import NightModel, Staging, stage_whole_night
from inference.stage import is_stageable, judge
from inference.trails import Trails
from noctis.epoch import EPOCH_SECONDS

__all__ = ["Staging", "by_subject", "stage_night", "stage_nights"]

BATCH: Final = 64


def stage_night(model: Model | NightModel, rows: Rows) -> Staging:
    """Return the stages of a night's rows, shape (n, 16), as the platform makes them.

    Of a live model one epoch after the other, each seeing its past alone; of a model of whole
    nights as the companion revises a night. Empty bed and poor quality get no stage.
    """
    if isinstance(model, NightModel):
        return stage_whole_night(model, rows)
    staging = Staging.blank(len(rows))
    context, trails = Context(), Trails(most=1)
    for begin in range(0, len(rows), BATCH):
        questions = []
        for seq, row in enumerate(rows[begin : begin + BATCH], begin):
            context.push(Moment(seq, seq * float(EPOCH_SECONDS)), row)
            questions.append(context.session() if is_stageable(row) else None)
        for at, judged in enumerate(judge(model, questions, trails), begin):
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


_loaded = lru_cache(maxsize=2)(versions.load)  # once a process, not once a night


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
