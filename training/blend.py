"""Trees and nets together: how much each counts, chosen on nights that neither has seen.

A blend is a weighted mean of logarithms, less a power of the stages' shares, softened by a
temperature, as ``inference.architectures.Blend`` serves it. The weight is that of the highest
kappa plus macro-F1, the temperature that of the highest likelihood. The power is given: parts
that have learnt fewer nights are duller and would choose one that is too high for those that
serve.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.datasets import UNSCORED
from evaluation.figures import confusion, kappa, macro_f1
from noctis.stages import COUNT

__all__ = ["Mix", "Opinions", "choose"]

Shares = NDArray[np.float64]

LEAST: Final = 1e-7
NET_SHARES: Final = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
TEMPERATURES: Final = tuple(np.round(np.geomspace(0.5, 2.0, 25), 4).tolist())


@dataclass(frozen=True, slots=True, eq=False)
class Opinions:
    """What trees and nets make of a night's epochs, (n, 4); None where there are none."""

    trees: Shares | None
    nets: Shares | None


@dataclass(frozen=True, slots=True)
class Mix:
    """How opinions become probabilities."""

    net_share: float
    prior: tuple[float, float, float, float]
    prior_power: float = 0.0
    temperature: float = 1.0

    def __call__(self, opinions: Opinions) -> Shares:
        """Return the stages' probabilities, shape (n, 4)."""
        votes = [
            weight * np.log(np.maximum(shares, LEAST))
            for weight, shares in (
                (1 - self.net_share, opinions.trees),
                (self.net_share, opinions.nets),
            )
            if shares is not None
        ]
        scores = sum(votes[1:], votes[0]) - self.prior_power * np.log(self.prior)
        scores /= self.temperature
        powers: Shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def as_dict(self) -> dict[str, float]:
        """Return the choice as reports have it."""
        return {name: value for name, value in asdict(self).items() if name != "prior"}


def choose(
    opinions: Sequence[Opinions], stages: Sequence[NDArray[np.int8]], power: float
) -> Mix:
    """Return the best mix for nights whose stages are known; see the module.

    Where there are no trees or no nets, only the temperature is chosen.
    """
    reference = np.concatenate(stages)
    scored = reference != UNSCORED
    reference = reference[scored]
    shares = np.bincount(reference, minlength=COUNT) / len(reference)
    prior = (float(shares[0]), float(shares[1]), float(shares[2]), float(shares[3]))
    merged = Opinions(
        _merged([it.trees for it in opinions], scored),
        _merged([it.nets for it in opinions], scored),
    )
    parts: Sequence[float] = NET_SHARES
    if merged.trees is None or merged.nets is None:
        parts = (float(merged.trees is None),)
    mixes = [Mix(part, prior, power) for part in parts]
    best = max(mixes, key=lambda mix: _agreement(mix(merged), reference))
    return min(
        (Mix(best.net_share, prior, power, it) for it in TEMPERATURES),
        key=lambda mix: _surprise(mix(merged), reference),
    )


def _merged(parts: Sequence[Shares | None], scored: NDArray[np.bool_]) -> Shares | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known)[scored] if known else None


def _agreement(shares: Shares, reference: NDArray[np.int8]) -> float:
    matrix = confusion(reference, shares.argmax(axis=1))
    return float(kappa(matrix) + macro_f1(matrix))


def _surprise(shares: Shares, reference: NDArray[np.int8]) -> float:
    told = np.take_along_axis(shares, reference[:, None].astype(np.intp), axis=1)
    return float(-np.log(np.maximum(told, LEAST)).mean())
