"""Sleep stages as models judged them: exactly one for each epoch and model version.

How a prediction came about, and which ones people see, stands in ``noctis.storage.origins``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, select, text
from sqlalchemy.dialects.postgresql import insert

from noctis.epoch import EPOCH_SECONDS
from noctis.stages import Stage
from noctis.storage import devices
from noctis.storage.arrays import array
from noctis.storage.epochs import Epoch
from noctis.storage.errors import NotFoundError
from noctis.storage.marks import UPSERT
from noctis.storage.models import models
from noctis.storage.origins import LAST_SERVED, SERVED, Origin
from noctis.storage.runs import signed, unsigned
from noctis.storage.settling import unsettled
from noctis.storage.stretches import Stretch, context
from noctis.storage.timeline import ANCHOR

__all__ = [
    "Origin",
    "Prediction",
    "Probabilities",
    "Staged",
    "Stretch",
    "context",
    "known_model",
    "model_id",
    "of",
    "read",
    "store",
    "unsettled",
]

Probabilities = tuple[float, float, float, float]
"""Of wake, light, deep and rem, as the numbers of ``noctis.stages.Stage`` order them."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's judgement of an epoch; stage and probabilities None where it gives none.

    ``epoch_start`` is the stored epoch's: None where its run has no clock.
    """

    device_id: int
    stream: int
    seq: int
    epoch_start: datetime | None
    stage: Stage | None
    probabilities: Probabilities | None


@dataclass(frozen=True, slots=True)
class Staged:
    """A stored stage with its place on the time line; ``model`` is ``name@version``."""

    epoch_start: datetime
    stream: int
    seq: int
    stage: Stage | None
    probabilities: Probabilities | None
    model: str


# The nights that show the new ones are marked in the same step, at the epochs' places. A row
# that is unseen so far becomes a served one, once, whoever else wants the same.
_STORE: Final = text(f"""
WITH stored AS (
INSERT INTO predictions AS p (tenant_id, device_id, stream, seq, model_id, epoch_start, stage,
                              p_wake, p_light, p_deep, p_rem, origin)
SELECT d.tenant_id, n.device_id, n.stream, n.seq, :model, n.epoch_start, n.stage,
       n.p_wake, n.p_light, n.p_deep, n.p_rem, CAST(:origin AS smallint)
  FROM unnest(CAST(:device_id AS integer[]), CAST(:stream AS bigint[]),
              CAST(:seq AS bigint[]), CAST(:epoch_start AS timestamptz[]),
              CAST(:stage AS smallint[]), CAST(:p0 AS real[]), CAST(:p1 AS real[]),
              CAST(:p2 AS real[]), CAST(:p3 AS real[]))
       AS n(device_id, stream, seq, epoch_start, stage, p_wake, p_light, p_deep, p_rem)
  JOIN devices d ON d.id = n.device_id
 ORDER BY n.device_id, n.stream, n.seq
ON CONFLICT (device_id, stream, seq, model_id) DO UPDATE
   SET origin = excluded.origin, created_at = excluded.created_at
 WHERE excluded.{SERVED} AND NOT p.{SERVED}
RETURNING p.device_id, p.stream, p.seq, p.epoch_start
), spans AS (
SELECT s.device_id, place.start AS since, place.start AS until
  FROM stored s
  LEFT JOIN LATERAL (
    SELECT * FROM runs r
     WHERE r.device_id = s.device_id AND r.stream = s.stream AND r.run_seq < s.seq
     ORDER BY r.run_seq DESC LIMIT 1
  ) r ON true
  LEFT JOIN LATERAL ({ANCHOR}) anchor ON s.epoch_start IS NULL
 CROSS JOIN LATERAL (
    SELECT coalesce(s.epoch_start, anchor.boot_at + make_interval(
             secs => r.tick_s + {EPOCH_SECONDS} * (s.seq - r.run_seq - 1)))
           + coalesce(r.shift, interval '0') AS start
  ) place
 WHERE place.start IS NOT NULL AND CAST(:origin AS smallint) = {Origin.SERVED:d}
), marked AS ({UPSERT})
SELECT count(*) FROM stored
""")  # noqa: S608 - every part is a constant of the schema
_READ: Final = text(f"""
SELECT DISTINCT ON (t.epoch_start, t.stream, t.seq)
       t.epoch_start, t.stream, t.seq, p.stage, p.p_wake, p.p_light, p.p_deep, p.p_rem,
       m.name || '@' || m.version AS model
  FROM epoch_timeline t
  JOIN predictions p ON p.device_id = t.device_id AND p.stream = t.stream AND p.seq = t.seq
  JOIN models m ON m.id = p.model_id
 WHERE t.device_id = :device AND t.epoch_start >= :since AND t.epoch_start < :until
   AND CASE WHEN CAST(:model AS text) IS NULL THEN p.{SERVED}
            ELSE m.name || '@' || m.version = :model END
 ORDER BY t.epoch_start, t.stream, t.seq, p.{LAST_SERVED.replace(", ", ", p.")}
