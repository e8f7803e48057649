"""Everything that is stored of a device's epochs, page by page, in memory that is bounded.

Each page is a transaction of its own and continues behind the last key, so an export of any
length holds no snapshot and no lock. Keys never change: what was stored when the export began
is in it once; what arrives meanwhile may be.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray
from psycopg import sql
from sqlalchemy import Engine, select, text

from noctis.features import NAMES
from noctis.storage import devices
from noctis.storage.arrays import POSTGRES_EPOCH_US
from noctis.storage.copying import copied
from noctis.storage.engine import transaction
from noctis.storage.models import models
from noctis.storage.origins import LAST_SERVED, SERVED

__all__ = ["PLACEMENTS", "Judged", "Page", "pages"]

PLACEMENTS: Final = ("device", "corrected", "anchored", "estimated")
"""How an epoch's start is known, as the view ``epoch_timeline`` has it."""

PAGE_SECONDS: Final = 60.0
BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
END: Final = datetime(9999, 1, 1, tzinfo=UTC)
_LOWEST: Final = -(1 << 63)


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What people see of an epoch, n of them: the stage of the version that served it last.

    ``stage``: int (n,), -1 where there is none; ``probabilities``: float (n, 4) in the order of
    ``noctis.stages.Stage``, NaN where there are none; ``model``: ``name@version``, empty where
    none served the epoch.
    """

    stage: NDArray[np.int16]
    probabilities: NDArray[np.float32]
    model: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """Stored epochs of one device, n of them; every array has shape (n,), ``codes`` (n, 15).

    ``placement`` are indices into ``PLACEMENTS``; ``epoch_start``, cut to whole seconds, and
    ``received_at``, in microseconds, are UTC; ``codes`` are as the device sent them.
    """

    device: str
    stream: NDArray[np.uint64]
    seq: NDArray[np.int64]
    run_seq: NDArray[np.int64]
    epoch_start: NDArray[np.datetime64]
    placement: NDArray[np.int16]
    in_bed: NDArray[np.bool_]
    codes: NDArray[np.int16]
    received_at: NDArray[np.datetime64]
    judged: Judged | None

    def __len__(self) -> int:
        return len(self.seq)


def pages(
    tenant: str,
    engine: Engine,
    device: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    stages: bool = False,
    size: int = 8192,
) -> Iterator[Page]:
    """Yield all stored epochs of a tenant's device, at most ``size`` a page.

    First those whose run has a clock, by the start that it gives them, then those without, by
    stream and seq; only since <= start < until, wherever the start comes from. ``stages``: with
    what models said. Raise NotFoundError when the tenant has no such device.
    """
    with transaction(engine, PAGE_SECONDS) as connection:
        key = devices.get(tenant, connection, device).id
        names = {row.id: row.model for row in connection.execute(_MODELS)}
        back, ahead = connection.execute(_SHIFTS, {"device": key}).one()
    first, end = since or BEGINNING, until or END
    selected = {
        "device": key,
        "first": first - ahead,
        "end": end - back,
        "models": list(names),
    }
    fields = {**_FIELDS, **(_JUDGED if stages else {})}
    found = chain(
        _scan(engine, _query(_TIMED, stages=stages), fields, selected, size),
        _scan(engine, _query(_UNTIMED, stages=stages), fields, selected, size),
    )
    for rows in found:
        starts = rows["placed"]
        inside = rows[(starts >= _microseconds(first)) & (starts < _microseconds(end))]
        if len(inside):
            yield _page(f"{tenant}/{device}", inside, names if stages else None)


_MODELS: Final = select(models.c.id, (models.c.name + "@" + models.c.version).label("model"))
_SHIFTS: Final = text("""
SELECT least(min(shift), '0'), greatest(max(shift), '0')
  FROM runs WHERE device_id = :device AND shift <> '0'::interval
""")
_CODES: Final = ", ".join(f"e.{name}" for name in NAMES)
# The epochs come in the order of their table's key; a shift moves them in the answer alone.
_TIMED: Final = f"""
SELECT e.epoch_start AS key, e.stream, e.seq, e.run_seq,
       e.epoch_start + coalesce(r.shift, '0') AS placed,
       CASE WHEN r.shift IS NULL THEN 0 ELSE 1 END::smallint AS placement,
       e.in_bed, {_CODES}, e.received_at, e.device_id
  FROM (SELECT * FROM epochs e
         WHERE e.device_id = %(device)s
           AND e.epoch_start >= greatest(%(first)s::timestamptz, %(key)s::timestamptz)
           AND e.epoch_start < %(end)s
           AND (e.epoch_start, e.stream, e.seq) > (%(key)s, %(stream)s, %(seq)s)
         ORDER BY e.epoch_start, e.stream, e.seq LIMIT %(size)s) e
  LEFT JOIN runs r ON r.device_id = e.device_id AND r.stream = e.stream
                  AND r.run_seq = e.run_seq AND r.shift <> '0'::interval
