"""A device's epochs where their times are known, with the stage that people see of each.

The same places as in the view ``epoch_timeline``, less the epochs whose time is an estimate,
found by the keys of the tables: a stretch costs a stretch, however much is stored besides.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from noctis.epoch import EPOCH_SECONDS
from noctis.features import COUNT, NAMES
from noctis.storage.origins import LAST_SERVED, SERVED
from noctis.storage.views import SHIFTED

__all__ = ["ANCHOR", "NO_STAGE", "Codes", "Timeline", "codes", "moment", "read"]

NO_STAGE: Final = -1

ANCHOR: Final = """
  SELECT a.utc + a.shift - make_interval(secs => a.tick_s) AS boot_at
    FROM runs a
   WHERE a.device_id = r.device_id AND a.stream = r.stream AND a.boot = r.boot
     AND a.utc IS NOT NULL
   ORDER BY a.run_seq < r.run_seq, abs(a.run_seq - r.run_seq) LIMIT 1"""
"""The moment at which the boot of a run ``r`` without a clock began, as the view has it."""


def _placed(columns: str) -> str:
    """Return the query of a device's epochs with their places, and these columns of each."""
    return f"""
WITH placed AS (
  SELECT e.stream, e.seq, e.epoch_start AS start, {columns}, false AS is_moved
    FROM epochs e
   WHERE e.device_id = :device AND e.epoch_start >= :since AND e.epoch_start < :until
     AND (e.stream, e.run_seq) NOT IN (
           SELECT stream, run_seq FROM runs WHERE device_id = :device AND {SHIFTED})
  UNION ALL
  SELECT e.stream, e.seq, e.epoch_start + r.shift, {columns}, true
    FROM runs r
   CROSS JOIN LATERAL (
    SELECT * FROM epochs e
     WHERE e.device_id = r.device_id AND e.stream = r.stream AND e.run_seq = r.run_seq
       AND e.epoch_start >= CAST(:since AS timestamptz) - r.shift
       AND e.epoch_start < CAST(:until AS timestamptz) - r.shift
    OFFSET 0
   ) e
   WHERE r.device_id = :device AND r.{SHIFTED}
  UNION ALL
  SELECT e.stream, e.seq,
         r.first + make_interval(secs => {EPOCH_SECONDS} * (e.seq - r.run_seq - 1)),
         {columns}, true
    FROM (
      SELECT r.*, anchor.boot_at + make_interval(secs => r.tick_s) + r.shift AS first
        FROM runs r CROSS JOIN LATERAL ({ANCHOR}) anchor
       WHERE r.device_id = :device AND r.utc IS NULL
    ) r
   CROSS JOIN LATERAL (
    SELECT * FROM epochs_untimed e
     WHERE e.device_id = r.device_id AND e.stream = r.stream AND e.run_seq = r.run_seq
       AND e.seq > r.run_seq
       AND e.seq >= r.run_seq + 1 + ceil(
             extract(epoch FROM CAST(:since AS timestamptz) - r.first) / {EPOCH_SECONDS})
       AND e.seq < r.run_seq + 1 + ceil(
             extract(epoch FROM CAST(:until AS timestamptz) - r.first) / {EPOCH_SECONDS})
    OFFSET 0
   ) e
)"""  # noqa: S608 - every part is a constant of the schema


_READ: Final = text(f"""
{_placed("e.in_bed, e.received_at")}
SELECT extract(epoch FROM p.start)::float8, p.in_bed, coalesce(judged.stage, {NO_STAGE}),
       coalesce(judged.model_id, 0), extract(epoch FROM p.received_at)::float8, p.is_moved
  FROM placed p
  LEFT JOIN LATERAL (
    SELECT j.stage, j.model_id FROM predictions j
     WHERE j.device_id = :device AND j.stream = p.stream AND j.seq = p.seq AND {SERVED}
     ORDER BY {LAST_SERVED} LIMIT 1
  ) judged ON true
 ORDER BY p.start, p.stream, p.seq
""")  # noqa: S608 - every part is a constant of the schema
_CODES: Final = text(f"""
{_placed(", ".join(f"e.{name}" for name in (*NAMES, "in_bed")))}
SELECT extract(epoch FROM p.start)::float8, {", ".join(f"p.{name}" for name in NAMES)},
       p.in_bed::integer
  FROM placed p
 ORDER BY p.start, p.stream, p.seq
""")  # noqa: S608 - every part is a constant of the schema


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Epochs of one device in order of (start, stream, seq), n of them.

    ``start``, ``received``: int64 (n,), microseconds since 1970. ``in_bed``: bool (n,).
    ``stage``: int8 (n,), NO_STAGE without one. ``model``: int32 (n,), the surrogate key of the
    version whose stage it is, 0 without one. ``is_moved``: bool (n,), where another
    clock than the epoch's own tells its time.
    """

    start: NDArray[np.int64]
    in_bed: NDArray[np.bool_]
    stage: NDArray[np.int8]
    model: NDArray[np.int32]
    received: NDArray[np.int64]
    is_moved: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.start)


def read(connection: Connection, device_id: int, since: datetime, until: datetime) -> Timeline:
    """Return a device's epochs with since <= start < until."""
    rows = connection.execute(
        _READ, {"device": device_id, "since": since, "until": until}
    ).all()
    columns = np.array([tuple(row) for row in rows], np.float64).reshape(-1, 6).T
    return Timeline(
        np.rint(columns[0] * 1e6).astype(np.int64),
        columns[1].astype(np.bool_),
        columns[2].astype(np.int8),
        columns[3].astype(np.int32),
        np.rint(columns[4] * 1e6).astype(np.int64),
        columns[5].astype(np.bool_),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """What n epochs of a device hold, in the order of a ``Timeline``.

    ``start``: int64 (n,), microseconds since 1970. ``rows``: int16 (n, 16), the features' codes
    and whether somebody is in bed.
    """

    start: NDArray[np.int64]
    rows: NDArray[np.int16]


def codes(connection: Connection, device_id: int, since: datetime, until: datetime) -> Codes:
    """Return what a device's epochs with since <= start < until hold."""
    found = connection.execute(
        _CODES, {"device": device_id, "since": since, "until": until}
    ).all()
    table = np.array([tuple(row) for row in found], np.float64).reshape(-1, 2 + COUNT)
    start = np.rint(table[:, 0] * 1e6).astype(np.int64)
    return Codes(start, table[:, 1:].astype(np.int16))


def moment(microseconds: int) -> datetime:
    """Return the moment, UTC, so many microseconds after 1970."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
