"""Epochs that come over HTTP, on their way into the very storage that the ingestor fills."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import (
    AwareDatetime,
    BaseModel,
    Field,
    SkipValidation,
    StrictInt,
    TypeAdapter,
    ValidationError,
)

from api.bodies import Body
from api.features import NewEpoch, codes_of
from api.moments import FIRST
from api.problems import InvalidField, invalid
from noctis.ack import DISPOSED
from noctis.frames import Frames, decode_all
from noctis.identity import DeviceId
from noctis.slot import RUN
from noctis.storage.admission import Batch
from noctis.storage.database import Connection
from noctis.storage.ingest import Verdict, ingest

__all__ = ["MOST", "Ingested", "Items", "Outcome", "Sent", "items_of", "items_of_frame", "keep"]

MOST: Final = 1000
"""Epochs in a body."""

Stream = Annotated[str, Field(pattern="^[0-9a-f]{16}$", examples=["00f1e2d3c4b5a697"])]
Seq = Annotated[StrictInt, Field(ge=0, lt=1 << 32)]
_LAST_UTC_S: Final = (1 << 32) - 1


class NewRun(Body):
    """The time base of epochs; the same for all epochs of a run, whenever they are sent."""

    seq: Seq = Field(description="its own number; those of its epochs are behind it")
    start: Annotated[AwareDatetime, Field(strict=True)] | None = Field(
        description="of the epoch `seq + 1`, in whole seconds; null: no clock was known",
        examples=["2026-03-01T22:14:30Z"],
    )
    boot: Seq = Field(0, description="rises with every restart of the sender")
    tick_s: Annotated[StrictInt, Field(ge=0, lt=1 << 28)] = Field(
        0, description="`start` in seconds since that restart"
    )
    reason: Annotated[StrictInt, Field(ge=0, le=4)] = 0
    voids: Annotated[StrictInt, Field(ge=0, le=255)] = 0


class NumberedEpoch(NewEpoch):
    """An epoch with its place in the stream; 30 s from one number to the next."""

    seq: Seq = Field(examples=[1])


class Sent(Body):
    """Epochs of one run of a stream.

    An item that makes no sense is rejected by itself; it does no harm to the others.
    """

    stream: Stream = Field(description="64 random bits of the sender's own, in hex")
    run: NewRun
    epochs: Annotated[
        list[Annotated[NumberedEpoch | Any, SkipValidation]],
        Field(min_length=1, max_length=MOST),
    ]


class Outcome(BaseModel):
    """What became of an item."""

    index: int = Field(description="of the item; a frame is one item")
    status: Literal["stored", "duplicate", "disposed", "rejected"] = Field(
        description="`duplicate`: stored before, with the same values; `disposed`: never to be "
        "stored, as its stream is closed or it is older than what is kept"
    )
    reason: str | None = Field(None, description="why it is rejected", examples=["conflict"])
    pointer: str | None = Field(None, examples=["#/epochs/3/features/hr_mean"])
    detail: str | None = None


class Ingested(BaseModel):
    """What became of a body, once it is committed; counts are of epochs."""

    stored: int
    duplicate: int
    disposed: int
    rejected: int
    results: list[Outcome]


@dataclass(frozen=True, slots=True)
class Items:
    """What can be understood of a body, as frames, and what cannot.

    ``places`` are the frames' items. ``pointers``: whether the body is JSON to be pointed into.
    """

    frames: Frames
    places: Sequence[int]
    rejected: Sequence[Outcome] = ()
    pointers: bool = True


_EPOCH: Final = TypeAdapter(NumberedEpoch)
_SAYS: Final = {
    "revoked_device": ((), "the device is revoked"),
    "foreign_stream": (("stream",), "the stream belongs to another device"),
    "run_differs": (("run",), "this run of the stream is stored with other values"),
    "run_inside": (("epochs", None, "seq"), "it belongs to a later run that is stored"),
    "future": (("epochs", None, "seq"), "it starts more than two days from now"),
    "conflict": (("epochs", None), "it is stored with other values, which stay"),
}
"""Where in a body a refusal of the storage lies (None: the item's place), and what it says."""


def items_of(sent: Sent) -> Items:
    """Return the epochs of a body, each as a frame of its own, so that each has its verdict."""
    good: list[NumberedEpoch] = []
    places: list[int] = []
    rejected: list[Outcome] = []
    for index, item in enumerate(sent.epochs):
        try:
            epoch = _EPOCH.validate_python(item)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_input=False)[0]
            rejected.append(_rejected(index, "invalid", wrong["msg"], *wrong["loc"]))
            continue
        if epoch.seq <= sent.run.seq:
            rejected.append(_rejected(index, "seq", "it is not behind its run's", "seq"))
            continue
        good.append(epoch)
        places.append(index)
    return Items(_frames(sent, good), places, rejected)


