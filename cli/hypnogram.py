"""A hypnogram for the terminal: a lane for each stage, drawn in eighth blocks."""

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np
from rich.text import Text

from noctis.epoch import EPOCH_SECONDS
from noctis.stages import Stage

__all__ = ["draw"]

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_LANES: Final = (
    ("Wake ", Stage.WAKE, "#E69F00"),
    ("REM  ", Stage.REM, "#AA3377"),
    ("Light", Stage.LIGHT, "#4477AA"),
    ("Deep ", Stage.DEEP, "#5B7DB1"),
    ("  ?  ", None, "bright_black"),
)
_LABEL: Final = 7
_TICK_HOURS: Final = (1, 2, 4, 8, 24)


def draw(stages: Sequence[Stage | None], *, width: int = 80, title: str = "") -> Text:
    """Return the lanes of a night's stages, one epoch each, in ``width`` columns.

    A block's height is the share of a column's epochs in that stage; epochs without a stage
    have a lane of their own, drawn only when there are any.
    """
    columns = max(min(width - _LABEL, len(stages)), 1)
    edges = np.linspace(0, len(stages), columns + 1).round().astype(int)
    text = Text(f"{title}\n" if title else "")
    for label, stage, style in _LANES:
        hits = np.array([it is stage for it in stages], float)
        if stage is None and not hits.any():
            continue
        shares = [_mean(hits[a:b]) for a, b in itertools.pairwise(edges)]
        text.append(f"{label} │", style="bold")
        text.append("".join(_BLOCKS[_height(share)] for share in shares) + "\n", style=style)
    return text.append(_axis(len(stages), columns), style="bright_black")


def _mean(part: np.ndarray) -> float:
    return float(part.mean()) if len(part) else 0.0


def _height(share: float) -> int:
    """Return eighths; what is there at all shows at least one."""
    return max(round(8 * share), 1) if share > 0 else 0


def _axis(epochs: int, columns: int) -> str:
    """Return the hours below the lanes, as far apart as their labels need."""
    hours = epochs * EPOCH_SECONDS / 3600
    every = next((t for t in _TICK_HOURS if columns * t >= 4 * hours), _TICK_HOURS[-1])
    line = [" "] * (columns + 3)
    for hour in range(0, int(hours) + 1, every):
        at = round(hour / hours * columns) if hours else 0
        line[at : at + 3] = f"{hour}h".ljust(3)
    return " " * (_LABEL - 1) + "└" + "".join(line)[:columns].rstrip()
