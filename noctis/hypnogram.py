"""Hypnograms: one code for each 30 s of a night, from its first epoch in bed to its last."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from noctis.stages import COUNT, Stage
from noctis.stages import LABELS as STAGES

__all__ = [
    "LABELS",
    "MISSING",
    "OUT_OF_BED",
    "UNSTAGED",
    "Hypnogram",
    "from_stages",
    "to_stages",
]

Hypnogram = NDArray[np.uint8]
"""Shape (n,): a ``Stage``'s number, or one of the codes below."""

OUT_OF_BED: Final = COUNT
"""The epoch is stored, and the bed was empty."""

UNSTAGED: Final = COUNT + 1
"""The epoch is stored, somebody was in bed, and no model gave it a stage (yet)."""

MISSING: Final = COUNT + 2
"""No epoch is stored (yet)."""

LABELS: Final = (*STAGES, "out_of_bed", "unstaged", "missing")
"""The names of the codes on the wire."""


def from_stages(stages: Iterable[Stage | None]) -> Hypnogram:
    """Return the hypnogram of stages; None: in bed without a stage."""
    return np.array([UNSTAGED if it is None else it for it in stages], np.uint8)


def to_stages(hypnogram: Hypnogram) -> list[Stage | None]:
    """Return a stage for each 30 s, None where there is none, whatever the reason."""
    return [Stage(code) if code < COUNT else None for code in hypnogram.tolist()]
