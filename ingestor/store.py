"""Messages into the database: frames to rows, the rest to the dead letters, one commit."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import numpy as np
import structlog

from ingestor import metrics
from ingestor.batch import Outcome
from ingestor.bridge import Opened, Rejection, open_messages, sender_of
from noctis import ages, trace
from noctis.ack import DISPOSED, REFUSED, STORED
from noctis.frames import EPOCH_SECONDS
from noctis.identity import DeviceId
from noctis.mqtt import Message
from noctis.storage import dead_letters
from noctis.storage.admission import KEPT
from noctis.storage.database import Connection, Database
from noctis.storage.ingest import Verdict, ingest

__all__ = ["DatabaseStore", "told"]

_log = structlog.get_logger(__name__)

_DETAIL: Final = 500
_AGES: Final = 32
"""Live epochs of a batch whose age is looked at; a flood of them must not slow the others."""

_PUT_ASIDE: Final = 10
"""Dead letters of a device in one transaction; a flood of them must not slow the others."""


class _Done(NamedTuple):
    """What became of a batch: outcomes of all messages, verdicts on those that were frames."""

    opened: Opened
    outcomes: Sequence[Outcome | None]
    verdicts: Sequence[Verdict]
    rejections: Mapping[int, Rejection]


class DatabaseStore:
    """Stores messages in the platform's database."""

    def __init__(self, database: Database, *, kept: timedelta = KEPT) -> None:
        self._database = database
        self._kept = kept

    async def commit(self, messages: Sequence[Message]) -> Sequence[Outcome | None]:
        """Store messages in one transaction; return what became of each.

        What cannot be stored goes to the dead letters in the same transaction.
        """
        done = await self._database.call(lambda it: _store(it, messages, self._kept))
        _count(done)
        _trace(done)
        return done.outcomes

    async def condemn(self, message: Message, error: Exception) -> Outcome | None:
        """Put a message aside that makes the transaction fail; its device keeps its epochs."""
        rejection = Rejection("poison", repr(error)[:_DETAIL])
        await self._database.call(lambda it: _put_aside(it, message, rejection))
        metrics.DEAD_LETTERS.labels(rejection.reason).inc()
        opened = open_messages([message])
        refusals = [Verdict(REFUSED)] * len(opened.batch)
        return next(iter(told(opened, refusals)), None)


def told(opened: Opened, verdicts: Sequence[Verdict]) -> list[Outcome]:
    """Return what devices are told of their frames."""
    frames = opened.batch.frames
    columns = (frames.stream.tolist(), frames.first.tolist(), frames.count.tolist())
    return [
        Outcome(device, stream, first, count, verdict.code)
        for device, stream, first, count, verdict in zip(
            opened.batch.devices, *columns, verdicts, strict=True
        )
    ]


def _store(connection: Connection, messages: Sequence[Message], kept: timedelta) -> _Done:
    opened = open_messages(messages)
    verdicts = ingest(connection, opened.batch, kept=kept)
    rejections = dict(opened.rejections)
    for place, verdict in zip(opened.places, verdicts, strict=True):
        if verdict.reason:
            rejections[place] = Rejection(verdict.reason, "")
    _put_all_aside(connection, messages, rejections)
    outcomes: list[Outcome | None] = [None] * len(messages)
    for place, outcome in zip(opened.places, told(opened, verdicts), strict=True):
        outcomes[place] = outcome
    return _Done(opened, outcomes, verdicts, rejections)


def _put_all_aside(
    connection: Connection, messages: Sequence[Message], rejections: Mapping[int, Rejection]
) -> None:
    put_aside = Counter[DeviceId | None]()
    for n in sorted(rejections):
        device = sender_of(messages[n].topic).device
        put_aside[device] += 1
        if put_aside[device] <= _PUT_ASIDE:
            _put_aside(connection, messages[n], rejections[n])


def _put_aside(connection: Connection, message: Message, rejection: Rejection) -> None:
    device = sender_of(message.topic).device
    dead_letters.put(
        "" if device is None else device.tenant,
        connection,
        "" if device is None else device.device,
        topic=message.topic.replace("\0", "\N{REPLACEMENT CHARACTER}"),  # no text in SQL
        reason=rejection.reason,
        detail=rejection.detail,
        payload=message.payload,
    )


def _count(done: _Done) -> None:
    """Count what was committed, once it is."""
    metrics.ROWS.inc(sum(it.stored for it in done.verdicts))
    _count_repeats(sum(it.duplicate for it in done.verdicts))
    metrics.CONFLICTS.inc(sum(it.conflict for it in done.verdicts))
    metrics.DISPOSED.inc(
        sum(it.count for it in done.outcomes if it is not None and it.code == DISPOSED)
    )
    ages.observe(metrics.AGE_SECONDS, _live_ends_s(done))
    for reason, count in Counter(it.reason for it in done.rejections.values()).items():
        metrics.DEAD_LETTERS.labels(reason).inc(count)


def _count_repeats(count: int) -> None:
    """Count what was stored before: devices that go on repeating it do not hear of it."""
    if not count:
        return
    metrics.DUPLICATES.inc(count)
    _log.info("sent_again", epochs=count)


def _live_ends_s(done: _Done) -> Sequence[float]:
    """Return when some of the live epochs ended that were stored, where their devices knew."""
    frames, backlog = done.opened.batch.frames, done.opened.batch.backlog
    utc_s = frames.run["utc_s"]
    stored = np.array([it.code == STORED for it in done.verdicts], np.bool_)
    which = np.flatnonzero(stored & ~backlog & (utc_s != 0))
    some = which[:: max(1, -(-len(which) // _AGES))]
    ends: list[float] = (utc_s + EPOCH_SECONDS * (frames.last - frames.run_seq))[some].tolist()
    return ends


def _trace(done: _Done) -> None:
    frames = done.opened.batch.frames
    columns = (frames.stream.tolist(), frames.first.tolist(), frames.last.tolist())
    for device, stream, first, last, verdict in zip(
        done.opened.batch.devices, *columns, done.verdicts, strict=True
    ):
        if trace.is_followed(device):
            known = {"code": verdict.code, "duplicates": verdict.duplicate}
            told = {**known, "reason": verdict.reason} if verdict.reason else known
            trace.tell("epoch_committed", device, stream, range(first, last + 1), **told)
