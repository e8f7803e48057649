import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noctis.features import COUNT, FEATURES, NAMES, Feature, dequantise, quantise

VECTORS = Path(__file__).parent.parent / "vectors" / "features.json"


def test_the_features_and_one_flag_fill_the_slot() -> None:
    assert COUNT == 15
    assert sum(feature.bits for feature in FEATURES) == 102


def test_the_ranges_hold_what_can_happen() -> None:
    ranges = {feature.name: (feature.minimum, feature.maximum) for feature in FEATURES}
    assert ranges["tilt_change"][1] >= 180
    assert ranges["hr_slope"] == (-78.75, 78.75)
    assert 0.0 in FEATURES[NAMES.index("hr_slope")].values(np.arange(127))


def test_codes_match_the_golden_ones() -> None:
    rows = json.loads(VECTORS.read_text("utf-8"))
    assert {row["feature"] for row in rows} == set(NAMES)
    for row in rows:
        feature = FEATURES[NAMES.index(row["feature"])]
        value = np.nan if row["value"] is None else row["value"]
        assert feature.codes([value]).tolist() == [row["code"]], row


@pytest.mark.parametrize("feature", FEATURES, ids=NAMES)
def test_every_code_survives_its_value(feature: Feature) -> None:
    codes = np.arange(feature.missing + 1)
    np.testing.assert_array_equal(feature.codes(feature.values(codes)), codes)


@given(st.sampled_from(FEATURES), st.floats(0, 1))
def test_a_value_in_range_comes_back_within_half_a_step(feature: Feature, share: float) -> None:
    value = feature.minimum + share * (feature.maximum - feature.minimum)
    back = feature.values(feature.codes([value]))[0]
    step = feature.step if feature.scale == "linear" else feature.step * (value + feature.knee)
    assert abs(back - value) <= 0.51 * step * (1.0 if feature.scale == "linear" else 1.05)


def test_missing_stays_missing_and_infinity_is_missing() -> None:
    values = np.full((2, COUNT), np.nan)
    values[1] = np.inf
    codes = quantise(values)
    assert codes.tolist() == [[feature.missing for feature in FEATURES]] * 2
    assert np.isnan(dequantise(codes)).all()
