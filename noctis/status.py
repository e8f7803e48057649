"""What devices say in JSON: their status, and what became of a command.

It comes from outside: whatever is not of the protocol's shape is a FrameError.
"""

from typing import Annotated, Final, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from noctis.errors import FrameError

__all__ = ["Result", "Status", "decode_result", "decode_status"]

LONGEST: Final = 1024
Number = Annotated[int, Field(ge=0, lt=1 << 32)]
Word = Annotated[str, Field(max_length=64)]


class Status(BaseModel):
    """A device's status: where its spool stands, and how its clock and sensors are.

    ``config``: the version of the configuration that it follows; 0 for none.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    state: Literal["online", "sleeping", "lost"]
    stream: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    oldest_seq: Number
    next_seq: Number
    backlog: Number
    overwritten: Number = 0
    damaged: Number = 0
    firmware: Word = ""
    clock: Word = ""
    radar: Word = ""
    radar_family: Word = ""
    accelerometer: Word = ""
    accelerometer_id: Number = 0
    config: Number = 0


class Result(BaseModel):
    """A device's answer to the command ``id``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: UUID
    state: Literal["done", "refused"]
    detail: dict[Word, Number | Word] = {}


T = TypeVar("T", Status, Result)


def decode_status(payload: bytes) -> Status:
    """Return a device's status; raise FrameError for anything else."""
    return _decode(Status, payload)


def decode_result(payload: bytes) -> Result:
    """Return a device's answer to a command; raise FrameError for anything else."""
    return _decode(Result, payload)


def _decode(kind: type[T], payload: bytes) -> T:
    if len(payload) > LONGEST:
        message = f"{len(payload)} bytes; at most {LONGEST} are read"
        msg = "length"
        raise FrameError(msg, message)
    try:
        return kind.model_validate_json(payload)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in wrong["loc"]) or "it"
        msg = "json"
        raise FrameError(msg, f"{where}: {wrong['msg']}") from error
