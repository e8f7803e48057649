"""Conditional requests (RFC 9110): a change names the state that it was thought out for."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Annotated

from fastapi import Header

from api.problems import ProblemError

__all__ = ["IfMatch", "IfNoneMatch", "check", "is_known", "of_all"]

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=1024,
        description="the `ETag` of what is to be changed; `*`: however it is",
        examples=['"3-one"'],
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        max_length=1024,
        description="the `ETag` of what is known: 304 where it is still that",
        examples=['"3-one"'],
    ),
]


def is_known(if_none_match: str | None, current: str) -> bool:
    """Tell whether a caller has what the ETag ``current`` names already."""
    named = {each.strip().removeprefix("W/") for each in (if_none_match or "").split(",")}
    return bool(named & {"*", current})


def of_all(parts: Iterable[str]) -> str:
    """Return the ETag of a list: another as soon as one of its parts is, or their order."""
    return f'"{sha256(chr(10).join(parts).encode()).hexdigest()[:32]}"'


def check(if_match: str | None, current: str) -> None:
    """Let a request pass whose ``If-Match`` names the ETag ``current``.

    Raises ProblemError 428 where it names nothing, 412 where it names another state.
    """
    if if_match is None:
        detail = "send the ETag of what you read as If-Match, so that no change is lost"
        raise ProblemError(428, detail, kind="precondition")
    named = {each.strip() for each in if_match.split(",")}
    if not named & {"*", current}:
        detail = f"it has changed since; it is {current} now: read it again"
        raise ProblemError(412, detail, kind="changed", headers={"ETag": current})
