"""How tracks become a net's inputs: centred, scaled, bounded, unknown = 0.

Training and serving prepare rows by the same code, each row by itself. The numbers go with the
graph, in its metadata.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["BOUND", "METADATA", "Scaling"]

BOUND: Final = 4.0
METADATA: Final = "noctis.scaling"


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """Each track's ``centre`` and ``factor``, shape (C,); 0 for one that says nothing."""

    centre: NDArray[np.float32]
    factor: NDArray[np.float32]

    @classmethod
    def within(cls, metadata: Mapping[str, str]) -> "Scaling | None":
        """Return the scaling that a graph's metadata name, None where they name none.

        Raises ValueError for one that is damaged.
        """
        text = metadata.get(METADATA)
        if text is None:
            return None
        centre, factor = np.array(json.loads(text), np.float32)
        return cls(centre, factor)

    @property
    def metadata(self) -> dict[str, str]:
        """What a graph's metadata say of it."""
        return {METADATA: json.dumps([self.centre.tolist(), self.factor.tolist()])}

    def __call__(self, tracks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return inputs, shape (..., C), without NaN and within +-BOUND."""
        scaled = np.clip((tracks - self.centre) * self.factor, -BOUND, BOUND)
        return np.asarray(np.nan_to_num(scaled, nan=0.0), np.float32)
