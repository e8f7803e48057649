"""Stretches of stored epochs in the order they were made, as a model takes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from noctis.features import COUNT, NAMES
from noctis.storage.runs import signed

__all__ = ["TIMED", "UNTIMED", "Stretch", "context", "stretch"]

_RUNS_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Epochs of one stream of a device by rising ``seq``, n of them; gaps are possible.

    ``epoch_start``: UTC, None where the run has no clock. ``boot`` and ``tick_s`` (seconds
    since that boot at the epoch's start): int64 (n,). ``in_bed``: bool (n,). ``codes``: int16
    (n, 15), as the device sent them.
    """

    device_id: int
    stream: int
    seq: NDArray[np.int64]
    epoch_start: tuple[datetime | None, ...]
    boot: NDArray[np.int64]
    tick_s: NDArray[np.int64]
    in_bed: NDArray[np.bool_]
    codes: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.seq)


_COLUMNS: Final = (
    "e.seq, {start} AS epoch_start, r.boot, r.tick_s + 30 * (e.seq - r.run_seq - 1) AS tick_s, "
    "e.in_bed, " + ", ".join(f"e.{name}" for name in NAMES)
)
TIMED: Final = _COLUMNS.format(start="e.epoch_start")
"""What a stretch is made of, of ``epochs e`` and ``runs r``."""
UNTIMED: Final = _COLUMNS.format(start="NULL::timestamptz")
"""The same of ``epochs_untimed e``."""


def stretch(device_id: int, stream: int, rows: Sequence[Sequence[Any]]) -> Stretch:
    """Return a stretch from rows of ``TIMED``'s columns, sorted by seq."""
    numbers = np.array([tuple(row[2 : 5 + COUNT]) for row in rows], np.int64)
    numbers = numbers.reshape(-1, 3 + COUNT)
    return Stretch(
        device_id,
        stream,
        np.array([row[0] for row in rows], np.int64),
        tuple(row[1] for row in rows),
        numbers[:, 0],
        numbers[:, 1],
        numbers[:, 2].astype(np.bool_),
        numbers[:, 3:].astype(np.int16),
    )


# A run's epochs lie where its clock puts them, so the key (device, epoch_start, ...) finds
# them without an index by seq.
_CONTEXT: Final = text(f"""
WITH r AS (
  SELECT run_seq, utc, boot, tick_s, coalesce(
           lead(run_seq) OVER (ORDER BY run_seq), CAST(:before AS bigint)) AS stop
    FROM (SELECT * FROM runs
           WHERE device_id = :device AND stream = :stream AND run_seq < :before
           ORDER BY run_seq DESC LIMIT :runs) latest
)
SELECT r.run_seq, found.* FROM r LEFT JOIN LATERAL (
  (SELECT {TIMED} FROM epochs e
    WHERE r.utc IS NOT NULL AND e.device_id = :device AND e.stream = :stream
      AND e.epoch_start >= r.utc AND e.run_seq = r.run_seq
      AND e.epoch_start < r.utc + make_interval(secs => 30 * (r.stop - r.run_seq - 1))
    ORDER BY e.epoch_start DESC LIMIT :count)
  UNION ALL
  (SELECT {UNTIMED} FROM epochs_untimed e
    WHERE r.utc IS NULL AND e.device_id = :device AND e.stream = :stream
      AND e.seq > r.run_seq AND e.seq < r.stop AND e.run_seq = r.run_seq
    ORDER BY e.seq DESC LIMIT :count)
) found ON true
 ORDER BY r.run_seq DESC, found.seq DESC
""")  # noqa: S608 - every part is a constant of the schema


def context(
    connection: Connection, device_id: int, stream: int, before_seq: int, n: int
) -> Stretch:
    """Return the last ``n`` stored epochs of a stream before ``before_seq``, oldest first."""
    rows: list[Sequence[Any]] = []
    before = before_seq
    while len(rows) < n:
        found = connection.execute(
            _CONTEXT,
            {
                "device": device_id,
                "stream": signed(stream),
                "before": before,
                "count": n,
                "runs": _RUNS_AT_ONCE,
            },
        ).all()
        rows += [row[1:] for row in found if row.seq is not None]
        runs = {row.run_seq for row in found}
        if len(runs) < _RUNS_AT_ONCE:
            break
        before = min(runs)
    return stretch(device_id, stream, rows[:n][::-1])
