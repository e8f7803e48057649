"""What a cross-validation of a stager of parts comes to: by part, by condition, by subject."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from evaluation.document import document
from evaluation.figures import Tally, tally, total
from training.blend import Mix, Opinions
from training.lessons import AS_RECORDED
from training.parts import Answer

__all__ = ["matrices_of", "report_of"]

Alter = Callable[[Mix, Opinions], tuple[Mix, Opinions]]


def _as_it_is(mix: Mix, opinions: Opinions) -> tuple[Mix, Opinions]:
    return mix, opinions


def _trees_alone(mix: Mix, opinions: Opinions) -> tuple[Mix, Opinions]:
    return replace(mix, net_share=0.0), Opinions(opinions.trees, None)


def _nets_alone(mix: Mix, opinions: Opinions) -> tuple[Mix, Opinions]:
    return replace(mix, net_share=1.0), Opinions(None, opinions.nets)


def _uncalibrated(mix: Mix, opinions: Opinions) -> tuple[Mix, Opinions]:
    return replace(mix, temperature=1.0), opinions


_PARTS: Final[dict[str, Alter]] = {"trees alone": _trees_alone, "nets alone": _nets_alone}


def matrices_of(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return each subject's confusion matrix."""
    return {name: it.matrix for name, it in _tallies(answers, AS_RECORDED, _as_it_is).items()}


def report_of(answers: Sequence[Answer], *, seed: int) -> dict[str, Any]:
    """Return the report, as JSON has it.

    ``parts`` and ``conditions``: figures as ``evaluation.document.document`` has them;
    ``calibration``: the error before and after the temperature; ``mixes``: each fold's.
    """
    conditions = {
        name: document(_tallies(answers, name, _as_it_is), seed=seed)
        for name in answers[0].opinions
    }
    both = answers[0].opinions[AS_RECORDED].trees is not None
    parts = {
        name: document(_tallies(answers, AS_RECORDED, alter), seed=seed)
        for name, alter in (_PARTS if both else {}).items()
    }
    before = document(_tallies(answers, AS_RECORDED, _uncalibrated), seed=seed)
    return {
        "parts": parts,
        "conditions": conditions,
        "calibration": {
            "before": before["calibration_error"],
            "after": conditions[AS_RECORDED]["calibration_error"],
        },
        "mixes": {answer.subject: answer.mix.as_dict() for answer in answers},
    }


def _tallies(answers: Sequence[Answer], condition: str, alter: Alter) -> dict[str, Tally]:
    nights: dict[str, list[Tally]] = {}
    for answer in answers:
        mix, opinions = alter(answer.mix, answer.opinions[condition])
        shares = mix(opinions)
        told = shares.argmax(axis=1).astype(np.int8)
        one = tally(answer.stages[condition], told, shares)
        nights.setdefault(answer.subject, []).append(one)
    return {subject: total(several).pooled() for subject, several in nights.items()}
