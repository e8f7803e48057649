"""What a person may declare to be a recording: a kind, and from when to when."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, Protocol

from pydantic import Field

from api.moments import FIRST
from api.moments import Moment as Instant
from api.problems import ProblemError, invalid
from companion import declared
from companion.declared import LONGEST, OverlapError, Span
from noctis.epoch import EPOCH_SECONDS
from noctis.storage.database import Connection
from noctis.storage.recordings import FOUND, Recording

__all__ = ["Declared", "Kind", "Moment", "Wanted", "overlaps", "redeclare", "span_of"]

SHORTEST: Final = timedelta(minutes=5)
AHEAD: Final = timedelta(days=7)
Kind = Literal["found", "night", "nap", "study"]
Declared = Literal["night", "nap", "study"]
Moment = Annotated[Instant, Field(examples=["2026-03-01T22:00:00Z"])]


class Wanted(Protocol):
    """A body that may name a kind, a start and an end."""

    kind: Declared
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def model_fields_set(self) -> set[str]:
        """Which of its members it names."""


def span_of(kind: str, started_at: datetime, ended_at: datetime, now: datetime) -> Span:
    """Return what is declared; raise ProblemError 422 where no recording can be like that."""
    if started_at < FIRST:
        raise invalid(("body", "started_at"), f"is before {FIRST:%Y-%m-%d}")
    if ended_at > now + AHEAD:
        raise invalid(("body", "ended_at"), f"is more than {AHEAD.days} days from now")
    length = ended_at - started_at
    if not SHORTEST <= length <= LONGEST:
        minutes, hours = SHORTEST // timedelta(minutes=1), LONGEST // timedelta(hours=1)
        detail = f"is not {minutes} minutes to {hours} hours after started_at"
        raise invalid(("body", "ended_at"), detail)
    if length % timedelta(seconds=EPOCH_SECONDS):
        detail = f"is not a whole number of epochs of {EPOCH_SECONDS} s after started_at"
        raise invalid(("body", "ended_at"), detail)
    return Span(kind, started_at.astimezone(UTC), ended_at.astimezone(UTC))


def redeclare(tenant: str, connection: Connection, known: Recording, wanted: Wanted) -> None:
    """Let a declared recording be of another kind, or begin and end elsewhere.

    Raise ProblemError 409 for one that was found, or where another one overlaps it.
    """
    if known.kind == FOUND:
        detail = "it was found in what the device saw; POST /v1/recordings declares another"
        raise ProblemError(409, detail, kind="found")
    named, now = wanted.model_fields_set, datetime.now(UTC)
    start = wanted.started_at if "started_at" in named else known.night.started_at
    end = wanted.ended_at if "ended_at" in named else known.night.ended_at
    for name, moment in (("started_at", start), ("ended_at", end)):
        if moment is None:
            raise invalid(("body", name), "a recording has one")
    assert start is not None  # noqa: S101 - just seen
    assert end is not None  # noqa: S101 - just seen
    span = span_of(wanted.kind if "kind" in named else known.kind, start, end, now)
    try:
        declared.move(tenant, connection, known.id, span, now=now)
    except OverlapError as error:
        raise overlaps(error) from error


def overlaps(error: OverlapError) -> ProblemError:
    """Return the problem of a declaration that overlaps another."""
    return ProblemError(409, str(error), kind="overlap")
