"""The 15 features of an epoch: names, units, and the codes they travel as.

``features.toml`` is the one schema; the firmware's header is generated from it by
``scripts/generate_features.py``.
"""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["COUNT", "FEATURES", "NAMES", "SCHEMA_VERSION", "Feature", "dequantise", "quantise"]


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of an epoch and how its value is coded.

    A code of ``bits`` bits stands for ``minimum + step * code`` on the linear scale and for
    ``knee * (exp(step * code) - 1)`` on the logarithmic one; the all-ones code is "missing".
    """

    name: str
    unit: str
    bits: int
    scale: Literal["linear", "log"]
    step: float
    title: str
    minimum: float = 0.0
    knee: float = 1.0

    @property
    def missing(self) -> int:
        """The code that says "no value": all ones."""
        return (1 << self.bits) - 1

    @property
    def maximum(self) -> float:
        """The largest value that a code can stand for, in ``unit``."""
        return float(self.values(np.array([self.missing - 1]))[0])

    def codes(self, values: ArrayLike) -> NDArray[np.int16]:
        """Return the nearest codes of ``values`` (in ``unit``); NaN becomes the missing code.

        Values outside the range are clamped to its ends.
        """
        array = np.asarray(values, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            if self.scale == "log":
                raw = np.log1p(np.maximum(array, 0.0) / self.knee) / self.step
            else:
                raw = (array - self.minimum) / self.step
        known = np.isfinite(raw)
        nearest = np.clip(np.floor(np.where(known, raw, 0.0) + 0.5), 0, self.missing - 1)
        return np.where(known, nearest, self.missing).astype(np.int16)

    def values(self, codes: ArrayLike) -> NDArray[np.float64]:
        """Return the values (in ``unit``) that ``codes`` stand for; missing becomes NaN."""
        array = np.asarray(codes, dtype=np.float64)
        if self.scale == "log":
            value = self.knee * np.expm1(array * self.step)
        else:
            value = self.minimum + array * self.step
        return np.where(array == self.missing, np.nan, value)


def _load() -> tuple[int, tuple[Feature, ...]]:
    schema = tomllib.loads(files("noctis").joinpath("features.toml").read_text("utf-8"))
    return schema["version"], tuple(Feature(**entry) for entry in schema["feature"])


SCHEMA_VERSION, FEATURES = _load()
NAMES = tuple(feature.name for feature in FEATURES)
COUNT = len(FEATURES)


def quantise(values: ArrayLike) -> NDArray[np.int16]:
    """Return the codes, shape (n, 15), of physical values, shape (n, 15), NaN = missing."""
    array = np.asarray(values, dtype=np.float64).reshape(-1, COUNT)
    return np.stack([f.codes(array[:, i]) for i, f in enumerate(FEATURES)], axis=1)


def dequantise(codes: ArrayLike) -> NDArray[np.float64]:
    """Return the physical values, shape (n, 15), NaN = missing, of codes, shape (n, 15)."""
    array = np.asarray(codes).reshape(-1, COUNT)
    return np.stack([f.values(array[:, i]) for i, f in enumerate(FEATURES)], axis=1)
