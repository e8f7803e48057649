"""Moments in requests: a date and a time with a zone (RFC 3339), as text and nothing else."""

from datetime import UTC, date, datetime
from typing import Annotated, Final

from pydantic import AwareDatetime, BeforeValidator

__all__ = ["FIRST", "LAST", "Day", "Moment"]

FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_YEAR: Final = 4  # digits


def _as_text(value: object) -> object:
    """Refuse numbers, and texts of digits alone, which would count as seconds since 1970."""
    if isinstance(value, date) or (isinstance(value, str) and value[_YEAR:][:1] == "-"):
        return value
    message = "should be text, such as 2026-03-01T22:14:30Z, or 2026-03-01 for a day"
    raise ValueError(message)


Moment = Annotated[AwareDatetime, BeforeValidator(_as_text)]
"""A moment of any year; what is more is up to the request."""

Day = Annotated[date, BeforeValidator(_as_text)]
"""A date of any year."""
