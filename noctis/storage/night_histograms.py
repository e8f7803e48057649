"""Histograms of the nights' codes, made once for each revision of a recording.

So nothing that looks at many nights reads their epochs again.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import numpy as np
from sqlalchemy import Connection, Row, text

from noctis.features import COUNT, NAMES
from noctis.histograms import SIZE, NightSummary, count
from noctis.identity import DeviceId
from noctis.stages import COUNT as STAGES
from noctis.storage import devices
from noctis.storage.origins import LAST_SERVED, SERVED
from noctis.storage.tenants import id_of
from noctis.storage.views import SHIFTED
from noctis.topics import shard_of

__all__ = ["Waiting", "forget", "last_evening", "make", "read", "waiting", "waiting_of"]

_DTYPE: Final = np.dtype("<u2")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A closed recording whose histogram is not made, or is of an earlier revision."""

    recording_id: UUID
    device_id: int
    device: DeviceId
    revision: int
    started_at: datetime
    ended_at: datetime


_WAITING: Final = """
SELECT r.id AS recording_id, d.id AS device_id, t.name AS tenant, d.name AS device,
       r.revision, r.started_at, r.ended_at
  FROM recordings r
  JOIN devices d ON d.id = r.device_id
  JOIN tenants t ON t.id = d.tenant_id
 WHERE r.state = 'closed' AND r.kind = 'found' AND {which}
   AND NOT EXISTS (SELECT FROM night_histograms h
                    WHERE h.recording_id = r.id AND h.revision = r.revision
                      AND h.stages IS NOT NULL)
 ORDER BY r.started_at DESC, r.id
"""
_SINCE: Final = text(_WAITING.format(which="r.started_at >= :since AND NOT t.synthetic"))
_OF_TENANT: Final = text(
    _WAITING.format(
        which="t.name = :tenant AND (CAST(:device AS text) IS NULL OR d.name = :device) "
        "AND r.evening >= :since AND r.evening < :until"
    )
    + " LIMIT :limit"
)
_CODES: Final = ", ".join(f"e.{name}" for name in NAMES)
_NIGHT: Final = text(f"""
SELECT {_CODES}, p.model_id, p.stage,
       greatest(p.p_wake, p.p_light, p.p_deep, p.p_rem) AS confidence
  FROM (
    SELECT e.epoch_start, e.stream, e.seq, e.in_bed, {_CODES} FROM epochs e
     WHERE e.device_id = :device AND e.epoch_start >= :since AND e.epoch_start < :until
       AND (e.stream, e.run_seq) NOT IN (
             SELECT stream, run_seq FROM runs WHERE device_id = :device AND {SHIFTED})
    UNION ALL
    SELECT e.epoch_start, e.stream, e.seq, e.in_bed, {_CODES} FROM epoch_timeline e
     WHERE e.device_id = :device AND e.epoch_start >= :since AND e.epoch_start < :until
       AND e.placement <> 'device'
  ) e
  LEFT JOIN LATERAL (
    SELECT * FROM predictions p
     WHERE p.device_id = :device AND p.stream = e.stream AND p.seq = e.seq AND {SERVED}
     ORDER BY {LAST_SERVED} LIMIT 1
  ) p ON true
 WHERE e.in_bed
 ORDER BY e.epoch_start, e.stream, e.seq
""")  # noqa: S608 - every part is a constant of the schema
_STORE: Final = text("""
INSERT INTO night_histograms (recording_id, device_id, revision, counts, model_id, stages,
                              confidence, made_at)
SELECT id, device_id, :revision, :counts, :model, :stages, :confidence, clock_timestamp()
  FROM recordings WHERE id = :recording
ON CONFLICT (recording_id) DO UPDATE
   SET revision = excluded.revision, counts = excluded.counts,
       model_id = excluded.model_id, stages = excluded.stages,
       confidence = excluded.confidence, made_at = excluded.made_at
""")
_READ: Final = text("""
SELECT d.name AS device, r.evening, h.counts, h.stages, h.confidence,
       coalesce(m.name || '@' || m.version = :model, false) AS is_own
  FROM tenants t
  JOIN devices d ON d.tenant_id = t.id
  JOIN night_histograms h ON h.device_id = d.id
  JOIN recordings r ON r.id = h.recording_id AND r.state = 'closed'
  LEFT JOIN models m ON m.id = h.model_id
 WHERE t.name = :tenant AND (CAST(:device AS text) IS NULL OR d.name = :device)
   AND r.evening >= :since AND r.evening < :until
 ORDER BY r.started_at DESC, d.name LIMIT :limit
""")
_LAST: Final = text("""
SELECT max(evening) FROM recordings
 WHERE tenant_id = :tenant AND (CAST(:device AS integer) IS NULL OR device_id = :device)
   AND state <> 'withdrawn' AND deleted_at IS NULL AND kind = 'found'
""")
_FORGET: Final = text("""
DELETE FROM night_histograms h USING recordings r
 WHERE r.id = h.recording_id AND (r.started_at < :before OR r.state = 'withdrawn')
""")


