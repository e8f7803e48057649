"""Golden vectors: a made-up night, its features, and the probabilities of a right model."""

from typing import Final

import numpy as np

from inference.architectures import Batch, Sessions
from inference.context import Rows, night_sessions
from inference.model import Model
from inference.night import NightModel, codes_of
from noctis.features import COUNT, FEATURES, quantise
from registry.manifest import Golden

__all__ = ["golden_of", "made_up_night", "night_golden_of"]

EPOCHS: Final = 240
EVERY: Final = 20


def made_up_night(epochs: int, *, seed: int) -> Rows:
    """Return a made-up night's rows, shape (epochs, 16): nobody's data, for golden vectors.

    Every feature wanders through its range; some are missing for a while, and so is the
    sleeper.
    """
    random = np.random.default_rng(seed)
    low, high = np.array([(f.minimum, f.maximum) for f in FEATURES]).T
    walk = np.cumsum(random.normal(0, 0.08, (epochs, COUNT)), axis=0)
    share = 0.3 + 0.2 * np.sin(walk) + 0.03 * random.normal(size=(epochs, COUNT))
    values = low + np.clip(share, 0, 1) * (high - low) * 0.6
    values[random.random((epochs, COUNT)) < 0.03] = np.nan  # noqa: PLR2004 - a share
    values[epochs // 3 : epochs // 2, 5:9] = np.nan
    in_bed = np.ones(epochs, bool)
    in_bed[epochs // 2 : epochs // 2 + 8] = False
    return np.column_stack((quantise(values), in_bed)).astype(np.int16)


def golden_of(model: Model) -> Golden:
    """Return the vectors of a model that is right: a made-up night and what comes of it."""
    rows = made_up_night(EPOCHS, seed=7)
    at = [*range(0, EPOCHS, EVERY), EPOCHS - 1]
    sessions = night_sessions(rows, at)
    return Golden(
        codes=rows[:, :COUNT].tolist(),
        in_bed=(rows[:, COUNT] == 1).tolist(),
        rows=at,
        features=_features(sessions) if model.manifest.has_trees else None,
        probabilities=model.predict(sessions).tolist(),
    )


def night_golden_of(model: NightModel) -> Golden:
    """Return the vectors of a model of whole nights that is right."""
    rows = made_up_night(EPOCHS, seed=7)
    at = [*range(0, EPOCHS, EVERY), EPOCHS - 1]
    part, codes = codes_of(rows)
    return Golden(
        codes=rows[:, :COUNT].tolist(),
        in_bed=(rows[:, COUNT] == 1).tolist(),
        rows=at,
        probabilities=model.predict(codes)[np.array(at) - part.start].tolist(),
    )


def _features(sessions: Sessions) -> list[list[float | None]]:
    table = Batch(sessions).features.tolist()
    return [[None if np.isnan(value) else value for value in row] for row in table]
