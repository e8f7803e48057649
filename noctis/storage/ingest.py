"""Store a batch of frames, each epoch exactly once, and say what became of every frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Table, text

from noctis.ack import DISPOSED, REFUSED, STORED
from noctis.epoch import EPOCH_SECONDS
from noctis.storage import rollup_notes
from noctis.storage.admission import KEPT, Accepted, Received, admit
from noctis.storage.arrays import array
from noctis.storage.models import epochs, epochs_untimed
from noctis.storage.rollup_notes import Span
from noctis.storage.rows import ROW, conflicting, insert
from noctis.storage.runs import signed

__all__ = ["LATE", "Received", "Verdict", "ingest"]

# Older epochs than this are settled from the outbox, younger ones by a look at recent hours;
# and the hours of older ones are noted for the rollup, which waits that long for the others.
LATE: Final = timedelta(hours=1)
EPOCH_US: Final = 1_000_000 * EPOCH_SECONDS


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a frame's epochs, to be acknowledged with ``code`` after the commit.

    ``stored`` are new, ``duplicate`` were stored before with the same payload, ``conflict``
    were stored before with another one, which stays. With the code ``DISPOSED`` nothing is
    stored, now or ever: the stream is closed, or the frame older than what its tenant keeps.
    ``reason`` of a refusal:
    ``unknown_device``, ``revoked_device``, ``foreign_stream``, ``run_differs`` (the RUN is not
    the one stored), ``run_inside`` (another run begins inside the frame), ``future``, or
    ``conflict`` (the rest of the frame is stored nevertheless); empty when all is well.
    """

    code: int
    stored: int = 0
    duplicate: int = 0
    conflict: int = 0
    reason: str = ""


def ingest(
    connection: Connection,
    received: Sequence[Received],
    *,
    now: datetime | None = None,
    kept: timedelta = KEPT,
) -> list[Verdict]:
    """Store the frames of many devices and return a verdict for each; the caller commits.

    ``now`` is the moment of receipt; epochs of tenants without a word of their own stay for
    ``kept``. The same frame may come again, here or to another
    ingestor at the same time: its epochs stay stored once.
    """
    if not received:
        return []
    moment = now or datetime.now(UTC)
    admitted = admit(connection, received, moment, kept=kept)
    accepted = admitted.accepted
    verdicts = {index: Verdict(REFUSED, reason=why) for index, why in admitted.refused.items()}
    verdicts |= dict.fromkeys(admitted.disposed, Verdict(DISPOSED))
    if accepted:
        verdicts |= _store(connection, accepted, moment)
        _note_late(connection, accepted, verdicts, moment)
        rollup_notes.note(connection, _late_spans(accepted, verdicts, moment))
    return [verdicts[index] for index in range(len(received))]


def _store(
    connection: Connection, accepted: Sequence[Accepted], now: datetime
) -> dict[int, Verdict]:
    rows = _expand(accepted, now)
    size = max(one.index for one in accepted) + 1
    total = np.bincount(rows["frame"], minlength=size)
    distinct, repeats, differing = _deduplicate(rows)
    untimed = np.isin(distinct["frame"], [one.index for one in accepted if one.utc is None])
    backlog = np.isin(distinct["frame"], [one.index for one in accepted if one.backlog])
    stored = np.zeros(size, np.int64)
    conflict = np.bincount(repeats["frame"][differing], minlength=size)
    for table, part, optimistic in (
        (epochs, ~untimed & ~backlog, True),
        (epochs, ~untimed & backlog, False),
        (epochs_untimed, untimed, False),
    ):
        new, wrong = _write(connection, table, distinct[part], optimistic=optimistic)
        stored += np.bincount(new["frame"], minlength=size)
        conflict += np.bincount(wrong["frame"], minlength=size)
    return {
        one.index: _verdict(
            int(total[one.index]), int(stored[one.index]), int(conflict[one.index])
        )
        for one in accepted
    }


def _verdict(total: int, stored: int, conflict: int) -> Verdict:
    duplicate = total - stored - conflict
    if conflict:
        return Verdict(REFUSED, stored, duplicate, conflict, "conflict")
    return Verdict(STORED, stored, duplicate)


