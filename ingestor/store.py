"""Letters into the database: frames to rows, the rest to the dead letters, one commit."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from ingestor import metrics
from ingestor.batch import Outcome
from ingestor.bridge import Letter, Rejection, open_letters
from noctis.ack import DISPOSED, REFUSED
from noctis.identity import DeviceId
from noctis.storage import dead_letters
from noctis.storage.admission import KEPT
from noctis.storage.database import Connection, Database
from noctis.storage.ingest import Received, Verdict, ingest

__all__ = ["DatabaseStore"]

_DETAIL: Final = 500
_PUT_ASIDE: Final = 10
"""Dead letters of a device in one transaction; a flood of them must not slow the others."""


_NOTHING: Final = Verdict(REFUSED)


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of a letter: at least one of outcome and rejection is there."""

    outcome: Outcome | None = None
    verdict: Verdict = _NOTHING
    rejection: Rejection | None = None


class DatabaseStore:
    """Stores letters in the platform's database."""

    def __init__(self, database: Database, *, kept: timedelta = KEPT) -> None:
        self._database = database
        self._kept = kept

    async def commit(self, letters: Sequence[Letter]) -> Sequence[Outcome | None]:
        """Store letters in one transaction; return what became of each.

        What cannot be stored goes to the dead letters in the same transaction.
        """
        done = await self._database.call(lambda it: _store(it, letters, self._kept))
        _count(done)
        return [it.outcome for it in done]

    async def condemn(self, letter: Letter, error: Exception) -> Outcome | None:
        """Put a letter aside that makes the transaction fail; its device keeps its epochs."""
        rejection = Rejection("poison", repr(error)[:_DETAIL])
        await self._database.call(lambda it: _put_aside(it, letter, rejection))
        metrics.DEAD_LETTERS.labels(rejection.reason).inc()
        [opened] = open_letters([letter])
        if isinstance(opened, Rejection):
            return None
        return _outcome(opened, Verdict(REFUSED))


def _store(connection: Connection, letters: Sequence[Letter], kept: timedelta) -> list[_Done]:
    opened = open_letters(letters)
    frames = [it for it in opened if isinstance(it, Received)]
    verdicts = iter(ingest(connection, frames, kept=kept))
    done = []
    put_aside = Counter[DeviceId | None]()
    for letter, content in zip(letters, opened, strict=True):
        if isinstance(content, Rejection):
            one = _Done(rejection=content)
        else:
            verdict = next(verdicts)
            rejection = Rejection(verdict.reason, "") if verdict.reason else None
            one = _Done(_outcome(content, verdict), verdict, rejection)
        if one.rejection is not None:
            put_aside[letter.device] += 1
            if put_aside[letter.device] <= _PUT_ASIDE:
                _put_aside(connection, letter, one.rejection)
        done.append(one)
    return done


def _put_aside(connection: Connection, letter: Letter, rejection: Rejection) -> None:
    device = letter.device
    dead_letters.put(
        "" if device is None else device.tenant,
        connection,
        "" if device is None else device.device,
        topic=letter.topic.replace("\0", "\N{REPLACEMENT CHARACTER}"),  # no text in SQL
        reason=rejection.reason,
        detail=rejection.detail,
        payload=letter.payload,
    )


def _count(done: Sequence[_Done]) -> None:
    """Count what was committed, once it is."""
    metrics.ROWS.inc(sum(it.verdict.stored for it in done))
    metrics.DUPLICATES.inc(sum(it.verdict.duplicate for it in done))
    metrics.CONFLICTS.inc(sum(it.verdict.conflict for it in done))
    for one in done:
        if one.verdict.code == DISPOSED and one.outcome is not None:
            metrics.DISPOSED.inc(one.outcome.count)
        if one.rejection is not None:
            metrics.DEAD_LETTERS.labels(one.rejection.reason).inc()


def _outcome(received: Received, verdict: Verdict) -> Outcome:
    frame = received.frame
    return Outcome(received.device, frame.stream, frame.first, frame.count, verdict.code)