def items_of_frame(body: bytes) -> Items:
    """Return the one item of a body that is a frame, as devices send them.

    Raises ProblemError 422 for any other bytes.
    """
    frames, errors = decode_all([body])
    if errors:
        raise invalid(("body",), str(errors[0]))
    return Items(frames, [0], pointers=False)


def keep(connection: Connection, device: DeviceId, items: Items, kept: timedelta) -> Ingested:
    """Store items as the ingestor does, as backlog: nobody saw them live.

    ``kept``: how long epochs of tenants without a word of their own stay.
    """
    count = len(items.frames)
    batch = Batch([device] * count, items.frames, np.ones(count, np.bool_))
    verdicts = ingest(connection, batch, kept=kept)
    sizes = items.frames.count.tolist()
    outcomes = [
        _outcome(place, verdict, items)
        for place, verdict in zip(items.places, verdicts, strict=True)
    ]
    results = sorted([*outcomes, *items.rejected], key=lambda it: it.index)
    stored = sum(it.stored for it in verdicts)
    duplicate = sum(it.duplicate for it in verdicts)
    disposed = _epochs_of(verdicts, sizes, {DISPOSED})
    return Ingested(
        stored=stored,
        duplicate=duplicate,
        disposed=disposed,
        rejected=sum(sizes) + len(items.rejected) - stored - duplicate - disposed,
        results=results,
    )


def _epochs_of(verdicts: Sequence[Verdict], sizes: Sequence[int], codes: set[int]) -> int:
    pairs = zip(verdicts, sizes, strict=True)
    return sum(size for verdict, size in pairs if verdict.code in codes)


def _outcome(place: int, verdict: Verdict, items: Items) -> Outcome:
    if verdict.reason:
        where, says = _SAYS[verdict.reason]
        path = [place if it is None else it for it in where]
        at = InvalidField.at(path, says).pointer if items.pointers else None
        return Outcome(
            index=place, status="rejected", reason=verdict.reason, pointer=at, detail=says
        )
    if verdict.code == DISPOSED:
        return Outcome(index=place, status="disposed")
    return Outcome(index=place, status="stored" if verdict.stored else "duplicate")


def _rejected(index: int, reason: str, detail: str, *path: str | int) -> Outcome:
    at = InvalidField.at(("epochs", index, *path), detail).pointer
    return Outcome(index=index, status="rejected", reason=reason, pointer=at, detail=detail)


def _frames(sent: Sent, epochs: Sequence[NumberedEpoch]) -> Frames:
    count = len(epochs)
    seqs = np.array([it.seq for it in epochs], np.int64)
    run = sent.run
    told = (run.reason, run.voids, run.boot, run.tick_s, _utc_s(run))
    return Frames(
        stream=np.full(count, int(sent.stream, 16), np.uint64),
        first=seqs,
        run_seq=np.full(count, run.seq, np.int64),
        count=np.ones(count, np.int64),
        flags=np.zeros(count, np.uint8),
        run=np.array([told] * count, RUN),
        codes=codes_of(epochs),
        in_bed=np.array([it.in_bed for it in epochs], np.bool_),
    )


def _utc_s(run: NewRun) -> int:
    """Return a run's clock as frames have it; raise ProblemError 422 where they have none."""
    if run.start is None:
        return 0
    if run.start < FIRST or run.start.microsecond or run.start.timestamp() > _LAST_UTC_S:
        raise invalid(("body", "run", "start"), "whole seconds from 2000 to 2106 can be told")
    return int(run.start.timestamp())