def waiting(
    connection: Connection, since: datetime, shards: Collection[int], *, limit: int
) -> list[Waiting]:
    """Return recordings of these shards that began since then, the newest first."""
    found: list[Waiting] = []
    for row in connection.execute(_SINCE, {"since": since}):
        if len(found) == limit:
            break
        one = _waiting(row)
        if shard_of(one.device) in shards:
            found.append(one)
    return found


def waiting_of(
    tenant: str,
    connection: Connection,
    device: str | None,
    since: date,
    until: date,
    *,
    limit: int,
) -> list[Waiting]:
    """Return recordings of a tenant, or of one device, with since <= evening < until."""
    keys = {"tenant": tenant, "device": device, "since": since, "until": until, "limit": limit}
    return [_waiting(row) for row in connection.execute(_OF_TENANT, keys)]


def make(connection: Connection, night: Waiting) -> None:
    """Read a recording's epochs in bed, and keep their histograms.

    Stages and confidence are those that were served live, of the version that told the last;
    what a model of whole nights made of them later is its own affair.
    """
    span = {"since": night.started_at, "until": night.ended_at}
    rows = connection.execute(_NIGHT, {"device": night.device_id, **span}).all()
    codes = np.array([row[:COUNT] for row in rows], np.int16).reshape(-1, COUNT)
    staged = [row for row in rows if row.stage is not None]
    model = staged[-1].model_id if staged else None
    own = [row for row in staged if row.model_id == model]
    stages = np.bincount([row.stage for row in own], minlength=STAGES)
    sure = [row.confidence for row in own if row.confidence is not None]
    connection.execute(
        _STORE,
        {
            "recording": night.recording_id,
            "revision": night.revision,
            "counts": count(codes).astype(_DTYPE).tobytes(),
            "model": model,
            "stages": stages.astype(_DTYPE).tobytes(),
            "confidence": float(np.mean(sure)) if sure else None,
        },
    )


def read(
    tenant: str,
    connection: Connection,
    device: str | None,
    since: date,
    until: date,
    *,
    model: str,
    limit: int = 20_000,
) -> list[NightSummary]:
    """Return the nights of a tenant's devices, or of one, with since <= evening < until.

    Those whose histograms are made; stages and confidence only where the version ``model``,
    ``name@version``, served. Of more than ``limit`` nights the newest.
    """
    keys = {"tenant": tenant, "device": device, "since": since, "until": until}
    rows = connection.execute(_READ, {**keys, "model": model, "limit": limit})
    return [_summary(row) for row in rows]


def last_evening(tenant: str, connection: Connection, device: str | None = None) -> date | None:
    """Return the evening of the last night found of a tenant, or of one device; None: none.

    Raise NotFoundError when there is no such tenant or device.
    """
    keys = {"tenant": id_of(tenant, connection), "device": None}
    if device is not None:
        keys["device"] = devices.get(tenant, connection, device).id
    found: date | None = connection.scalar(_LAST, keys)
    return found


def forget(connection: Connection, before: datetime) -> int:
    """Delete the histograms of nights that began before then, or are none any more."""
    return connection.execute(_FORGET, {"before": before}).rowcount


def _waiting(row: Row[Any]) -> Waiting:
    who = DeviceId(row.tenant, row.device)
    span = (row.started_at, row.ended_at)
    return Waiting(row.recording_id, row.device_id, who, row.revision, *span)


def _summary(row: Row[Any]) -> NightSummary:
    known = row.is_own and row.stages is not None
    stages = np.frombuffer(row.stages, _DTYPE) if known else np.zeros(STAGES)
    counts = np.frombuffer(row.counts, _DTYPE, SIZE).astype(np.int64)
    return NightSummary(
        row.device,
        row.evening,
        counts,
        stages.astype(np.int64),
        row.confidence if row.is_own else None,
    )
