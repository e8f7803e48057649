"""What a device made and the platform does not have, as far as the platform can know.

A seq is known if an epoch, a run or a void before a run has it. Between the lowest and the
highest known one of a stream every other seq is missing; beyond them the device's own status
says where its spool begins and ends. SPOOL.md, *What is lost, and who says so*.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, select, text

from noctis.storage import reports
from noctis.storage.commands import Range
from noctis.storage.devices import get as device_of
from noctis.storage.models import streams
from noctis.storage.runs import signed, unsigned

__all__ = ["Missing", "find", "stored"]

NEAR: Final = 280
"""Ranges closer than a sector of the spool are asked for as one."""

_KNOWN: Final = """
WITH known AS (
  SELECT seq AS first, seq AS last FROM epochs WHERE device_id = :device AND stream = :stream
  UNION ALL
  SELECT seq, seq FROM epochs_untimed WHERE device_id = :device AND stream = :stream
  UNION ALL
  SELECT run_seq - voids, run_seq FROM runs WHERE device_id = :device AND stream = :stream
)
"""
_ENDS: Final = text(
    f"{_KNOWN} SELECT min(first) AS lowest, max(last) AS highest FROM known"  # noqa: S608
)
_GAPS: Final = text(f"""
{_KNOWN}, ordered AS (
  SELECT first, max(last) OVER (
    ORDER BY first ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM known
)
SELECT before + 1 AS first, first - 1 AS last FROM ordered
 WHERE first > before + 1 ORDER BY 1
""")  # noqa: S608 - every part is a constant
_COUNT: Final = text("""
SELECT (SELECT count(*) FROM epochs WHERE device_id = :device AND stream = :stream
                                      AND seq BETWEEN :first AND :last)
     + (SELECT count(*) FROM epochs_untimed WHERE device_id = :device AND stream = :stream
                                              AND seq BETWEEN :first AND :last)
""")


@dataclass(frozen=True, slots=True)
class Missing:
    """Ranges that the device may still have, and seqs that its spool has overwritten.

    RUNs and voids among them are not known: the ranges are too long by these, never too short.
    """

    ranges: list[Range]
    overwritten: int


def find(tenant: str, connection: Connection, device: str) -> Missing:
    """Return what is missing of a device; raise NotFoundError for an unknown one.

    Of closed streams nothing is: the platform wants none of them.
    """
    key = device_of(tenant, connection, device).id
    ranges: list[Range] = []
    overwritten = 0
    current, oldest, end = _reported(tenant, connection, device)
    for stream in _streams(connection, key, current):
        gaps = _gaps(connection, key, stream)
        if stream == current:
            gaps += _beyond(connection, key, stream, oldest, end)
            overwritten = sum(_below(gap, oldest) for gap in gaps)
            gaps = [replace(g, first=max(g.first, oldest)) for g in gaps if g.last >= oldest]
        ranges += _merged(sorted(gaps, key=lambda gap: gap.first))
    return Missing(ranges, overwritten)


def stored(tenant: str, connection: Connection, device: str, ranges: Iterable[Range]) -> int:
    """Return how many epochs of these ranges are stored."""
    key = device_of(tenant, connection, device).id
    return sum(
        connection.scalar(
            _COUNT,
            {
                "device": key,
                "stream": signed(one.stream),
                "first": one.first,
                "last": one.last,
            },
        )
        or 0
        for one in ranges
    )


def _reported(tenant: str, connection: Connection, device: str) -> tuple[int | None, int, int]:
    """Return the stream that the device writes, and the ends of what its spool holds of it."""
    report = reports.last(tenant, connection, device)
    if report is None:
        return None, 0, 0
    status, _ = report
    return int(status.stream, 16), status.oldest_seq, status.next_seq


def _streams(connection: Connection, key: int, current: int | None) -> list[int]:
    """Return the open streams of a device: those bound to it, and the one that it writes."""
    rows = connection.execute(
        select(streams.c.stream, streams.c.closed_at)
        .where(streams.c.device_id == key)
        .order_by(streams.c.first_seen, streams.c.stream)
    ).all()
    found = [unsigned(row.stream) for row in rows if row.closed_at is None]
    if current is None or current in found:
        return found
    bound = select(streams.c.stream).where(streams.c.stream == signed(current))
    is_new = connection.scalar(bound) is None  # else it is closed, or another device's
    return [*found, current] if is_new else found


def _gaps(connection: Connection, key: int, stream: int) -> list[Range]:
    rows = connection.execute(_GAPS, {"device": key, "stream": signed(stream)})
    return [Range(stream, row.first, row.last) for row in rows]


def _beyond(
    connection: Connection, key: int, stream: int, oldest: int, end: int
) -> list[Range]:
    """Return what the spool holds below the lowest known seq, and above the highest."""
    row = connection.execute(_ENDS, {"device": key, "stream": signed(stream)}).one()
    if row.lowest is None:
        return [Range(stream, oldest, end - 1)] if oldest < end else []
    ends = (Range(stream, oldest, row.lowest - 1), Range(stream, row.highest + 1, end - 1))
    return [one for one in ends if one.first <= one.last]


def _below(gap: Range, oldest: int) -> int:
    return max(0, min(gap.last + 1, oldest) - gap.first)


def _merged(gaps: Iterable[Range]) -> list[Range]:
    merged: list[Range] = []
    for gap in gaps:
        if merged and gap.first - merged[-1].last <= NEAR:
            merged[-1] = Range(gap.stream, merged[-1].first, gap.last)
        else:
            merged.append(gap)
    return merged
