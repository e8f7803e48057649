"""A device's hours: how many epochs, and what heart, breath, movement and quality were.

Reading is exact whatever the job behind it has done so far: hours that it has not reached,
hours that are noted to be rolled up again, and hours in which epochs lie elsewhere on the time
line than their run's own clock says, are made of the epochs themselves.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from noctis.storage import devices
from noctis.storage.rollup_notes import HOUR
from noctis.storage.rollup_schema import COLUMNS, FIGURES, NAME, aggregates, hour_of
from noctis.storage.views import SHIFTED

__all__ = ["Figure", "Hour", "read"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of an hour over the epochs in bed that have it, in the feature's unit."""

    count: int
    mean: float | None
    minimum: float | None
    maximum: float | None


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour (UTC) of a device: its epochs, those in bed, and the latter's figures by name.

    The names are those of ``rollup_schema.FIGURES``.
    """

    hour: datetime
    epochs: int
    in_bed: int
    figures: dict[str, Figure]


_MARK: Final = "(SELECT coalesce(max(until), '-infinity') FROM jobs WHERE name = 'rollups')"
_PLACED: Final = f"""
  SELECT {hour_of("t.epoch_start")} AS hour FROM epoch_timeline t
   WHERE t.device_id = :device AND t.placement <> 'device'
     AND t.epoch_start >= :since AND t.epoch_start < :until
  UNION
  SELECT {hour_of("e.epoch_start")}
    FROM runs r
   CROSS JOIN LATERAL (
      SELECT e.epoch_start FROM epochs e
       WHERE e.device_id = r.device_id AND e.stream = r.stream AND e.run_seq = r.run_seq
         AND e.epoch_start >= greatest(r.utc, :since) AND e.epoch_start < :until
      OFFSET 0
    ) e
   WHERE r.device_id = :device AND r.{SHIFTED}
"""  # noqa: S608 - every part is a constant of the schema
# The stretches, in whole hours, that are made of the epochs themselves.
_DIRECT: Final = text(f"""
SELECT greatest(d.since, :since) AS since, least(d.until, :until) AS until
  FROM (
    SELECT since, until FROM rollup_notes WHERE device_id = :device
    UNION ALL
    SELECT {_MARK}, 'infinity'
    UNION ALL
    SELECT hour, hour + interval '1 hour' FROM ({_PLACED}) placed
  ) d
 WHERE d.until > :since AND d.since < :until
 ORDER BY 1
""")  # noqa: S608 - every part is a constant of the schema
_READ: Final = text(f"""
WITH direct AS (
  SELECT * FROM unnest(CAST(:begins AS timestamptz[]), CAST(:ends AS timestamptz[]))
             d(since, until)
)
SELECT {", ".join(f"h.{column}" for column in COLUMNS)}
  FROM {NAME} h
 WHERE h.device_id = :device AND h.hour >= :since AND h.hour < :until
   AND NOT EXISTS (SELECT FROM direct d WHERE h.hour >= d.since AND h.hour < d.until)
UNION ALL
SELECT found.*
  FROM direct d
 CROSS JOIN LATERAL (
    SELECT tenant_id, device_id, {hour_of("t.epoch_start")} AS hour,
           {aggregates()}
      FROM epoch_timeline t
     WHERE t.device_id = :device AND t.epoch_start >= d.since AND t.epoch_start < d.until
     GROUP BY tenant_id, device_id, {hour_of("t.epoch_start")}
  ) found
 ORDER BY hour
""")  # noqa: S608 - every part is a constant of the schema


def read(
    tenant: str, connection: Connection, device: str, since: datetime, until: datetime
) -> list[Hour]:
    """Return the hours with epochs that begin at or after ``since`` and before ``until``.

    Epochs count where the time line has them (see ``epochs.read``): timed ones by their run's
    clock and its correction, untimed ones where they are placed. Raise NotFoundError when the
    tenant has no such device.
    """
    values = {
        "device": devices.get(tenant, connection, device).id,
        "since": _whole_hour(since),
        "until": _whole_hour(until),
    }
    begins: list[datetime] = []
    ends: list[datetime] = []
    for begin, end in connection.execute(_DIRECT, values):
        if ends and begin <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            begins.append(begin)
            ends.append(end)
    rows = connection.execute(_READ, {**values, "begins": begins, "ends": ends})
    return [_hour(row) for row in rows]


def _whole_hour(moment: datetime) -> datetime:
    """Return the first whole hour that is not before a moment."""
    floor = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return floor if floor == moment else floor + HOUR


def _hour(row: Row[Any]) -> Hour:
    values = row._mapping  # noqa: SLF001 - SQLAlchemy's own name for a row by column
    figures = {
        figure: Figure(
            count := values[f"{figure}_count"],
            values[f"{figure}_sum"] / count if count else None,
            values[f"{figure}_min"],
            values[f"{figure}_max"],
        )
        for figure in FIGURES
    }
    return Hour(row.hour, row.epochs, row.in_bed, figures)
