"""Stored epochs on their way through a model: jobs read, sessions asked for, judgements kept.

The settler and the replays do it alike, so the same version says the same of the same epochs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import numpy as np
from numpy.typing import NDArray

from inference.agenda import REACH, Job
from inference.context import DEPTH, Context
from inference.contexts import Past
from inference.history import past_of
from inference.model import Model
from inference.stage import Judged, is_stageable, judge
from inference.trails import Trails
from noctis.storage import predictions
from noctis.storage.database import Connection
from noctis.storage.predictions import Prediction, Probabilities

__all__ = ["Loaded", "Question", "answer", "ask", "load", "row"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A job with the epochs to push into its context, oldest first, and their starts."""

    job: Job
    context: Context
    epochs: list[Past]
    starts: list[datetime | None]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """An epoch that is to be judged; ``session`` None where there is nothing to say of it."""

    device_id: int
    stream: int
    seq: int
    start: datetime | None
    session: NDArray[np.int16] | None


def load(connection: Connection, job: Job, context: Context | None) -> Loaded:
    """Read a job's epochs, and as many before them as ``context`` lacks (None: all of them)."""
    first, last = job.seqs[0], job.seqs[-1]
    newest = -1 if context is None else context.last_seq
    if context is None or newest is None or not 0 < first - newest <= REACH:
        context, newest, count = Context(), -1, DEPTH + last - first + 1
    else:
        count = last - newest
    found = predictions.context(connection, job.device_id, job.stream, last + 1, count)
    epochs = past_of(found)
    begin = next((i for i, it in enumerate(epochs) if it.moment.seq > newest), len(epochs))
    return Loaded(job, context, epochs[begin:], list(found.epoch_start[begin:]))


def ask(loaded: Loaded) -> list[Question]:
    """Push a job's epochs into its context; return those that are to be judged, in order."""
    seqs = set(loaded.job.seqs)
    questions = []
    for epoch, start in zip(loaded.epochs, loaded.starts, strict=True):
        loaded.context.push(epoch.moment, epoch.row)
        seq = epoch.moment.seq
        if seq in seqs:
            session = loaded.context.session() if is_stageable(epoch.row) else None
            job = loaded.job
            questions.append(Question(job.device_id, job.stream, seq, start, session))
    return questions


def answer(
    model: Model, questions: Sequence[Question], trails: Trails | None = None
) -> list[Prediction]:
    """Return the model's judgement of each question, by one call of the model."""
    judgements = judge(model, [question.session for question in questions], trails)
    return [row(asked, judged) for asked, judged in zip(questions, judgements, strict=True)]


def row(asked: Question, judged: Judged) -> Prediction:
    """Return a judgement as it is stored."""
    chances = cast("Probabilities | None", judged.probabilities)
    return Prediction(
        asked.device_id, asked.stream, asked.seq, asked.start, judged.stage, chances
    )
