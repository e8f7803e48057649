"""Memory that is used anew for each session.

Large arrays that come and go are given back to the system each time, and to take fresh pages
from it costs more than the sums that are written to them.
"""

import threading
from math import prod

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scratch"]


class Scratch(threading.local):
    """Named blocks of memory of one thread; each call of ``take`` ends the use before it."""

    def __init__(self) -> None:
        self._blocks: dict[str, NDArray[np.float64]] = {}

    def take(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Return an array of this shape with whatever was left in the block."""
        size = prod(shape)
        block = self._blocks.get(name)
        if block is None or len(block) < size:
            block = self._blocks[name] = np.empty(size)
        return block[:size].reshape(shape)
