"""A device's epochs in physical units, on one time line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, Row, text

from noctis.epoch import EPOCH_SECONDS
from noctis.features import COUNT, NAMES, dequantise
from noctis.storage import devices
from noctis.storage.runs import signed, unsigned
from noctis.storage.views import SHIFTED

__all__ = ["Cursor", "Epoch", "Extent", "extent", "read"]

Cursor = tuple[datetime, int, int]
"""Where a page ends: (epoch_start, stream, seq) of its last epoch."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch of 30 s: its start (UTC) and how that is known, and its features by name.

    ``placement``: ``device``, ``corrected``, ``anchored`` or ``estimated``; ``values`` are in
    the units of ``noctis.features``, None = missing.
    """

    epoch_start: datetime
    placement: str
    stream: int
    seq: int
    in_bed: bool
    values: dict[str, float | None]

    @property
    def cursor(self) -> Cursor:
        """The page's end, if this is its last epoch."""
        return self.epoch_start, self.stream, self.seq


@dataclass(frozen=True, slots=True)
class Extent:
    """How many epochs there are, and the starts of the first and the last one."""

    count: int
    first: datetime | None
    last: datetime | None


_CODES: Final = ", ".join(f"e.{name}" for name in NAMES)
# Most epochs come straight from their table, in the order of its key; the few that the view
# places elsewhere are merged in. Behind a view that guards a tenant's rows PostgreSQL sorts the
# whole span before it cuts off a page. So the span is read from its begin in stretches: the
# first one holds the page where epochs are dense, and each that does not fill it is followed
# by a wider one. A page costs a page, however long the span is.
_OWNER: Final = "(SELECT id FROM owner)"
_READ: Final = text(f"""
WITH owner AS (
  SELECT d.id FROM devices d JOIN tenants t ON t.id = d.tenant_id
   WHERE t.name = :tenant AND d.name = :device
)
SELECT * FROM (
  (SELECT e.epoch_start, 'device' AS placement, e.stream, e.seq, e.in_bed, {_CODES}
     FROM epochs e
    WHERE e.device_id = {_OWNER} AND e.epoch_start >= :since AND e.epoch_start < :until
      AND (e.epoch_start, e.stream, e.seq) > (:epoch_start, :stream, :seq)
      AND (e.stream, e.run_seq) NOT IN (
            SELECT stream, run_seq FROM runs WHERE device_id = {_OWNER} AND {SHIFTED})
    ORDER BY e.epoch_start, e.stream, e.seq LIMIT :limit)
  UNION ALL
  (SELECT e.epoch_start, e.placement, e.stream, e.seq, e.in_bed, {_CODES}
     FROM epoch_timeline e
    WHERE e.device_id = {_OWNER} AND e.epoch_start >= :since AND e.epoch_start < :until
      AND (e.epoch_start, e.stream, e.seq) > (:epoch_start, :stream, :seq)
      AND e.placement <> 'device'
    ORDER BY e.epoch_start, e.stream, e.seq LIMIT :limit)
) page ORDER BY epoch_start, stream, seq LIMIT :limit
""")  # noqa: S608 - the names are the schema's
_EXTENT: Final = text("""
SELECT count(*), min(epoch_start), max(epoch_start)
  FROM epoch_timeline
 WHERE device_id = :device AND epoch_start >= :since AND epoch_start < :until
""")
_LOWEST: Final = -(1 << 63)
_DENSE: Final = timedelta(seconds=2 * EPOCH_SECONDS)
_WIDER: Final = 16


def read(
    tenant: str,
    connection: Connection,
    device: str,
    since: datetime,
    until: datetime,
    *,
    limit: int = 1000,
    after: Cursor | None = None,
    measured: bool = True,
) -> list[Epoch]:
    """Return up to ``limit`` epochs with since <= start < until, in order of their start.

    ``after``: continue behind the epoch of that cursor. ``measured``: with their features.
    Raise NotFoundError when the tenant has no such device.
    """
    place = after or (since, unsigned(_LOWEST), -1)
    rows: list[Row[Any]] = []
    begin, span = max(since, place[0]), _DENSE * limit
    while begin < until and len(rows) < limit:
        end = begin + min(until - begin, span)
        owner = {"tenant": tenant, "device": device, "limit": limit - len(rows)}
        rows += _between(connection, owner, (begin, end), place)
        begin, span = end, _WIDER * span
    if not rows:
        devices.get(tenant, connection, device)
    values = _values(rows) if measured else [{}] * len(rows)
    return [
        Epoch(start, placement, unsigned(stream), seq, in_bed, each)
        for (start, placement, stream, seq, in_bed, *_), each in zip(
            map(tuple, rows), values, strict=True
        )
    ]


def _values(rows: Sequence[Row[Any]]) -> list[dict[str, float | None]]:
    """Return the features of each row by their names."""
    codes = np.array([row[-COUNT:] for row in rows], np.int16).reshape(-1, COUNT)
    found = dequantise(codes)
    known = found.astype(object)
    known[np.isnan(found)] = None
    return [dict(zip(NAMES, row, strict=True)) for row in known.tolist()]


def _between(
    connection: Connection,
    owner: Mapping[str, object],
    ends: tuple[datetime, datetime],
    after: Cursor,
) -> Sequence[Row[Any]]:
    start, stream, seq = after
    return connection.execute(
        _READ,
        {
            **owner,
            "since": ends[0],
            "until": ends[1],
            "epoch_start": start,
            "stream": signed(stream),
            "seq": seq,
        },
    ).all()


def extent(
    tenant: str, connection: Connection, device: str, since: datetime, until: datetime
) -> Extent:
    """Return how many epochs of a device start in a span of time, and the ends of them."""
    key = devices.get(tenant, connection, device).id
    row = connection.execute(_EXTENT, {"device": key, "since": since, "until": until}).one()
    return Extent(*row)
