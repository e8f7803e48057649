"""Moments in requests."""

from datetime import UTC, date, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from api.moments import Day, Moment

ADAPTER = TypeAdapter(Moment)


@pytest.mark.parametrize(
    "text", ["2026-03-01T22:14:30Z", "2026-03-01T23:14:30+01:00", "2026-03-01 22:14:30Z"]
)
def test_a_moment_is_a_text_with_a_zone(text: str) -> None:
    assert ADAPTER.validate_python(text) == datetime(2026, 3, 1, 22, 14, 30, tzinfo=UTC)
    assert ADAPTER.validate_python(datetime.fromisoformat(text)).tzinfo is not None


@pytest.mark.parametrize(
    "value",
    [
        *(0, 1_772_403_270, 1_772_403_270.5, True, None, [], "1772403271", "1772403271.5"),
        *("", "2026", "2026-03-01", "2026-03-01T22:14:30", "now", "-1772403270"),
    ],
)
def test_seconds_since_1970_and_moments_without_a_zone_are_none(value: object) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(value)


@pytest.mark.parametrize("value", [1_772_323_200, "1772409600", "", "2026"])
def test_seconds_since_1970_are_no_day(value: object) -> None:
    assert TypeAdapter(Day).validate_python("2026-03-01") == date(2026, 3, 1)
    with pytest.raises(ValidationError):
        TypeAdapter(Day).validate_python(value)


def test_the_schema_says_what_it_is() -> None:
    assert ADAPTER.json_schema() == {"type": "string", "format": "date-time"}
