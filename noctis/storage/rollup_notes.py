"""Notes of hours whose epochs changed behind the rollup's back, and what to do about them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from noctis.storage.arrays import array

__all__ = ["AT_ONCE", "HOUR", "Note", "Plan", "Span", "note", "plan", "settle", "waiting"]

HOUR: Final = timedelta(hours=1)
HOUR_US: Final = 3_600_000_000
POSTGRES_EPOCH_US: Final = 946_684_800_000_000  # 2000-01-01, where PostgreSQL counts from
AT_ONCE: Final = 5000

_NOTE: Final = text("""
INSERT INTO rollup_notes (device_id, since, until)
SELECT * FROM unnest(CAST(:devices AS integer[]), CAST(:since AS timestamptz[]),
                     CAST(:until AS timestamptz[]))
""")
_WAITING: Final = text(
    "SELECT id, device_id, since, until FROM rollup_notes ORDER BY id LIMIT :limit"
)
_FORGET: Final = text("DELETE FROM rollup_notes WHERE id = ANY(CAST(:ids AS bigint[]))")

Span = tuple[int, int, int]
"""A device's key, and the starts of the first and the last epoch that changed, in
microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Note:
    """Whole hours of a device, since <= hour < until, that are to be rolled up again."""

    id: int
    device_id: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """A step's work: spans to roll up that do not overlap, and what it makes of the notes.

    ``spans`` are (key, since, until); ``done`` are the ids of the notes that go, ``rest`` is
    what of them is left for another step.
    """

    spans: list[tuple[int, datetime, datetime]]
    done: list[int]
    rest: list[Note]


def note(connection: Connection, spans: Iterable[Span]) -> None:
    """Note that epochs of these spans were stored, changed or taken away.

    In the transaction that does it: who sees the note, sees the change. Rows are only added,
    so that no two writers wait for each other.
    """
    hours = _merged(spans)
    if not hours:
        return
    keys, since, until = zip(*hours, strict=True)
    connection.execute(
        _NOTE,
        {
            "devices": array(keys, "integer"),
            "since": array([at * HOUR_US - POSTGRES_EPOCH_US for at in since], "timestamptz"),
            "until": array([at * HOUR_US - POSTGRES_EPOCH_US for at in until], "timestamptz"),
        },
    )


def _merged(spans: Iterable[Span]) -> list[tuple[int, int, int]]:
    """Return spans as hours since 1970, [since, until), those of a device that touch as one."""
    merged: list[tuple[int, int, int]] = []
    for key, first, last in sorted(spans):
        since, until = first // HOUR_US, last // HOUR_US + 1
        if merged and merged[-1][0] == key and since <= merged[-1][2]:
            _, begin, end = merged.pop()
            since, until = begin, max(end, until)
        merged.append((key, since, until))
    return merged


def waiting(connection: Connection, *, limit: int = AT_ONCE) -> list[Note]:
    """Return the oldest notes."""
    return [Note(*row) for row in connection.execute(_WAITING, {"limit": limit})]


def plan(notes: Sequence[Note], *, hours: int, by_device: bool) -> Plan:
    """Return a step of at most so many hours to roll up.

    ``by_device``: hours of different devices are rolled up one by one; otherwise an hour is
    rolled up for all devices at once, and the spans' key is 0.
    """
    made = Plan([], [], [])
    left = hours * HOUR
    keyed = sorted((it.device_id if by_device else 0, it.since, it.id, it) for it in notes)
    for key, since, _, it in keyed:
        joins = bool(made.spans) and made.spans[-1][0] == key and since <= made.spans[-1][2]
        begin = max(since, made.spans[-1][2]) if joins else since
        end = max(begin, min(it.until, begin + left))
        if end == begin < it.until:
            continue  # nothing of it fits in any more
        left -= end - begin
        if joins:
            made.spans[-1] = (key, made.spans[-1][1], end)
        else:
            made.spans.append((key, since, end))
        made.done.append(it.id)
        if end < it.until:
            made.rest.append(Note(it.id, it.device_id, end, it.until))
    return made


def settle(connection: Connection, made: Plan) -> None:
    """Delete the notes of a step that is done, and note again what of them it left."""
    if made.done:
        connection.execute(_FORGET, {"ids": array(made.done, "bigint")})
    note(connection, [_span(it) for it in made.rest])


def _span(note: Note) -> Span:
    first, until = (int(moment.timestamp()) * 1_000_000 for moment in (note.since, note.until))
    return note.device_id, first, until - 1
