"""ADWIN up to its first alarm: the window of a stream grows while its mean stays.

Source: Bifet and Gavalda, Learning from time-changing data with adaptive windowing, SIAM
International Conference on Data Mining 2007, section 3 (every cut is tried, as a stream of one
value an evening is short), with the bound of River 0.26, whose alarms are the same.
"""

from dataclasses import dataclass
from math import log
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Alarm", "first_alarm"]

GRACE: Final = 10


@dataclass(frozen=True, slots=True)
class Alarm:
    """Where in a stream an alarm came: ``told`` by this value, of a mean new ``since`` that.

    ``since`` is the cut that explains most of the variance.
    """

    told: int
    since: int


def first_alarm(
    values: NDArray[np.float64], *, delta: float = 0.002, shortest: int = 5
) -> Alarm | None:
    """Return the first alarm of a stream, shape (n,), None where its mean stays.

    ``delta``: the confidence of one look; ``shortest``: values on either side of a cut.
    """
    for count in range(max(GRACE + 1, 2 * shortest), len(values) + 1):
        window = values[:count]
        old = np.arange(shortest, count - shortest + 1)
        sums = np.cumsum(window)[old - 1]
        apart = np.abs(sums / old - (window.sum() - sums) / (count - old))
        sizes = 1 / (old - shortest + 1) + 1 / (count - old - shortest + 1)
        chance = log(2 * log(count) / delta)
        beyond = apart - np.sqrt(2 * sizes * window.var() * chance) - 2 / 3 * chance * sizes
        if (beyond > 0).any():
            explained = apart**2 * old * (count - old)
            return Alarm(count - 1, int(old[explained.argmax()]))
    return None
