"""A stager of trees and nets: its training, and its nested cross-validation by subject.

The mix of the parts is chosen inside each fold, on nights that the inner parts have not seen,
so that no figure rests on a choice that knew the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import joblib  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold  # type: ignore[import-untyped]
from sklearn.pipeline import Pipeline  # type: ignore[import-untyped]
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from evaluation.datasets import DataError, Progress
from training.blend import Mix, Opinions, choose
from training.features import Table
from training.lessons import Lesson, View
from training.nets import Net, NetParameters, fit_net, mean_of
from training.trees import Parameters, fit

__all__ = ["Answer", "Parts", "Plan", "Stager", "cross_validate", "fit_stager"]

Architecture = Literal["trees", "net", "blend"]
INNER_MEMBERS: Final = 1
LEAST_STEPS: Final = 10  # fewer have no schedule


@dataclass(frozen=True, slots=True)
class Plan:
    """What decides about a stager besides the data."""

    architecture: Architecture = "blend"
    trees: Parameters = field(default_factory=Parameters)
    nets: NetParameters = field(default_factory=NetParameters)
    members: int = 1
    inner_folds: int = 2

    def as_dict(self) -> dict[str, float | int | str]:
        """Return the plan as the manifest keeps it."""
        trees = self.trees.as_dict()
        if self.architecture == "net":
            trees = {name: trees[name] for name in ("seed", "folds", "prior_power")}
        nets = {f"net_{name}": value for name, value in self.nets.as_dict().items()}
        return {**trees, **nets, "net_members": self.members, "inner_folds": self.inner_folds}


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What has learnt; ``trees`` is None in a stager of nets alone."""

    trees: Pipeline | None
    nets: tuple[Net, ...]

    def opinions(self, view: View) -> Opinions:
        """Return what the parts make of a night's epochs."""
        with threadpool_limits(1):
            trees = None if self.trees is None else _shares(self.trees, _table(view))
        return Opinions(trees, mean_of(self.nets, view.course.tracks))


@dataclass(frozen=True, slots=True, eq=False)
class Stager:
    """Parts and how they come together."""

    parts: Parts
    mix: Mix


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a stager that never saw the subject says of a night, and the mix it chose.

    ``opinions`` and ``stages`` by condition; see ``training.lessons.CONDITIONS``.
    """

    subject: str
    mix: Mix
    opinions: dict[str, Opinions]
    stages: dict[str, NDArray[np.int8]]


def fit_stager(lessons: Sequence[Lesson], plan: Plan) -> Stager:
    """Return a stager that has learnt the lessons; raise DataError for too few subjects."""
    return Stager(_fit_parts(lessons, plan, plan.members), _choose_mix(lessons, plan))


def cross_validate(
    lessons: Sequence[Lesson],
    plan: Plan,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[Answer]:
    """Return the answers for all nights, each of a stager that never saw the subject.

    One process a fold, ``jobs`` at a time, which bounds the memory too. Raises DataError with
    fewer subjects than three.
    """
    splits = _splits(lessons, plan.trees.folds, plan.trees.seed)
    work = joblib.Parallel(n_jobs=jobs, pre_dispatch="n_jobs", return_as="generator")
    results = work(
        joblib.delayed(_fold)([lessons[i] for i in known], [lessons[i] for i in new], plan)
        for known, new in splits
    )
    answers: list[Answer] = []
    for index, result in enumerate(results):
        if progress is not None:
            progress("cross-validation by subject", index, len(splits))
        answers += result
    return answers


def _fold(known: Sequence[Lesson], new: Sequence[Lesson], plan: Plan) -> list[Answer]:
    stager = fit_stager(known, plan)
    return [
        Answer(
            lesson.subject,
            stager.mix,
            {name: stager.parts.opinions(view) for name, view in lesson.views.items()},
            {name: view.stages for name, view in lesson.views.items()},
        )
        for lesson in new
    ]


def _choose_mix(lessons: Sequence[Lesson], plan: Plan) -> Mix:
    opinions, stages = [], []
    for known, new in _splits(lessons, plan.inner_folds, plan.trees.seed):
        # As many rounds over the nights as the nets that serve.
        steps = max(LEAST_STEPS, plan.nets.steps * len(known) // len(lessons))
        inner = replace(plan, nets=replace(plan.nets, steps=steps))
        parts = _fit_parts([lessons[i] for i in known], inner, INNER_MEMBERS)
        opinions += [parts.opinions(lessons[i].view) for i in new]
        stages += [lessons[i].view.stages for i in new]
    return choose(opinions, stages, plan.trees.prior_power)


def _fit_parts(lessons: Sequence[Lesson], plan: Plan, members: int) -> Parts:
    trees = None
    if plan.architecture == "blend":
        # The mix lifts rare stages, so the trees do not.
        unlifted = replace(plan.trees, prior_power=0.0)
        trees = fit([_table(lesson.view) for lesson in lessons], unlifted)
    nights = [(lesson.view.course, *lesson.copies) for lesson in lessons]
    first = plan.trees.seed * plan.members
    nets = [fit_net(nights, plan.nets, seed=first + i) for i in range(members)]
    return Parts(trees, tuple(nets))


def _splits(
    lessons: Sequence[Lesson], most: int, seed: int
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    subjects = [lesson.subject for lesson in lessons]
    folds = min(most, len(set(subjects)))
    if folds < 2:  # noqa: PLR2004 - one to learn from, one to test on
        message = f"nights of {len(set(subjects))} subject cannot be cross-validated"
        raise DataError(message, hint="add nights of other people; a blend takes three")
    splitter = GroupKFold(folds, shuffle=True, random_state=seed)
    return list(splitter.split(subjects, groups=subjects))


def _shares(trees: Pipeline, table: Table) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = trees.predict_proba(table.features)
    return shares


def _table(view: View) -> Table:
    if view.table is None:
        message = "the lessons were made without the features that trees take"
        raise DataError(message, hint="pass trees=True to lessons_of")
    return view.table