""")  # noqa: S608 - every part is a constant of the schema
_OF: Final = text(f"""
SELECT DISTINCT ON (k.place)
       p.epoch_start, p.stream, p.seq, p.stage, p.p_wake, p.p_light, p.p_deep, p.p_rem,
       m.name || '@' || m.version AS model, k.place
  FROM unnest(CAST(:stream AS bigint[]), CAST(:seq AS bigint[])) WITH ORDINALITY
       AS k (stream, seq, place)
  JOIN predictions p ON p.stream = k.stream AND p.seq = k.seq AND p.device_id = (
         SELECT d.id FROM devices d JOIN tenants t ON t.id = d.tenant_id
          WHERE t.name = :tenant AND d.name = :device)
  JOIN models m ON m.id = p.model_id
 WHERE p.{SERVED}
 ORDER BY k.place, p.{LAST_SERVED.replace(", ", ", p.")}
""")  # noqa: S608 - every part is a constant of the schema


def model_id(connection: Connection, name: str, version: str) -> int:
    """Return the surrogate key of a model's version, made at its first use."""
    query = select(models.c.id).where(models.c.name == name, models.c.version == version)
    known: int | None = connection.scalar(query)
    if known is not None:
        return known
    connection.execute(
        insert(models).values(name=name, version=version).on_conflict_do_nothing()
    )
    made: int = connection.execute(query).scalar_one()
    return made


def known_model(connection: Connection, full_name: str) -> int:
    """Return the key of ``name@version``; raise NotFoundError where it judged nothing yet."""
    name, _, version = full_name.rpartition("@")
    query = select(models.c.id).where(models.c.name == name, models.c.version == version)
    known: int | None = connection.scalar(query)
    if known is None:
        message = f"no prediction is stored of {full_name!r}"
        raise NotFoundError(message, hint="write it as name@version, such as stager@1")
    return known


def store(
    connection: Connection,
    model_id: int,
    rows: Sequence[Prediction],
    *,
    origin: Origin = Origin.SERVED,
) -> int:
    """Store judgements of a model; return how many were new, or are served from now on.

    What is stored already keeps its values; what a shadow or a replay left becomes SERVED when
    the model serves the epoch, and nothing that is served becomes anything else.
    """
    if not rows:
        return 0
    chances = [row.probabilities or (None, None, None, None) for row in rows]
    stored: int = connection.execute(
        _STORE,
        {
            "model": model_id,
            "origin": int(origin),
            "device_id": [row.device_id for row in rows],
            "stream": [signed(row.stream) for row in rows],
            "seq": [row.seq for row in rows],
            "epoch_start": [row.epoch_start for row in rows],
            "stage": [None if row.stage is None else int(row.stage) for row in rows],
            **{f"p{stage:d}": [four[stage] for four in chances] for stage in Stage},
        },
    ).scalar_one()
    return stored


def read(
    tenant: str,
    connection: Connection,
    device: str,
    since: datetime,
    until: datetime,
    *,
    model: str | None = None,
) -> list[Staged]:
    """Return the stages of a device's epochs with since <= start < until, by their start.

    ``model``: of this ``name@version`` alone, served or not; else of the version that came to
    serve the epoch last.
    Raise NotFoundError when the tenant has no such device.
    """
    key = devices.get(tenant, connection, device).id
    rows = connection.execute(
        _READ, {"device": key, "since": since, "until": until, "model": model}
    )
    return [_staged(row) for row in rows.all()]


def of(tenant: str, connection: Connection, device: str, page: Sequence[Epoch]) -> list[Staged]:
    """Return the served stages of a device's epochs, in the order of ``page``.

    Epochs that are not judged yet are left out.
    """
    rows = connection.execute(
        _OF,
        {
            "tenant": tenant,
            "device": device,
            "stream": array([signed(each.stream) for each in page], "bigint"),
            "seq": array([each.seq for each in page], "bigint"),
        },
    )
    return [_staged(row, page[row.place - 1].epoch_start) for row in rows.all()]


def _staged(row: Row[Any], start: datetime | None = None) -> Staged:
    epoch_start, stream, seq, stage, wake, light, deep, rem, model, *_ = tuple(row)
    return Staged(
        start or epoch_start,
        unsigned(stream),
        seq,
        None if stage is None else Stage(stage),
        None if wake is None else (wake, light, deep, rem),
        model,
    )
