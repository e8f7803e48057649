"""Training of the first stager: gradient-boosted trees on causal features, by subject.

Folds hold subjects, never epochs: neighbouring epochs of one night are nearly copies, and a
stager that has seen half of a night looks far better than it is.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import joblib  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer  # type: ignore[import-untyped]
from sklearn.ensemble import (  # type: ignore[import-untyped]
    HistGradientBoostingClassifier,
)
from sklearn.model_selection import GroupKFold  # type: ignore[import-untyped]
from sklearn.pipeline import Pipeline  # type: ignore[import-untyped]
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from evaluation.datasets import DataError, Progress
from evaluation.figures import Counts, confusion
from noctis.stages import COUNT
from training.features import Table, stack, without_motion

__all__ = ["Parameters", "cross_validate", "fit"]


@dataclass(frozen=True, slots=True)
class Parameters:
    """What decides about a model besides the data; small and regularised on purpose."""

    seed: int = 0
    folds: int = 8
    iterations: int = 150
    learning_rate: float = 0.06
    leaves: int = 15
    leaf_epochs: int = 60
    l2: float = 5.0
    column_share: float = 0.3
    prior_power: float = 0.15

    def as_dict(self) -> dict[str, float | int | str]:
        """Return the parameters as the manifest keeps them."""
        return asdict(self)


def fit(tables: Sequence[Table], parameters: Parameters) -> Pipeline:
    """Return a classifier of rows of FEATURE_COUNT features.

    Every night is learnt twice, the second time without motion, so that a device without an
    accelerometer gets sane stages. Columns that say nothing (breathing, where no night has
    any) are left out. Raises DataError when a stage is missing from the data.
    """
    both = [*tables, *map(without_motion, tables)]
    features, stages = stack(both)
    if len(np.unique(stages)) != COUNT:
        message = f"the nights to learn from hold {len(np.unique(stages))} of {COUNT} stages"
        raise DataError(message, hint="add nights with wake, light, deep and REM sleep")
    lowest, highest = np.fmin.reduce(features), np.fmax.reduce(features)
    telling = np.flatnonzero(highest > lowest).tolist()
    trees = HistGradientBoostingClassifier(
        max_iter=parameters.iterations,
        learning_rate=parameters.learning_rate,
        max_leaf_nodes=parameters.leaves,
        min_samples_leaf=parameters.leaf_epochs,
        l2_regularization=parameters.l2,
        max_features=parameters.column_share,
        early_stopping=False,
        random_state=parameters.seed,
    )
    columns = ColumnTransformer([("telling", "passthrough", telling)])
    pipeline = Pipeline([("columns", columns), ("trees", trees)])
    # More threads gain little here and, on a busy machine, wait for each other for seconds.
    with threadpool_limits(1):
        pipeline.fit(features, stages)
    _lift_rare_stages(trees, stages, parameters.prior_power)
    return pipeline


def _lift_rare_stages(
    trees: HistGradientBoostingClassifier, stages: NDArray[np.int8], power: float
) -> None:
    """Divide the probabilities by the stages' shares to the power of ``power``.

    Macro-F1 and kappa gain by it. In the trees' baseline it costs nothing when serving;
    weighted epochs would say the same and take scikit-learn 1.9 a hundred times as long.
    """
    shares = np.bincount(stages, minlength=COUNT) / len(stages)
    trees._baseline_prediction = (  # noqa: SLF001 - the one place that holds it
        trees._baseline_prediction - power * np.log(shares)  # noqa: SLF001
    )


def cross_validate(
    tables: Sequence[Table],
    parameters: Parameters,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> dict[str, Counts]:
    """Return each subject's confusion matrix under a model that never saw the subject.

    Raises DataError with fewer subjects than two.
    """
    subjects = [table.subject for table in tables]
    folds = min(parameters.folds, len(set(subjects)))
    if folds < 2:  # noqa: PLR2004 - one to learn from, one to test on
        message = "nights of one subject alone cannot be cross-validated"
        raise DataError(message, hint="add nights of other people")
    splitter = GroupKFold(folds, shuffle=True, random_state=parameters.seed)
    splits = list(splitter.split(subjects, groups=subjects))
    work = joblib.Parallel(n_jobs=jobs, return_as="generator")
    results = work(
        joblib.delayed(_fold)([tables[i] for i in known], [tables[i] for i in new], parameters)
        for known, new in splits
    )
    matrices: dict[str, Counts] = {}
    for index, result in enumerate(results):
        if progress is not None:
            progress("cross-validation by subject", index, folds)
        for subject, matrix in result:
            matrices[subject] = matrices.get(subject, 0) + matrix
    return matrices


def _fold(
    known: Sequence[Table], new: Sequence[Table], parameters: Parameters
) -> list[tuple[str, Counts]]:
    model = fit(known, parameters)
    with threadpool_limits(1):
        return [
            (table.subject, confusion(table.stages, model.predict(table.features)))
            for table in new
        ]
