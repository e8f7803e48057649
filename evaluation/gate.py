"""The promotion gate: whether a candidate may take the place of the model that serves.

Both models are compared on the same subjects, none of whom either has learnt from, by a paired
bootstrap over subjects. What the gate allows, a person still has to approve.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from evaluation.bootstrap import draw, wide_interval
from evaluation.figures import Tally, calibration_error, kappa, stage_f1, total
from noctis.stages import LABELS

__all__ = ["Decision", "Limits", "Verdict", "decide"]

Verdict = Literal[
    "superior", "non-inferior", "not shown to be non-inferior", "too few subjects"
]
DIGITS: Final = 4


class Limits(BaseModel):
    """What a candidate has to hold against the model that serves.

    ``margin``: of kappa that may be lost; ``f1_loss``: of any stage's F1; ``calibration_loss``:
    by which the calibration error may rise; ``latency_ratio``: of one epoch's time;
    ``subjects``: fewer than that decide nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    margin: float = 0.02
    f1_loss: float = 0.05
    calibration_loss: float = 0.02
    latency_ratio: float = 1.5
    subjects: int = 6


class Decision(BaseModel):
    """What came of it; differences are the candidate's figure less the other's.

    ``kappa_interval``: 95 %, by ``bootstrap.wide_interval``. ``reasons``: why it may not be
    promoted; none where it may.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Verdict
    subjects: int
    kappa_difference: float | None
    kappa_interval: tuple[float, float] | None
    stage_f1_difference: dict[str, float | None]
    calibration_difference: float | None
    latency_ratio: float
    reasons: tuple[str, ...]

    @property
    def is_promotable(self) -> bool:
        """Tell whether nothing speaks against the candidate."""
        return not self.reasons


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """Both models' tallies of the same subjects, in the same order."""

    candidate: Tally
    baseline: Tally

    @property
    def subjects(self) -> int:
        return len(self.candidate.matrix)


def decide(
    candidate: Mapping[str, Tally],
    baseline: Mapping[str, Tally],
    *,
    latency_ratio: float,
    limits: Limits,
) -> Decision:
    """Return what the figures of the same subjects under both models allow.

    A subject without a single staged epoch is left out.
    """
    names = sorted(name for name in candidate if candidate[name].matrix.any())
    if len(names) < limits.subjects:
        return _too_few(len(names), latency_ratio, limits)
    pair = _Pair(
        total([candidate[name] for name in names]), total([baseline[name] for name in names])
    )
    difference, (low, high) = _kappas(pair)
    f1 = _differences(pair)
    calibration = _round(
        calibration_error(pair.candidate.pooled().bins)
        - calibration_error(pair.baseline.pooled().bins)
    )
    reasons = [
        *_against_kappa(low, limits),
        *_against_f1(f1, limits),
        *_against_calibration(calibration, limits),
        *_against_latency(latency_ratio, limits),
    ]
    return Decision(
        verdict=_verdict(low, limits),
        subjects=len(names),
        kappa_difference=difference,
        kappa_interval=(low, high),
        stage_f1_difference=f1,
        calibration_difference=calibration,
        latency_ratio=latency_ratio,
        reasons=tuple(reasons),
    )


def _kappas(pair: _Pair) -> tuple[float, tuple[float, float]]:
    """Return the difference of kappa and its interval: the same subjects drawn for both."""
    weights = draw(pair.subjects)
    ours, theirs = pair.candidate.weighted(weights), pair.baseline.weighted(weights)
    low, high = wide_interval(kappa(ours.matrix) - kappa(theirs.matrix), pair.subjects)
    whole = kappa(pair.candidate.pooled().matrix) - kappa(pair.baseline.pooled().matrix)
    return _round(whole), (_round(low), _round(high))


def _differences(pair: _Pair) -> dict[str, float | None]:
    """Return the differences of the stages' F1; None for a stage that nobody names."""
    ours, theirs = (stage_f1(it.pooled().matrix) for it in (pair.candidate, pair.baseline))
    known = [None if np.isnan(it) else _round(it) for it in ours - theirs]
    return dict(zip(LABELS, known, strict=True))


def _verdict(low: float, limits: Limits) -> Verdict:
    if low > 0:
        return "superior"
    return "non-inferior" if low > -limits.margin else "not shown to be non-inferior"


def _against_kappa(low: float, limits: Limits) -> list[str]:
    if low > -limits.margin:
        return []
    bound = f"the lower end of the 95 % interval of the difference is {low:+.3f}"
    return [f"kappa: {bound}, and has to be above -{limits.margin:g}"]


def _against_f1(differences: Mapping[str, float | None], limits: Limits) -> list[str]:
    return [
        f"the F1 of {stage} falls by {-it:.3f}, more than {limits.f1_loss:g}"
        for stage, it in differences.items()
        if it is not None and it < -limits.f1_loss
    ]


def _against_calibration(rise: float, limits: Limits) -> list[str]:
    if rise <= limits.calibration_loss:
        return []
    return [f"the calibration error rises by {rise:.3f}, more than {limits.calibration_loss:g}"]


def _against_latency(ratio: float, limits: Limits) -> list[str]:
    if ratio <= limits.latency_ratio:
        return []
    return [f"an epoch takes {ratio:.2f} times as long, more than {limits.latency_ratio:g}"]


def _too_few(subjects: int, latency_ratio: float, limits: Limits) -> Decision:
    known = f"{subjects} subjects from whom neither model has learnt"
    return Decision(
        verdict="too few subjects",
        subjects=subjects,
        kappa_difference=None,
        kappa_interval=None,
        stage_f1_difference=dict.fromkeys(LABELS),
        calibration_difference=None,
        latency_ratio=latency_ratio,
        reasons=(f"{known} decide nothing: there have to be {limits.subjects}",),
    )


def _round(value: float | NDArray[np.float64]) -> float:
    return round(float(value), DIGITS)
