"""What the bodies of requests have in common."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Body", "Line"]

_PRINTABLE: Final = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"

Line = Annotated[str, Field(max_length=64, pattern=_PRINTABLE)]
"""A line of text; neither database nor terminal stumbles over it."""


class Body(BaseModel):
    """A body of which every member is known: a slip of the pen is told, not passed over."""

    model_config = ConfigDict(extra="forbid")
