"""What was measured in epochs, as columns."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from noctis.features import NAMES

__all__ = ["EPOCH", "epochs_in", "joined", "utc64"]

EPOCH: Final = np.dtype(
    [
        ("start", "datetime64[ms]"),
        ("stream", "U16"),
        ("seq", np.int64),
        ("in_bed", np.bool_),
        *((name, np.float64) for name in NAMES),
    ]
)
"""A row for each epoch: its start in UTC, its identity, and its features, NaN where missing."""


def epochs_in(page: Mapping[str, Any]) -> NDArray[Any]:
    """Return the epochs of a page, shape (n,) of ``EPOCH``."""
    rows = [
        (utc64(it["start"]), it["stream"], it["seq"], it["in_bed"], *_features(it["features"]))
        for it in page["epochs"]
    ]
    return np.array(rows, dtype=EPOCH)


def joined(pages: Iterable[NDArray[Any]]) -> NDArray[Any]:
    """Return the epochs of all pages, each copied once."""
    return np.concatenate([np.empty(0, EPOCH), *pages])


def utc64(told: str) -> np.datetime64:
    """Return a moment with a zone as numpy has it: in UTC, without one."""
    moment = datetime.fromisoformat(told).astimezone(UTC)
    return np.datetime64(moment.replace(tzinfo=None), "ms")


def _features(told: Mapping[str, float | None]) -> list[float]:
    values = (told.get(name) for name in NAMES)
    return [np.nan if it is None else it for it in values]
