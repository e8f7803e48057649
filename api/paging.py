"""Pages of a list: an opaque token says where the next one begins."""

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Final, TypeVar

from fastapi import Query
from pydantic import TypeAdapter, ValidationError

from api.problems import ProblemError

__all__ = ["MAX_PAGE_SIZE", "PageSize", "PageToken", "next_token", "position_of"]

T = TypeVar("T")

MAX_PAGE_SIZE: Final = 1000
MAX_TOKEN: Final = 512

PageSize = Annotated[
    int, Query(ge=1, description=f"entries in a page; more than {MAX_PAGE_SIZE} are not given")
]
PageToken = Annotated[
    str | None,
    Query(max_length=MAX_TOKEN, description="`next_page_token` of the page before"),
]


def next_token(position: Sequence[str | int], *query: object) -> str:
    """Return the token of the page behind ``position`` in the list that ``query`` names."""
    document = json.dumps([_digest(query), list(position)], separators=(",", ":"))
    return urlsafe_b64encode(document.encode()).decode().rstrip("=")


def position_of(token: str, shape: TypeAdapter[T], *query: object) -> T:
    """Return the position that ``token`` stands for, of that shape.

    A token grants nothing, so nothing is signed: it is checked like any other input. Raises
    ProblemError 400 for one that was not made here, or for another query.
    """
    try:
        padded = token.encode() + b"=" * (-len(token) % 4)
        digest, position = json.loads(urlsafe_b64decode(padded))
        valid = shape.validate_python(position)
    except (binascii.Error, ValidationError, ValueError, TypeError, RecursionError) as error:
        detail = "page_token is not one of ours; begin again without it"
        raise ProblemError(400, detail, kind="page-token") from error
    if digest != _digest(query):
        detail = "page_token belongs to a list with other parameters; keep them as they were"
        raise ProblemError(400, detail, kind="page-token")
    return valid


def _digest(query: Sequence[object]) -> str:
    return sha256(repr(query).encode()).hexdigest()[:12]