"""  # noqa: S608 - the names are the schema's
_UNTIMED: Final = f"""
SELECT %(key)s::timestamptz AS key, e.stream, e.seq, e.run_seq,
       coalesce(t.epoch_start, e.received_at) AS placed,
       CASE t.placement WHEN 'anchored' THEN 2 ELSE 3 END::smallint AS placement,
       e.in_bed, {_CODES}, e.received_at, e.device_id
  FROM (SELECT * FROM epochs_untimed e
         WHERE e.device_id = %(device)s AND (e.stream, e.seq) > (%(stream)s, %(seq)s)
         ORDER BY e.stream, e.seq LIMIT %(size)s) e
  LEFT JOIN epoch_timeline t
         ON t.device_id = %(device)s AND t.stream = e.stream AND t.seq = e.seq
        AND t.placement IN ('anchored', 'estimated')
"""  # noqa: S608 - the names are the schema's
_BARE: Final = "SELECT {columns} FROM ({epochs}) e ORDER BY e.key, e.stream, e.seq"
_WITH_STAGES: Final = f"""
SELECT {{columns}}, coalesce(p.stage, -1)::smallint, coalesce(p.p_wake, 'NaN'),
       coalesce(p.p_light, 'NaN'), coalesce(p.p_deep, 'NaN'), coalesce(p.p_rem, 'NaN'),
       coalesce(p.model_id, -1)
  FROM ({{epochs}}) e
  LEFT JOIN LATERAL (
    SELECT * FROM predictions p
     WHERE p.device_id = e.device_id AND p.stream = e.stream AND p.seq = e.seq
       AND p.model_id = ANY(%(models)s) AND {SERVED}
     ORDER BY {LAST_SERVED} LIMIT 1
  ) p ON true
 ORDER BY e.key, e.stream, e.seq
"""  # noqa: S608 - every part is a constant of the schema
_FIELDS: Final = {
    "key": ">i8",
    "stream": ">i8",
    "seq": ">i8",
    "run_seq": ">i8",
    "placed": ">i8",
    "placement": ">i2",
    "in_bed": "?",
    **dict.fromkeys(NAMES, ">i2"),
    "received_at": ">i8",
}
_CHANCES: Final = ("p_wake", "p_light", "p_deep", "p_rem")
_JUDGED: Final = {"stage": ">i2", **dict.fromkeys(_CHANCES, ">f4"), "model_id": ">i4"}


def _query(epochs: str, *, stages: bool) -> sql.Composable:
    columns = sql.SQL(", ").join(sql.Identifier("e", name) for name in _FIELDS)
    frame = sql.SQL(_WITH_STAGES if stages else _BARE)
    return frame.format(columns=columns, epochs=sql.SQL(epochs))


def _scan(
    engine: Engine,
    query: sql.Composable,
    fields: Mapping[str, str],
    selected: Mapping[str, object],
    size: int,
) -> Iterator[NDArray[np.void]]:
    """Yield the rows of one table, a transaction a page."""
    after = {"size": size, "key": BEGINNING, "stream": _LOWEST, "seq": -1}
    while True:
        with transaction(engine, PAGE_SECONDS) as connection:
            rows = copied(connection, query, {**selected, **after}, fields)
        yield rows
        if len(rows) < size:
            return
        last = rows[-1]
        after |= {
            "key": BEGINNING + timedelta(microseconds=int(last["key"])),
            "stream": int(last["stream"]),
            "seq": int(last["seq"]),
        }


def _microseconds(moment: datetime) -> int:
    """Return a moment as PostgreSQL counts: since 2000."""
    return (moment - BEGINNING) // timedelta(microseconds=1)


def _moments(microseconds: NDArray[np.int64]) -> NDArray[np.datetime64]:
    return (microseconds.astype(np.int64) + POSTGRES_EPOCH_US).view("datetime64[us]")


def _page(device: str, rows: NDArray[np.void], models: Mapping[int, str] | None) -> Page:
    return Page(
        device=device,
        stream=rows["stream"].astype(np.int64).view(np.uint64),
        seq=rows["seq"].astype(np.int64),
        run_seq=rows["run_seq"].astype(np.int64),
        epoch_start=_moments(rows["placed"]).astype("datetime64[s]"),
        placement=rows["placement"].astype(np.int16),
        in_bed=rows["in_bed"].astype(np.bool_),
        codes=np.stack([rows[name].astype(np.int16) for name in NAMES], axis=1),
        received_at=_moments(rows["received_at"]),
        judged=None if models is None else _judged(rows, models),
    )


def _judged(rows: NDArray[np.void], models: Mapping[int, str]) -> Judged:
    return Judged(
        rows["stage"].astype(np.int16),
        np.stack([rows[name].astype(np.float32) for name in _CHANCES], axis=1),
        [models.get(number, "") for number in rows["model_id"].tolist()],
    )
