"""Epochs as callers write them: in physical units, each value within what its code can say."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictBool, create_model

from api.bodies import Body
from noctis.features import FEATURES, NAMES, Feature, quantise

__all__ = ["Features", "NewEpoch", "codes_of"]


def _field(feature: Feature) -> tuple[Any, Any]:
    """Return a field that takes what rounds to one of the feature's codes, or nothing."""
    low, high = feature.values(np.array([-0.5, feature.missing - 0.5])).tolist()
    number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=low, le=high)]
    return number | None, Field(None, description=f"{feature.title}, {feature.unit}")


_VALUES: Final = {"hr_mean": 58.5, "rr_mean": 14.2, "act_count": 0.0, "quality": 1.0}
_FIELDS: Final[dict[str, Any]] = {feature.name: _field(feature) for feature in FEATURES}
Features = create_model(
    "Features",
    __base__=Body,
    __doc__="What was measured of a sleeper; null, or left out, where a value is missing.",
    **_FIELDS,
)


class NewEpoch(Body):
    """30 seconds of a sleeper."""

    in_bed: StrictBool
    features: Features = Field(examples=[_VALUES])


def codes_of(epochs: Sequence[NewEpoch]) -> NDArray[np.int16]:
    """Return the epochs' codes, shape (n, 15): what a device would have sent of the values.

    The values of a stored epoch, as this facade tells them, give its very codes.
    """
    values = [[getattr(epoch.features, name) for name in NAMES] for epoch in epochs]
    return quantise(np.array(values, np.float64).reshape(len(epochs), len(NAMES)))
