"""Why a model says what it says: what each measured feature adds to a stage's log-odds.

Shapley values of the 15 features that a device measures. A feature that is left out is missing
in the whole session, as where a device has no such sensor; so the base is what the model says
where nothing was measured, and knows how long somebody has been in bed alone. Whatever the
architecture is, it is asked as it serves; nothing about its inside is assumed. Averages are
taken over random orders in which features become known (Castro, Gómez and Tejada, 2009), each
beside its reverse (Mitchell et al., 2022). In every order the steps sum to the whole way, so
the contributions sum to the difference of the log-odds, however few orders are drawn.

It takes hundreds of predictions: ask on request, never where stages are published.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from inference.context import Rows
from noctis.errors import ModelError
from noctis.features import COUNT as CHANNELS
from noctis.features import FEATURES
from noctis.stages import COUNT

__all__ = ["DRAWS", "Explanation", "Predictor", "explain"]

Array = NDArray[np.float64]

DRAWS: Final = 24
LEAST: Final = 1e-6
_BATCH: Final = 64
_MISSING: Final = np.array([feature.missing for feature in FEATURES], dtype=np.int16)


class Predictor(Protocol):
    """What can be explained: a model."""

    def predict(self, sessions: Sequence[Rows]) -> NDArray[np.float32]:
        """Return the probabilities, shape (n, 4), of sessions' last epochs."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """The way from ``base`` to ``log_odds``, both of shape (4,), one column a stage.

    ``contributions``: shape (15, 4), in the order of ``noctis.features``; they sum to the
    difference. ``errors``: their standard errors over the orders that were drawn.
    """

    probabilities: Array
    base: Array
    log_odds: Array
    contributions: Array
    errors: Array


def explain(
    model: Predictor, session: Rows, *, draws: int = DRAWS, seed: int = 0
) -> Explanation:
    """Explain what a model says of a session's last epoch; equal seeds give equal answers.

    ``session``: codes, shape (m, 15), as the model is asked. ``draws`` orders are drawn, at
    least two, each walked both ways. Raises ModelError for a session without any epoch.
    """
    if not len(session):
        message = "nobody was in bed, so no stage was told and none can be explained"
        raise ModelError(message, hint="name an epoch that has a stage")
    known = np.flatnonzero((session != _MISSING).any(axis=0))
    orders = _orders(known, max(draws, 2), seed)
    probabilities = _ask(model, session, {0} | {it for walk in orders for it in _walk(walk)})
    odds = {subset: _log_odds(each) for subset, each in probabilities.items()}
    steps = np.zeros((len(orders), CHANNELS, COUNT))
    for step, order in zip(steps, orders, strict=True):
        before = odds[0]
        for channel, subset in zip(order, _walk(order), strict=True):
            step[channel] = odds[subset] - before
            before = odds[subset]
    pairs = (steps[0::2] + steps[1::2]) / 2
    whole = sum(1 << int(channel) for channel in known)
    return Explanation(
        probabilities[whole],
        odds[0],
        odds[whole],
        pairs.mean(axis=0),
        pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs)),
    )


def _orders(known: NDArray[np.intp], draws: int, seed: int) -> list[list[int]]:
    random = np.random.default_rng(seed)
    drawn = [random.permutation(known).tolist() for _ in range(draws)]
    return [way for order in drawn for way in (order, order[::-1])]


def _walk(order: Sequence[int]) -> list[int]:
    """Return the sets of features, as bits, that are known after each step of an order."""
    return list(accumulate(1 << channel for channel in order))


def _ask(model: Predictor, session: Rows, subsets: set[int]) -> dict[int, Array]:
    ordered = sorted(subsets)
    answers = [
        model.predict([_with(session, subset) for subset in ordered[begin : begin + _BATCH]])
        for begin in range(0, len(ordered), _BATCH)
    ]
    return dict(zip(ordered, np.concatenate(answers).astype(np.float64), strict=True))


def _with(session: Rows, subset: int) -> Rows:
    """Return the session with these features alone, the others missing."""
    left_out = [channel for channel in range(CHANNELS) if not subset >> channel & 1]
    part = session.copy()
    part[:, left_out] = _MISSING[left_out]
    return part


def _log_odds(probabilities: Array) -> Array:
    bounded = np.clip(probabilities, LEAST, 1 - LEAST)
    odds: Array = np.log(bounded / (1 - bounded))
    return odds
