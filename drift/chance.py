"""How far other people are from the training people by chance alone.

Epochs of a night follow each other and people differ, so the textbook's p-values and the
rule of thumb of PSI > 0.25 cry wolf. Here groups of training subjects are held against the
others, many times: what such groups reach is what a group of that size may reach.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from drift.distances import Scales, distances, pooled
from noctis.errors import ModelError
from noctis.histograms import Histograms
from registry.fingerprint import Fingerprint

__all__ = ["Chance", "of"]

SIZES: Final = (1, 2, 4, 8)
DRAWS: Final = 100
FEWEST: Final = 6
MARGIN: Final = 1.25
"""Beyond the furthest of the draws: the next sleeper may be further out than all known ones."""
FLOOR: Final = np.array([0.1, 0.1, 0.1, 0.1])
"""Of PSI, KS, Wasserstein in interquartile ranges, and the missing share: less matters not."""
_POWERS: Final = np.array([1.0, 0.5, 0.5, 0.5])
_HALF: Final = 2

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Chance:
    """What groups of ``sizes`` sleepers reach: shape (len(sizes), 15, 4), as ``distances``."""

    subjects: int
    sizes: tuple[int, ...]
    reached: Numbers

    def limits(self, sleepers: int) -> Numbers:
        """Return how far so many sleepers may be, shape (15, 4).

        Beyond the largest group that was tried, the distances shrink as those of means do:
        with 1/sleepers + 1/subjects, the statistics with its root.
        """
        at = max(n for n, size in enumerate(self.sizes) if size <= sleepers or n == 0)
        tried = 1 / self.sizes[at] + 1 / (self.subjects - self.sizes[at])
        now = 1 / sleepers + 1 / self.subjects
        limits: Numbers = MARGIN * self.reached[at] * (now / tried) ** _POWERS
        allowed: Numbers = np.maximum(limits, FLOOR)
        return allowed


@lru_cache(maxsize=8)
def of(fingerprint: Fingerprint) -> Chance:
    """Return what chance does to the distances from a fingerprint; ModelError of too few."""
    subjects = fingerprint.subjects
    count = len(subjects)
    if count < FEWEST:
        message = f"a fingerprint of {count} subjects does not tell drift from chance"
        raise ModelError(message, hint=f"train on {FEWEST} subjects or more")
    sizes = tuple(size for size in SIZES if size * _HALF < count)
    scales = Scales(fingerprint.total)
    reached = [_reached(subjects, size, scales) for size in sizes]
    return Chance(count, sizes, np.stack(reached))


def _reached(subjects: Histograms, size: int, scales: Scales) -> Numbers:
    """Return the furthest of groups of so many subjects from the others, shape (15, 4)."""
    count = len(subjects)
    inside = np.eye(count)
    if size > 1:
        random = np.random.default_rng(size)
        inside = np.array([random.permutation(count) < size for _ in range(DRAWS)], np.float64)
    found = distances(pooled(subjects, 1 - inside), pooled(subjects, inside), scales)
    reached: Numbers = np.fmax.reduce(np.abs(found), axis=0)
    return np.nan_to_num(reached)
