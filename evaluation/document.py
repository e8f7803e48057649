"""What an evaluation tells: the figures of all subjects together and of each alone."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evaluation.bootstrap import draw, interval
from evaluation.figures import (
    Tally,
    accuracy,
    calibration_error,
    kappa,
    macro_f1,
    stage_f1,
    total,
)
from noctis.stages import COUNT, LABELS
from registry.manifest import Figures

__all__ = ["document", "figures", "one"]

DIGITS: Final = 4
Matrix = NDArray[np.int64]


def document(tallies: Mapping[str, Tally], *, seed: int = 0) -> dict[str, Any]:
    """Return the figures of subjects' tallies as JSON has them; None: there is no such figure.

    Pooled, with ``kappa_interval`` by bootstrap over subjects, and under ``subjects`` each
    one's own.
    """
    names = sorted(tallies)
    stacked = total([tallies[name] for name in names])
    samples = stacked.weighted(draw(len(names), seed=seed))
    low, high = interval(kappa(samples.matrix))
    return {
        **one(stacked.pooled()),
        "kappa_interval": [_plain(low), _plain(high)],
        "subjects": {name: one(tallies[name]) for name in names},
    }


def one(counts: Tally) -> dict[str, Any]:
    """Return the figures of one tally.

    Epochs without a stage are in ``unstaged`` alone; ``kappa_unstaged_wrong`` counts them as a
    fifth answer that is never right.
    """
    matrix = counts.matrix
    wide = np.zeros((COUNT + 1, COUNT + 1), np.int64)
    wide[:COUNT, :COUNT], wide[:COUNT, COUNT] = matrix, counts.unstaged
    f1 = stage_f1(matrix)
    return {
        "kappa": _plain(kappa(matrix)),
        "accuracy": _plain(accuracy(matrix)),
        "macro_f1": _plain(macro_f1(matrix)),
        "stage_f1": {label: _plain(f1[at]) for at, label in enumerate(LABELS)},
        "calibration_error": _plain(calibration_error(counts.bins)),
        "confusion": matrix.tolist(),
        "epochs": int(matrix.sum()),
        "unstaged": int(counts.unstaged.sum()),
        "kappa_unstaged_wrong": _plain(kappa(wide)),
    }


def figures(matrices: Mapping[str, Matrix], *, seed: int) -> Figures:
    """Return the figures of all subjects' confusion matrices as a model's manifest has them."""
    stacked = np.stack(list(matrices.values()))
    pooled = stacked.sum(axis=0)
    samples = np.tensordot(draw(len(stacked), seed=seed), stacked, 1)
    return Figures(
        kappa=_round(kappa(pooled)),
        kappa_interval=_rounded(interval(kappa(samples))),
        accuracy=_round(accuracy(pooled)),
        macro_f1=_round(macro_f1(pooled)),
        macro_f1_interval=_rounded(interval(macro_f1(samples))),
        stage_f1=dict(zip(LABELS, map(_round, stage_f1(pooled)), strict=True)),
        epochs=int(pooled.sum()),
        subjects={name: matrix.tolist() for name, matrix in sorted(matrices.items())},
    )


def _plain(value: object) -> float | None:
    number = _round(value)
    return None if np.isnan(number) else number


def _round(value: Any) -> float:  # noqa: ANN401 - any number
    return round(float(value), DIGITS)


def _rounded(ends: tuple[float, float]) -> tuple[float, float]:
    return _round(ends[0]), _round(ends[1])
