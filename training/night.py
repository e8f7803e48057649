"""A stager of whole nights: training, validation by subject, graph, figures and report."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import joblib  # type: ignore[import-untyped]
import numpy as np
from sklearn.model_selection import GroupKFold  # type: ignore[import-untyped]

from evaluation.datasets import UNSCORED, DataError, Progress, Recording
from evaluation.document import figures
from noctis.stages import COUNT
from registry.manifest import ARTEFACT, Part, Recipe
from training.blend import Mix, Opinions
from training.export import Product
from training.lessons import Lesson
from training.nets import Net, NetParameters, fit_net, mean_of
from training.night_graph import to_night_graph
from training.night_lessons import night_lessons_of
from training.night_net import NightNet
from training.parts import Answer
from training.report import matrices_of, report_of

__all__ = ["NightPlan", "make_night_stager"]

LEAST_SUBJECTS: Final = 2


@dataclass(frozen=True, slots=True)
class NightPlan:
    """What decides about a stager of whole nights besides the data.

    Nothing of it was chosen by the figures of this architecture, so no fold has inner ones.
    """

    seed: int = 0
    folds: int = 8
    members: int = 3
    prior_power: float = 0.15
    nets: NetParameters = field(default_factory=lambda: NetParameters(steps=240))

    def as_dict(self) -> dict[str, float | int | str]:
        """Return the plan as the manifest keeps it."""
        plain = {name: value for name, value in asdict(self).items() if name != "nets"}
        return {**plain, **{f"net_{name}": it for name, it in self.nets.as_dict().items()}}


def make_night_stager(
    plan: NightPlan,
    recordings: Sequence[Recording],
    copies: Sequence[Sequence[Recording]],
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Product:
    """Cross-validate by subject, then learn all recordings with their altered copies.

    Raises DataError with fewer subjects than two.
    """
    lessons = night_lessons_of(recordings, copies, jobs=jobs, progress=progress)
    answers = _cross_validate(lessons, plan, jobs, progress)
    if progress is not None:
        progress("the model of all nights", 0, 1)
    nets, mix = _fit(lessons, plan)
    return Product(
        {ARTEFACT: to_night_graph(nets, lessons)},
        figures(matrices_of(answers), seed=plan.seed),
        plan.seed,
        plan.as_dict(),
        "night",
        _recipe(mix),
        report_of(answers, seed=plan.seed),
        ("torch",),
    )


def _cross_validate(
    lessons: Sequence[Lesson], plan: NightPlan, jobs: int, progress: Progress | None
) -> list[Answer]:
    """Return the answers for all nights, each of nets that never saw the subject."""
    subjects = [lesson.subject for lesson in lessons]
    folds = min(plan.folds, len(set(subjects)))
    if folds < LEAST_SUBJECTS:
        message = "nights of one subject alone cannot be cross-validated"
        raise DataError(message, hint="add nights of other people")
    splitter = GroupKFold(folds, shuffle=True, random_state=plan.seed)
    work = joblib.Parallel(n_jobs=jobs, pre_dispatch="n_jobs", return_as="generator")
    results = work(
        joblib.delayed(_fold)([lessons[i] for i in known], [lessons[i] for i in new], plan)
        for known, new in splitter.split(subjects, groups=subjects)
    )
    answers: list[Answer] = []
    for index, result in enumerate(results):
        if progress is not None:
            progress("cross-validation by subject", index, folds)
        answers += result
    return answers


def _fold(known: Sequence[Lesson], new: Sequence[Lesson], plan: NightPlan) -> list[Answer]:
    nets, mix = _fit(known, plan)
    return [
        Answer(
            lesson.subject,
            mix,
            {
                name: Opinions(None, mean_of(nets, view.course.tracks))
                for name, view in lesson.views.items()
            },
            {name: view.stages for name, view in lesson.views.items()},
        )
        for lesson in new
    ]


def _fit(lessons: Sequence[Lesson], plan: NightPlan) -> tuple[list[Net], Mix]:
    """Return nets that have learnt the lessons, and how far rare stages are lifted."""
    nights = [(lesson.view.course, *lesson.copies) for lesson in lessons]
    first = plan.seed * plan.members
    nets = [
        fit_net(nights, plan.nets, seed=first + i, kind=NightNet) for i in range(plan.members)
    ]
    stages = np.concatenate([lesson.view.stages for lesson in lessons])
    counts = np.bincount(stages[stages != UNSCORED], minlength=COUNT)
    if not counts.all():
        message = f"the nights to learn from hold {(counts > 0).sum()} of {COUNT} stages"
        raise DataError(message, hint="add nights with wake, light, deep and REM sleep")
    prior: Any = tuple((counts / counts.sum()).tolist())
    return nets, Mix(1.0, prior, plan.prior_power)


def _recipe(mix: Mix) -> Recipe:
    parts = (Part(kind="night", file=ARTEFACT),)
    return Recipe(parts=parts, prior=mix.prior, prior_power=mix.prior_power)
