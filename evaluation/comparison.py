"""Two models over the same nights, and the report that the promotion gate decides by."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from evaluation.datasets import DataError, Progress, Recording
from evaluation.document import document
from evaluation.figures import Tally
from evaluation.gate import Decision, Limits, decide
from evaluation.staging import by_subject, stage_nights
from inference import versions
from inference.context import Rows, night_sessions
from inference.model import Model
from inference.night import NightModel, codes_of
from inference.stage import is_stageable
from inference.trails import Trails
from noctis.errors import ModelError
from registry.manifest import MANIFEST, Manifest, Night, digest_of, read_manifest

__all__ = [
    "LeftOut",
    "Report",
    "Side",
    "check",
    "compare",
    "latency_ratio",
    "left_out",
    "read_report",
]

TIMED: Final = 150


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Counts(_Record):
    """A subject's ``figures.Tally`` in lists."""

    matrix: list[list[int]]
    unstaged: list[int]
    bins: list[list[float]]


class Side(_Record):
    """A compared model: ``name@version``, its manifest's sha256, its figures and counts."""

    model: str
    manifest: str
    figures: dict[str, Any]
    counts: dict[str, Counts]


class LeftOut(_Record):
    """A night that does not count, and why."""

    night: str
    reason: str


class Report(_Record):
    """All of a comparison; the decision follows from the counts and can be made again."""

    schema_version: int = 1
    made_at: datetime
    candidate: Side
    baseline: Side
    nights: tuple[Night, ...]
    left_out: tuple[LeftOut, ...]
    limits: Limits
    decision: Decision

    @property
    def sha256(self) -> str:
        """The hash under which the report is kept."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def compare(
    candidate: Path,
    baseline: Path,
    recordings: Sequence[Recording],
    *,
    limits: Limits,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Report:
    """Return the report on the models in two folders.

    Subjects whom either model has learnt from are left out. Raises ModelError when a model is
    damaged.
    """
    manifests = [read_manifest(candidate), read_manifest(baseline)]
    out = left_out(recordings, manifests)
    kept = [it for it, reason in zip(recordings, out, strict=True) if reason is None]
    sides = []
    for folder, manifest in zip((candidate, baseline), manifests, strict=True):
        tallies = by_subject(kept, stage_nights(folder, kept, jobs=jobs, progress=progress))
        sides.append((folder, manifest, tallies))
    ratio = latency_ratio(versions.load(candidate), versions.load(baseline), kept)
    decision = decide(sides[0][2], sides[1][2], latency_ratio=ratio, limits=limits)
    return Report(
        made_at=datetime.now(UTC).replace(microsecond=0),
        candidate=_side(*sides[0]),
        baseline=_side(*sides[1]),
        nights=tuple(it.night for it in kept),
        left_out=tuple(
            LeftOut(night=it.night.name, reason=reason)
            for it, reason in zip(recordings, out, strict=True)
            if reason is not None
        ),
        limits=limits,
        decision=decision,
    )


def left_out(
    recordings: Sequence[Recording], manifests: Sequence[Manifest]
) -> list[str | None]:
    """Return for each night why it does not count, None where it does.

    A subject is out with all nights once a model has learnt from one of them: from a file of
    the same bytes, or from any night of a subject of the same name.
    """
    known: dict[str, str] = {}
    for manifest in manifests:
        learnt = {digest for night in manifest.nights for digest in night.files.values()}
        names = {night.subject for night in manifest.nights}
        for night in (it.night for it in recordings):
            if learnt & set(night.files.values()) or night.subject in names:
                reason = f"{manifest.full_name} has learnt from subject {night.subject}"
                known.setdefault(night.subject, reason)
    return [known.get(it.night.subject) for it in recordings]


def latency_ratio(
    candidate: Model | NightModel,
    baseline: Model | NightModel,
    recordings: Sequence[Recording],
) -> float:
    """Return how many times the other's time the candidate takes for what it is asked at once.

    That is an epoch, or a whole night of a model of nights. Processor time, median over epochs
    spread over the nights; the models take turns, and so does who comes first and finds the
    caches cold.
    """
    places = [
        (it.rows, at)
        for it in recordings
        for at in range(len(it.rows))
        if is_stageable(it.rows[at])
    ]
    if not places:
        return 1.0
    chosen = [places[at] for at in np.linspace(0, len(places) - 1, TIMED).astype(int)]
    taken = np.empty((len(chosen), 2))
    for turn, (row, (rows, at)) in enumerate(zip(taken, chosen, strict=True)):
        asked = [_question(model, rows, at) for model in (candidate, baseline)]
        for side in (turn % 2, 1 - turn % 2):
            begin = time.thread_time()
            asked[side]()
            row[side] = time.thread_time() - begin
    ours, theirs = np.median(taken[len(taken) // 10 :], axis=0)
    return round(float(ours / theirs), 2)


def _question(model: Model | NightModel, rows: Rows, at: int) -> Callable[[], object]:
    """Return what asks a model for an epoch, or for the night that it is in.

    As live, the model was asked for the epoch before.
    """
    if isinstance(model, NightModel):
        return partial(model.predict, codes_of(rows)[1])
    before, now = night_sessions(rows, [max(at - 1, 0), at])
    trails = Trails(most=1)
    model.predict([before], trails)
    return partial(model.predict, [now], trails)


def read_report(path: Path) -> Report:
    """Return a report that was written before.

    Raises DataError when it is none, ModelError when its decision is not what its counts say.
    """
    try:
        report = Report.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        message = f"{path} is no report of a comparison"
        raise DataError(message, hint="noctis model compare … --out FILE writes one") from error
    check(report, str(path))
    return report


def check(report: Report, where: str) -> None:
    """Raise ModelError when a report's decision is not what its counts say.

    ``where``: what the error calls it.
    """
    decision = decide(
        _tallies(report.candidate),
        _tallies(report.baseline),
        latency_ratio=report.decision.latency_ratio,
        limits=report.limits,
    )
    if decision != report.decision:
        message = f"{where} was changed: its counts decide otherwise than it says"
        raise ModelError(message, hint="compare the models anew")


def _side(folder: Path, manifest: Manifest, tallies: Mapping[str, Tally]) -> Side:
    counts = {
        name: Counts(
            matrix=it.matrix.tolist(), unstaged=it.unstaged.tolist(), bins=it.bins.tolist()
        )
        for name, it in tallies.items()
    }
    return Side(
        model=manifest.full_name,
        manifest=digest_of(folder / MANIFEST),
        figures=document(tallies) if tallies else {},
        counts=counts,
    )


def _tallies(side: Side) -> dict[str, Tally]:
    return {
        name: Tally(np.array(it.matrix), np.array(it.unstaged), np.array(it.bins))
        for name, it in side.counts.items()
    }
