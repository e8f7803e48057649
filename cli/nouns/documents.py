"""JSON documents of what storage and facades tell, in one spelling."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from pydantic_core import to_jsonable_python

from noctis.storage.engine import Connection

__all__ = ["Document", "Open", "plain"]

Document = dict[str, Any]
"""A JSON object."""

Open = Callable[[], AbstractContextManager[Connection]]
"""What yields a connection in a transaction that is committed when the block ends well."""


def plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value as JSON has it; times in ISO 8601, those of UTC with ``+00:00``."""
    return _spelt(to_jsonable_python(value))


def _spelt(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    match value:
        case dict():
            return {key: _spelt(it) for key, it in value.items()}
        case list():
            return [_spelt(it) for it in value]
        case str():
            return _moment(value)
        case _:
            return value


def _moment(text: str) -> str:
    """Return a moment with ``+00:00`` where it is written with ``Z``; other text as it is."""
    is_moment = text.endswith("Z") and text[:4].isdecimal() and text[10:11] == "T"
    return datetime.fromisoformat(text).isoformat() if is_moment else text