def _expand(accepted: Sequence[Accepted], now: datetime) -> NDArray[np.void]:
    """Return one row for each epoch of the frames, in order of arrival."""
    counts = [one.frame.count for one in accepted]
    rows = np.empty(sum(counts), ROW)
    for name, values in (
        ("tenant_id", [one.device.tenant_id for one in accepted]),
        ("device_id", [one.device.id for one in accepted]),
        ("stream", [signed(one.frame.stream) for one in accepted]),
        ("run_seq", [one.frame.run_seq for one in accepted]),
        ("frame", [one.index for one in accepted]),
        ("epoch_start", [0 if one.utc is None else _microseconds(one.utc) for one in accepted]),
    ):
        rows[name] = np.repeat(np.array(values, np.int64), counts)
    rows["seq"] = np.concatenate([one.frame.seqs for one in accepted])
    rows["codes"] = np.concatenate([one.frame.codes for one in accepted])
    rows["in_bed"] = np.concatenate([one.frame.in_bed for one in accepted])
    rows["epoch_start"] += EPOCH_US * (rows["seq"] - rows["run_seq"] - 1)
    rows["received_at"] = _microseconds(now)
    return rows


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _deduplicate(
    rows: NDArray[np.void],
) -> tuple[NDArray[np.void], NDArray[np.void], NDArray[np.bool_]]:
    """Return the first row of each identity, sorted, the repeats, and which of these differ.

    In order of the key, so that two ingestors never wait for each other in a circle.
    """
    order = np.lexsort((rows["seq"], rows["stream"], rows["device_id"]))
    ordered = rows[order]
    same = np.zeros(len(rows), np.bool_)
    same[1:] = np.logical_and.reduce(
        [ordered[name][1:] == ordered[name][:-1] for name in ("device_id", "stream", "seq")]
    )
    first = ordered[np.maximum.accumulate(np.where(same, 0, np.arange(len(rows))))]
    differ = (
        (ordered["run_seq"] != first["run_seq"])
        | (ordered["in_bed"] != first["in_bed"])
        | (ordered["codes"] != first["codes"]).any(axis=1)
    )
    return ordered[~same], ordered[same], differ[same]


def _write(
    connection: Connection, table: Table, rows: NDArray[np.void], *, optimistic: bool
) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Write rows; return those that were new, and those stored with another payload."""
    if not len(rows):
        return rows, rows
    new = insert(connection, table, rows, optimistic=optimistic)
    old = rows[~new]
    return rows[new], old[conflicting(connection, table, old)] if len(old) else old


def _note_late(
    connection: Connection,
    accepted: Sequence[Accepted],
    verdicts: dict[int, Verdict],
    now: datetime,
) -> None:
    """Leave a note for the settler where new epochs lie outside the hours it looks at."""
    late = [one for one in accepted if verdicts[one.index].stored and _is_late(one, now)]
    if not late:
        return
    connection.execute(
        text(
            "INSERT INTO outbox (device_id, stream, run_seq, first_seq, last_seq, created_at) "
            "SELECT *, :now FROM unnest(CAST(:devices AS integer[]), "
            "CAST(:streams AS bigint[]), CAST(:runs AS bigint[]), CAST(:firsts AS bigint[]), "
            "CAST(:lasts AS bigint[]))"
        ),
        {
            "now": now,
            "devices": array([one.device.id for one in late], "integer"),
            "streams": array([signed(one.frame.stream) for one in late], "bigint"),
            "runs": array([one.frame.run_seq for one in late], "bigint"),
            "firsts": array([one.frame.first for one in late], "bigint"),
            "lasts": array([one.frame.first + one.frame.count - 1 for one in late], "bigint"),
        },
    )


def _late_spans(
    accepted: Sequence[Accepted], verdicts: dict[int, Verdict], now: datetime
) -> list[Span]:
    """Return where new epochs lie in hours that may be rolled up already."""
    edge = _microseconds(now - LATE)
    spans = []
    for one in accepted:
        if one.utc is not None and verdicts[one.index].stored:
            ahead = one.frame.first - one.frame.run_seq - 1
            first = _microseconds(one.utc) + EPOCH_US * ahead
            if first < edge:
                spans.append((one.device.id, first, first + EPOCH_US * (one.frame.count - 1)))
    return spans


def _is_late(one: Accepted, now: datetime) -> bool:
    if one.backlog or one.utc is None:
        return one.backlog
    first = EPOCH_SECONDS * (one.frame.first - one.frame.run_seq - 1)
    return one.utc + timedelta(seconds=first) < now - LATE
