"""A stager of nets, or of trees and nets, from recordings to graphs, figures and a report."""

from collections.abc import Sequence

from evaluation.datasets import Progress, Recording
from evaluation.document import figures
from training.export import Product
from training.lessons import lessons_of
from training.parts import Plan, cross_validate, fit_stager
from training.report import matrices_of, report_of
from training.stager_graph import graphs_of, recipe_of

__all__ = ["make_stager"]


def make_stager(
    plan: Plan,
    recordings: Sequence[Recording],
    copies: Sequence[Sequence[Recording]],
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Product:
    """Cross-validate by subject, then learn all recordings with their altered copies."""
    lessons = lessons_of(
        recordings, copies, trees=plan.architecture == "blend", jobs=jobs, progress=progress
    )
    answers = cross_validate(lessons, plan, jobs=jobs, progress=progress)
    if progress is not None:
        progress("the model of all nights", 0, 1)
    stager = fit_stager(lessons, plan)
    seed = plan.trees.seed
    return Product(
        graphs_of(stager, lessons),
        figures(matrices_of(answers), seed=seed),
        seed,
        plan.as_dict(),
        plan.architecture,
        recipe_of(stager.mix),
        report_of(answers, seed=seed),
        ("torch",),
    )
