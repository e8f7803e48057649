"""How often the promotion gate errs: made-up models of known worth, thousands of comparisons.

A made-up sleeper's hypnogram is a Markov chain; a model errs in bouts, some of them shared with
the other model, and it is better or worse with each sleeper than it is on the whole. Two models
are equal when they are so over all sleepers there could be, not on those at hand.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.bootstrap import draw, interval, wide_interval
from evaluation.figures import kappa
from evaluation.gate import Limits

EPOCHS: Final = 900
STEADY: Final = 24.0  # epochs that a stage lasts
BOUT: Final = 8.0  # epochs that a model errs in a row
SHARES: Final = (0.1, 0.55, 0.15, 0.2)
ERRING: Final = 0.5  # of the time, some of it right by luck: a kappa near 0.57
SHARED: Final = 0.5  # of that, by both models alike
LUCKLESS: Final = 1 - sum(share**2 for share in SHARES)
MARGIN: Final = Limits().margin
CHI_SQUARE: Final = 3.841  # of one degree of freedom, at 0.05
AT_MARGIN: Final = 0.0125  # so much more erring lowers kappa by the gate's margin
CASES: Final = (
    *((people, 0.0) for people in (6, 12, 24, 36)),
    *((people, AT_MARGIN) for people in (6, 12, 24)),
    (24, -0.05),
)


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """Comparisons: confusion (2, trials, subjects, 4, 4), and epochs that one alone got right.

    ``alone``: shape (2, trials).
    """

    matrices: NDArray[np.int64]
    alone: NDArray[np.int64]


def simulate(
    trials: int, subjects: int, *, worse: float = 0.0, spread: float = 0.04, seed: int = 0
) -> Trials:
    """Return comparisons of a model with one that errs less, by ``worse`` of all epochs.

    ``spread``: standard deviation, over sleepers, of how often a model errs beyond its mean.
    """
    random = np.random.default_rng(seed)
    size = (trials, subjects)
    rates = _rates(random, size, worse, spread)
    enter = rates / (1 - rates) / BOUT
    truth, told = _stages(random, size), _stages(random, rates.shape)
    erring = random.random(rates.shape) < rates
    matrices = np.zeros((2, *size, 4, 4), np.int64)
    alone = np.zeros((2, trials), np.int64)
    at = np.indices(size)
    for _ in range(EPOCHS):
        truth = np.where(random.random(size) < 1 / STEADY, _stages(random, size), truth)
        chance = random.random(rates.shape)
        begins = ~erring & (chance < enter)
        erring = np.where(erring, chance >= 1 / BOUT, begins)
        told = np.where(begins, _stages(random, rates.shape), told)
        says = np.where(erring[0], told[0], np.where(erring[1:], told[1:], truth))
        for model in (0, 1):
            matrices[model, at[0], at[1], truth, says[model]] += 1
            hit, miss = says[model] == truth, says[1 - model] != truth
            alone[model] += (hit & miss).sum(axis=1)
    return Trials(matrices, alone)


def _rates(
    random: np.random.Generator, size: tuple[int, int], worse: float, spread: float
) -> NDArray[np.float64]:
    """Return how often both models err, and the first and the second beyond that."""
    hard = random.normal(0, 0.08, size)
    both = ERRING * SHARED + hard / 2
    # Of what one errs beyond the other, both err in some, and luck makes some right.
    first = worse / (1 - ERRING * SHARED) / LUCKLESS
    apart = ERRING * SHARED + hard / 2 + random.normal(0, spread, (2, *size))
    apart[0] += first
    rates: NDArray[np.float64] = np.clip(np.stack([both, *apart]), 0.01, 0.9)
    return rates


def _stages(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.int64]:
    return np.searchsorted(np.cumsum(SHARES)[:-1], random.random(shape))


def measure(trials: int, subjects: int, *, seed: int, **more: float) -> dict[str, float]:
    """Return how often each rule says yes to the first model, and the kappa of both.

    ``superior`` and ``non_inferior``: the gate's; ``plain_percentile``: superior, by an
    interval that is not widened; ``mcnemar``: McNemar's test of all epochs, as if they did
    not depend on each other, finds the first model better (p < 0.05, two-sided).
    """
    made = simulate(trials, subjects, seed=seed, **more)
    weights = draw(subjects)
    says: dict[str, float] = dict.fromkeys(
        ("superior", "non_inferior", "plain_percentile", "mcnemar"), 0.0
    )
    for trial in range(trials):
        ours, theirs = (np.tensordot(weights, made.matrices[m, trial], 1) for m in (0, 1))
        values = kappa(ours) - kappa(theirs)
        low = wide_interval(values, subjects)[0]
        says["superior"] += low > 0
        says["non_inferior"] += low > -MARGIN
        says["plain_percentile"] += interval(values)[0] > 0
        says["mcnemar"] += _mcnemar(*made.alone[:, trial].tolist())
    rates = {name: round(count / trials, 4) for name, count in says.items()}
    return rates | {"kappa": round(float(kappa(made.matrices.sum(axis=(0, 1, 2)))), 3)}


def _mcnemar(ours: int, theirs: int) -> bool:
    """Tell whether the first model is right alone more often than chance allows."""
    return ours > theirs and (abs(ours - theirs) - 1) ** 2 / (ours + theirs) > CHI_SQUARE


def main() -> None:
    """Print a table, or JSON, of how often the gate errs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = []
    for subjects, worse in CASES:
        rates = measure(given.trials, subjects, worse=worse, seed=given.seed)
        rows.append({"subjects": subjects, "worse": worse, **rates})
        print(rows[-1], file=sys.stderr, flush=True)
    if given.json:
        print(json.dumps({"trials": given.trials, "seed": given.seed, "cases": rows}))


if __name__ == "__main__":
    main()
