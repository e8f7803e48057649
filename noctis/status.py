"""What devices say in JSON: status and settings, results of commands, updates, lines.

It comes from outside: whatever is not of the protocol's shape is a FrameError.
"""

from typing import Annotated, Final, Literal, TypeVar, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from noctis.errors import FrameError

__all__ = [
    "LEVELS",
    "ConfigReport",
    "Level",
    "LogLine",
    "LogLines",
    "Result",
    "Status",
    "UpdateReport",
    "decode_config",
    "decode_log",
    "decode_result",
    "decode_status",
    "decode_update",
]

LONGEST: Final = 1024
Number = Annotated[int, Field(ge=0, lt=1 << 32)]
Word = Annotated[str, Field(max_length=64)]
Name = Annotated[str, Field(pattern="^[ -~]{1,32}$")]
Milliseconds = Annotated[int, Field(ge=0, lt=1 << 63)]
Level = Literal["error", "warning", "info", "debug"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)
"""Of a line, the gravest first."""


class Status(BaseModel):
    """A device's status: where its spool stands, and how its clock, sensors and link are.

    ``config``: the version of the configuration that it follows; 0 for none. ``boots`` and what
    follows it is 0, empty or None where the firmware does not say it, or cannot know it.
    ``certificate``: the serial of the one that it connected with, hexadecimal.
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
    certificate: Annotated[str, Field(pattern="^[0-9a-f]{0,64}$")] = ""
    boots: Number = 0
    reset: Word = ""
    uptime_s: Number = 0
    free_heap: Number | None = None
    least_free_heap: Number | None = None
    stack_left: Number | None = None
    laps: Number = 0
    bad_slots: Number = 0
    rssi: Annotated[int, Field(ge=-128, le=127)] | None = None
    reconnects: Number = 0
    puback_ms: Number | None = None


class ConfigReport(BaseModel):
    """What a device is set to: the version that it follows, its settings, and its refusals.

    ``refused`` says why of the first of its names that it cannot follow; ``refusals`` counts
    them all.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    version: Number
    settings: Annotated[dict[Name, bool | Number | Word], Field(max_length=16)] = {}
    refusals: Number = 0
    refused: Annotated[dict[Name, Word], Field(max_length=8)] = {}


class LogLine(BaseModel):
    """A line of a device: the ``n``-th since boot, ``at_ms`` after it, said ``times`` times."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    n: Annotated[int, Field(ge=1, lt=1 << 32)]
    at_ms: Milliseconds
    level: Level
    text: Annotated[str, Field(pattern="^[ -~]{0,96}$")]
    times: Annotated[int, Field(ge=1, lt=1 << 32)] = 1


class LogLines(BaseModel):
    """Lines of boot number ``boot``, sent ``now_ms`` after it; ``dropped`` were lost since."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    boot: Number
    now_ms: Milliseconds
    dropped: Number = 0
    lines: Annotated[tuple[LogLine, ...], Field(max_length=8)]


class Result(BaseModel):
    """A device's answer to the command ``id``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: UUID
    state: Literal["done", "refused"]
    detail: dict[Word, Number | Word] = {}


class UpdateReport(BaseModel):
    """How far a device is with the firmware of ``rollout``.

    ``version`` and ``build`` are what runs. ``reason``: why it was refused or rolled back.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    rollout: UUID
    state: Literal[
        "downloading", "verifying", "installed", "pending", "valid", "rolled_back", "refused"
    ]
    version: Word
    build: Number
    percent: Annotated[int, Field(ge=0, le=100)] | None = None
    reason: Word = ""

    @property
    def has_ended(self) -> bool:
        """True where nothing more is to come."""
        return self.state in {"valid", "rolled_back", "refused"}


T = TypeVar("T", Status, Result, UpdateReport, ConfigReport, LogLines)


def decode_status(payload: bytes) -> Status:
    """Return a device's status; raise FrameError for anything else."""
    return _decode(Status, payload)


def decode_result(payload: bytes) -> Result:
    """Return a device's answer to a command; raise FrameError for anything else."""
    return _decode(Result, payload)


def decode_update(payload: bytes) -> UpdateReport:
    """Return what a device says of an update; raise FrameError for anything else."""
    return _decode(UpdateReport, payload)


def decode_config(payload: bytes) -> ConfigReport:
    """Return what a device says that it is set to; raise FrameError for anything else."""
    return _decode(ConfigReport, payload)


def decode_log(payload: bytes) -> LogLines:
    """Return lines of a device; raise FrameError for anything else."""
    return _decode(LogLines, payload)


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
