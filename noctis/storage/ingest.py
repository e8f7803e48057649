"""Store a batch of frames, each epoch exactly once, and say what became of every frame."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Table, text

from noctis.ack import DISPOSED, REFUSED, STORED
from noctis.storage import rollup_notes
from noctis.storage.admission import KEPT, REASONS, Admission, Batch, Received, admit
from noctis.storage.arrays import array
from noctis.storage.facts import EPOCH_US
from noctis.storage.models import epochs, epochs_untimed
from noctis.storage.packing import ROW
from noctis.storage.rollup_notes import Span
from noctis.storage.rows import conflicting, insert
from noctis.storage.runs import microseconds

__all__ = ["LATE", "Batch", "Received", "Verdict", "ingest"]

# Older epochs than this are settled from the outbox, younger ones by a look at recent hours;
# and the hours of older ones are noted for the rollup, which waits that long for the others.
LATE: Final = timedelta(hours=1)


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
    received: Batch | Sequence[Received],
    *,
    now: datetime | None = None,
    kept: timedelta = KEPT,
) -> list[Verdict]:
    """Store the frames of many devices and return a verdict for each; the caller commits.

    ``now`` is the moment of receipt; epochs of tenants without a word of their own stay for
    ``kept``. The same frame may come again, here or to another ingestor at the same time: its
    epochs stay stored once.
    """
    if not received:
        return []
    batch = received if isinstance(received, Batch) else Batch.of(received)
    moment = now or datetime.now(UTC)
    admission = admit(connection, batch, moment, kept=kept)
    stored, conflict = _store(connection, batch, admission, moment)
    if not stored.any():
        _await_standbys(connection)
    late = (stored > 0) & _starts_late(batch, admission, moment)
    _note_late(connection, batch, admission, (stored > 0) & batch.backlog | late, moment)
    rollup_notes.note(connection, _spans(batch, admission, late))
    figures = (batch.frames.count, stored, conflict, admission.refused, admission.disposed)
    return [_verdict(*row) for row in zip(*(it.tolist() for it in figures), strict=True)]


def _store(
    connection: Connection, batch: Batch, admission: Admission, now: datetime
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Store what is admitted; return of each frame how many epochs were new, and conflict."""
    size = len(batch.frames)
    distinct, repeats, differing = _deduplicate(_expand(batch, admission, now))
    timed, backlog = admission.timed[distinct["frame"]], batch.backlog[distinct["frame"]]
    stored = np.zeros(size, np.int64)
    conflict = np.bincount(repeats["frame"][differing], minlength=size)
    for table, part, may_repeat in (
        (epochs, timed & ~backlog, False),
        (epochs, timed & backlog, True),
        (epochs_untimed, ~timed, True),
    ):
        new, wrong = _write(connection, table, distinct[part], may_repeat=may_repeat)
        stored += np.bincount(new["frame"], minlength=size)
        conflict += np.bincount(wrong["frame"], minlength=size)
    return stored, conflict


def _await_standbys(connection: Connection) -> None:
    """Have the commit wait for synchronous standbys, although nothing is written.

    What was found may be of a commit whose wait was cut short: then it stands here and on no
    standby. Whatever is written now comes after it in the log.
    """
    connection.execute(
        text(
            "SELECT pg_logical_emit_message(true, 'noctis', '') "
            "WHERE current_setting('synchronous_standby_names') <> ''"
        )
    )


@lru_cache(maxsize=1024)
def _verdict(total: int, stored: int, conflict: int, refused: int, disposed: int) -> Verdict:
    """Return what became of a frame; the same object for the same figures, which are few."""
    if disposed:
        return Verdict(DISPOSED)
    if refused:
        return Verdict(REFUSED, reason=REASONS[refused])
    duplicate = total - stored - conflict
    if conflict:
        return Verdict(REFUSED, stored, duplicate, conflict, "conflict")
    return Verdict(STORED, stored, duplicate)


def _expand(batch: Batch, admission: Admission, now: datetime) -> NDArray[np.void]:
    """Return one row for each epoch that is admitted, in order of arrival."""
    frames = batch.frames
    frame = frames.epoch_frame
    taken = admission.accepted[frame]
    frame = frame[taken]
    rows = np.empty(len(frame), ROW)
    rows["frame"] = frame
    rows["tenant_id"] = admission.tenant_id[frame]
    rows["device_id"] = admission.device_id[frame]
    rows["stream"] = frames.stream.view(np.int64)[frame]
    rows["run_seq"] = frames.run_seq[frame]
    rows["seq"] = frames.seq[taken]
    base = np.where(admission.timed, admission.utc, 0)
    rows["epoch_start"] = base[frame] + EPOCH_US * (rows["seq"] - rows["run_seq"] - 1)
    rows["codes"] = frames.codes[taken]
    rows["in_bed"] = frames.in_bed[taken]
    rows["received_at"] = microseconds(now)
    return rows


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
    if not same.any():
        return ordered, ordered[:0], same[:0]
    first = ordered[np.maximum.accumulate(np.where(same, 0, np.arange(len(rows))))]
    differ = (
        (ordered["run_seq"] != first["run_seq"])
        | (ordered["in_bed"] != first["in_bed"])
        | (ordered["codes"] != first["codes"]).any(axis=1)
    )
    return ordered[~same], ordered[same], differ[same]


def _write(
    connection: Connection, table: Table, rows: NDArray[np.void], *, may_repeat: bool
) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Write rows; return those that were new, and those stored with another payload."""
    if not len(rows):
        return rows, rows
    new = insert(connection, table, rows, may_repeat=may_repeat)
    old = rows[~new]
    return rows[new], old[conflicting(connection, table, old)] if len(old) else old


def _starts_late(batch: Batch, admission: Admission, now: datetime) -> NDArray[np.bool_]:
    """Tell which frames begin before the hours that are looked at anyway."""
    return admission.timed & (_first_start(batch, admission) < microseconds(now - LATE))


def _first_start(batch: Batch, admission: Admission) -> NDArray[np.int64]:
    """Return the start of each frame's first epoch, in microseconds since 1970."""
    return admission.utc + EPOCH_US * (batch.frames.first - batch.frames.run_seq - 1)


def _note_late(
    connection: Connection,
    batch: Batch,
    admission: Admission,
    which: NDArray[np.bool_],
    now: datetime,
) -> None:
    """Leave a note for the settler where new epochs lie outside the hours it looks at."""
    if not which.any():
        return
    frames = batch.frames
    connection.execute(
        text(
            "INSERT INTO outbox (device_id, stream, run_seq, first_seq, last_seq, created_at) "
            "SELECT *, :now FROM unnest(CAST(:devices AS integer[]), "
            "CAST(:streams AS bigint[]), CAST(:runs AS bigint[]), CAST(:firsts AS bigint[]), "
            "CAST(:lasts AS bigint[]))"
        ),
        {
            "now": now,
            "devices": array(admission.device_id[which], "integer"),
            "streams": array(frames.stream.view(np.int64)[which], "bigint"),
            "runs": array(frames.run_seq[which], "bigint"),
            "firsts": array(frames.first[which], "bigint"),
            "lasts": array(frames.last[which], "bigint"),
        },
    )


def _spans(batch: Batch, admission: Admission, which: NDArray[np.bool_]) -> Iterable[Span]:
    """Return where new epochs lie in hours that may be rolled up already."""
    first = _first_start(batch, admission)[which]
    last = first + EPOCH_US * (batch.frames.count[which] - 1)
    columns = (admission.device_id[which], first, last)
    return zip(*(it.tolist() for it in columns), strict=True)
