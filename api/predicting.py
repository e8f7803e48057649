"""Stages of what is stored, or of what a caller sends, as the live worker would tell them.

The same contexts, the same sessions, the same model: so the same numbers, to the last bit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from api.features import NewEpoch, codes_of
from api.problems import InvalidField, ProblemError
from inference.agenda import REACH, Job
from inference.context import Context, Moment, Rows, row_from_codes
from inference.questions import ask, load
from inference.stage import is_stageable
from noctis.epoch import EPOCH_SECONDS
from noctis.identity import Principal
from noctis.storage import devices, epochs
from noctis.storage.database import Connection

__all__ = ["MOST", "Asked", "at", "posted", "stored"]

MOST: Final = 1440
"""Epochs in a request: twelve hours."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """An epoch to be staged, with its session: None where there is nothing to say of it.

    ``start``, ``stream`` and ``seq`` are a stored epoch's.
    """

    index: int
    session: Rows | None
    start: datetime | None = None
    stream: int | None = None
    seq: int | None = None


def posted(rows: Sequence[NewEpoch | None], last: int | None = None) -> list[Asked]:
    """Return a caller's epochs, one each 30 s, oldest first; None: that one is missing.

    There is one of each epoch that is not missing, or of the ``last`` so many of them.
    """
    known = [(place, it) for place, it in enumerate(rows) if it is not None]
    codes = codes_of([epoch for _, epoch in known])
    begin = len(known) - min(last or len(known), len(known))
    context, asked = Context(), []
    for number, ((place, epoch), code) in enumerate(zip(known, codes, strict=True)):
        row = row_from_codes(code, epoch.in_bed)
        context.push(Moment(place, float(EPOCH_SECONDS * place)), row)
        if number >= begin:
            asked.append(Asked(place, context.session() if is_stageable(row) else None))
    return asked


def stored(
    who: Principal, connection: Connection, device: str, since: datetime, until: datetime
) -> list[Asked]:
    """Return a device's epochs with since <= start < until, by their start.

    Raises NotFoundError for a device that the tenant has not, ProblemError 422 for too many.
    """
    found = epochs.read(who.tenant, connection, device, since, until, limit=MOST + 1)
    if len(found) > MOST:
        detail = f"more than {MOST} epochs start in that span: ask for less at once"
        wrong = [InvalidField.at(("body", "until"), detail)]
        raise ProblemError(422, detail, kind="too-much", errors=wrong)
    key = devices.get(who.tenant, connection, device).id
    sessions: dict[tuple[int, int], Rows | None] = {}
    for stream in {it.stream for it in found}:
        context: Context | None = None
        for seqs in _jobs(sorted(it.seq for it in found if it.stream == stream)):
            loaded = load(connection, Job(key, stream, seqs), context)
            context = loaded.context
            sessions |= {(stream, each.seq): each.session for each in ask(loaded)}
    return [
        Asked(index, sessions.get((it.stream, it.seq)), it.epoch_start, it.stream, it.seq)
        for index, it in enumerate(found)
    ]


def at(who: Principal, connection: Connection, device: str, moment: datetime) -> list[Asked]:
    """Return the stored epoch in which a moment lies, if there is one."""
    least = timedelta(microseconds=1)
    since = moment - timedelta(seconds=EPOCH_SECONDS) + least
    return stored(who, connection, device, since, moment + least)[-1:]


def _jobs(seqs: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Cut rising numbers so that no part spans many."""
    begin = 0
    for end in range(1, len(seqs) + 1):
        if end == len(seqs) or seqs[end] - seqs[begin] >= REACH:
            yield tuple(seqs[begin:end])
            begin = end
