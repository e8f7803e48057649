"""firmware/FEATURES.md says what features.toml says, and what the codes really do."""

import re
from pathlib import Path

import numpy as np
import pytest

from noctis.features import FEATURES, NAMES, Feature

PAGE = Path(__file__).parents[2] / "firmware" / "FEATURES.md"


def table(title: str) -> list[list[str]]:
    """Return the cells of the rows of the page's table whose header begins with ``title``."""
    _, _, rest = PAGE.read_text("utf-8").partition(f"\n| {title}")
    lines = rest.partition("\n\n")[0].replace("\N{MINUS SIGN}", "-").splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def relative_error(feature: Feature) -> float:
    """Return the largest error of a log code, as a share of the value and the knee."""
    return float(np.expm1(feature.step / 2))


def schema_row(feature: Feature) -> list[str]:
    """Return the cells that the page must have for a feature."""
    if feature.scale == "linear":
        start = f"{feature.minimum:g} + " if feature.minimum else ""
        code = f"{start}{feature.step:.4g} c"
        error = f"± {feature.step / 2:.3g}"
    else:
        code = f"{feature.knee:g} (exp({feature.step:g} c) - 1)"
        share = relative_error(feature)
        error = f"± ({feature.knee * share:.2g} + {100 * share:.2g} %)"
    span = f"{feature.minimum:g} to {feature.maximum:,.6g}"
    return [feature.name, feature.unit, str(feature.bits), code, span, error]


def test_the_page_has_the_codes_ranges_and_errors_of_the_schema() -> None:
    assert table("feature | unit") == [schema_row(feature) for feature in FEATURES]


def test_the_page_defines_every_feature_says_when_it_is_missing_and_names_a_source() -> None:
    rows = table("feature | definition")
    assert [row[0] for row in rows] == list(NAMES)
    assert all(len(row) == 4 and all(row) for row in rows)
    sources = set(re.findall(r"^- \[(\d+)\] ", PAGE.read_text("utf-8"), re.MULTILINE))
    cited = set(re.findall(r"\[(\d+)\]", " ".join(row[3] for row in rows)))
    assert cited == sources


@pytest.mark.parametrize("feature", FEATURES, ids=NAMES)
def test_no_value_of_the_range_is_further_from_its_code_than_the_page_says(
    feature: Feature,
) -> None:
    values = np.linspace(feature.minimum, feature.maximum, 100_001)
    if feature.scale == "log":
        values = np.concatenate((values, np.linspace(0, 10 * feature.knee, 10_001)))
    errors = np.abs(feature.values(feature.codes(values)) - values)
    allowed = np.full_like(values, feature.step / 2)
    if feature.scale == "log":
        allowed = relative_error(feature) * (feature.knee + values)
    assert (errors <= allowed * 1.000001).all()
    assert (errors > allowed * 0.98).any()
