"""Replays: stored epochs through a version of a model again, in parts that are done once.

What is to be done, and what of it is done, stands in the database; who does it may be killed at
any moment. A part's predictions and the note that it is done are one transaction.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, Engine, Row, text

from noctis.storage import devices, locks, predictions, tenants
from noctis.storage.errors import NotFoundError
from noctis.storage.origins import Origin
from noctis.storage.predictions import Prediction
from noctis.storage.runs import signed, unsigned

__all__ = [
    "PART",
    "Part",
    "Replay",
    "State",
    "add",
    "cancel",
    "finish",
    "get",
    "held",
    "list_all",
    "parts",
    "reopen",
    "settle",
    "unjudged",
]

State = Literal["running", "stopped", "cancelled", "done"]

PART: Final = 1024
"""Sequence numbers of a stream that are done together: a night, and what a process holds."""

_ADD: Final = text("""
INSERT INTO replays (model_id, tenant_id, device_id, since, until)
VALUES (:model, :tenant, :device, :since, :until) RETURNING id
""")
_DEVICES: Final = text("""
SELECT id FROM devices
 WHERE (CAST(:tenant AS integer) IS NULL OR tenant_id = :tenant)
   AND (CAST(:device AS integer) IS NULL OR id = :device)
 ORDER BY id
""")
_PLAN: Final = text("""
INSERT INTO replay_parts (replay_id, device_id, stream, first_seq, last_seq, since, until,
                          epochs)
SELECT :replay, :device, stream, min(seq), max(seq), min(start), max(start), count(*)
  FROM (
    SELECT stream, seq, epoch_start AS start FROM epochs
     WHERE device_id = :device AND epoch_start >= :since AND epoch_start < :until
    UNION ALL
    SELECT stream, seq, NULL FROM epochs_untimed
     WHERE device_id = :device AND received_at >= :since AND received_at < :until
  ) e
 GROUP BY stream, seq / :size
""")
# Running is who holds the lock: nobody need say that a process has ended.
_SELECT: Final = f"""
SELECT r.id, m.name, m.version, t.name AS tenant, d.name AS device, r.since, r.until,
       r.created_at, r.cancelled_at, r.done_at, p.*,
       EXISTS (SELECT FROM pg_locks l
                WHERE l.locktype = 'advisory' AND l.classid = {locks.REPLAYS} AND l.objid = r.id
                  AND l.database = (SELECT oid FROM pg_database
                                     WHERE datname = current_database())) AS is_held
  FROM replays r
  JOIN models m ON m.id = r.model_id
  LEFT JOIN tenants t ON t.id = r.tenant_id
  LEFT JOIN devices d ON d.id = r.device_id
 CROSS JOIN LATERAL (
    SELECT count(*) AS parts, count(stored) AS parts_done,
           coalesce(sum(epochs), 0) AS epochs,
           coalesce(sum(epochs) FILTER (WHERE stored IS NOT NULL), 0) AS epochs_done,
           coalesce(sum(stored), 0) AS stored
      FROM replay_parts WHERE replay_id = r.id
  ) p
"""  # noqa: S608 - a constant
_LIST: Final = text(f"{_SELECT} ORDER BY r.id DESC LIMIT :limit")
_GET: Final = text(f"{_SELECT} WHERE r.id = :replay")
_PARTS: Final = text("""
SELECT device_id, stream, first_seq, last_seq, since, until, epochs
  FROM replay_parts WHERE replay_id = :replay AND (NOT :open OR stored IS NULL)
 ORDER BY device_id, stream, first_seq
""")
_IS_OPEN: Final = text("SELECT cancelled_at IS NULL FROM replays WHERE id = :replay")
_UNJUDGED: Final = text("""
SELECT e.seq FROM (
  SELECT seq FROM epochs
   WHERE device_id = :device AND epoch_start BETWEEN :since AND :until AND stream = :stream
     AND seq BETWEEN :first AND :last
  UNION ALL
  SELECT u.seq FROM epochs_untimed u JOIN replays r ON r.id = :replay
   WHERE u.device_id = :device AND u.stream = :stream AND u.seq BETWEEN :first AND :last
     AND u.received_at >= r.since AND u.received_at < r.until
) e
 WHERE NOT EXISTS (
   SELECT FROM predictions p JOIN replays r ON r.id = :replay AND r.model_id = p.model_id
    WHERE p.device_id = :device AND p.stream = :stream AND p.seq = e.seq OFFSET 0)
 ORDER BY e.seq
""")
_MODEL: Final = text("SELECT model_id FROM replays WHERE id = :replay")
_FINISH: Final = text("""
UPDATE replay_parts SET stored = :stored
 WHERE replay_id = :replay AND device_id = :device AND stream = :stream
   AND first_seq = :first AND stored IS NULL
""")
_SETTLE: Final = text("""
UPDATE replays SET done_at = now()
 WHERE id = :replay AND done_at IS NULL AND cancelled_at IS NULL
   AND NOT EXISTS (SELECT FROM replay_parts WHERE replay_id = :replay AND stored IS NULL)
""")
_CANCEL: Final = text("""
UPDATE replays SET cancelled_at = coalesce(cancelled_at, now())
 WHERE id = :replay AND done_at IS NULL
""")
_REOPEN: Final = text("UPDATE replays SET cancelled_at = NULL WHERE id = :replay")


@dataclass(frozen=True, slots=True)
class Part:
    """Epochs of one stream of a device, from ``first_seq`` to ``last_seq``, ``epochs`` of them.

    ``since``, ``until``: the starts of the first and the last one whose run has a clock.
    """

    device_id: int
    stream: int
    first_seq: int
    last_seq: int
    since: datetime | None
    until: datetime | None
    epochs: int


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay and how far it is; ``stored``: predictions that were not there before it.

    Epochs are those with since <= start < until as their own run's clock has it; of a run
    without a clock, those received then. ``tenant``, ``device`` None: of all.
    """

    id: int
    name: str
    version: str
    tenant: str | None
    device: str | None
    since: datetime
    until: datetime
    created_at: datetime
    cancelled_at: datetime | None
    done_at: datetime | None
    parts: int
    parts_done: int
    epochs: int
    epochs_done: int
    stored: int
    is_held: bool

    @property
    def state(self) -> State:
        """What is to be said of it; ``stopped``: it was cut off, and can be resumed."""
        if self.done_at is not None:
            return "done"
        if self.cancelled_at is not None:
            return "cancelled"
        return "running" if self.is_held else "stopped"

    @property
    def model(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"


def add(
    tenant: str | None,
    connection: Connection,
    device: str | None,
    model_id: int,
    *,
    since: datetime,
    until: datetime,
) -> int:
    """Write a replay down with all its parts; return its number.

    Raise NotFoundError where there is no such tenant or device.
    """
    scope: dict[str, int | None] = {"tenant": None, "device": None}
    if tenant is not None:
        scope["tenant"] = tenants.id_of(tenant, connection)
        if device is not None:
            scope["device"] = devices.get(tenant, connection, device).id
    span = {"since": since, "until": until}
    replay: int = connection.execute(_ADD, {"model": model_id, **scope, **span}).scalar_one()
    for key in connection.scalars(_DEVICES, scope).all():
        connection.execute(_PLAN, {"replay": replay, "device": key, "size": PART, **span})
    return replay


def list_all(connection: Connection, *, limit: int = 100) -> list[Replay]:
    """Return the replays, the newest first."""
    return [Replay(**row._mapping) for row in connection.execute(_LIST, {"limit": limit})]  # noqa: SLF001 - its public name


def get(connection: Connection, replay: int) -> Replay:
    """Return a replay; raise NotFoundError when there is none of this number."""
    row = connection.execute(_GET, {"replay": replay}).one_or_none()
    if row is None:
        message = f"there is no replay {replay}"
        raise NotFoundError(message, hint="noctis replay list shows them")
    return Replay(**row._mapping)  # noqa: SLF001 - its public name


def parts(connection: Connection, replay: int, *, is_open: bool) -> list[Part]:
    """Return a replay's parts in order, or only those that are not done."""
    rows = connection.execute(_PARTS, {"replay": replay, "open": is_open})
    return [_part(row) for row in rows]


def unjudged(connection: Connection, replay: int, part: Part) -> list[int] | None:
    """Return the numbers of a part's epochs without a prediction of the version.

    None when the replay is cancelled, or gone.
    """
    if not connection.scalar(_IS_OPEN, {"replay": replay}):
        return None
    keys = {"since": part.since, "until": part.until, "last": part.last_seq}
    return list(connection.scalars(_UNJUDGED, {**_key(replay, part), **keys}))


def finish(connection: Connection, replay: int, part: Part, rows: Sequence[Prediction]) -> int:
    """Store a part's predictions, unseen, and note that it is done; return how many are new."""
    model: int = connection.execute(_MODEL, {"replay": replay}).scalar_one()
    stored = predictions.store(connection, model, rows, origin=Origin.REPLAY)
    connection.execute(_FINISH, {**_key(replay, part), "stored": stored})
    return stored


def settle(connection: Connection, replay: int) -> Replay:
    """Note that a replay is done where all its parts are; return it."""
    connection.execute(_SETTLE, {"replay": replay})
    return get(connection, replay)


def cancel(connection: Connection, replay: int) -> Replay:
    """Let a replay end after the parts under way; what it stored stays. Return it."""
    connection.execute(_CANCEL, {"replay": replay})
    return get(connection, replay)


def reopen(connection: Connection, replay: int) -> Replay:
    """Take a cancellation back; return the replay."""
    connection.execute(_REOPEN, {"replay": replay})
    return get(connection, replay)


def held(engine: Engine, replay: int) -> AbstractContextManager[bool]:
    """Keep a replay from others while the block runs; False when another has it."""
    return locks.held(engine, locks.REPLAYS, replay)


def _key(replay: int, part: Part) -> dict[str, int]:
    return {
        "replay": replay,
        "device": part.device_id,
        "stream": signed(part.stream),
        "first": part.first_seq,
    }


def _part(row: Row[Any]) -> Part:
    span = row.since, row.until
    return Part(
        row.device_id, unsigned(row.stream), row.first_seq, row.last_seq, *span, row.epochs
    )
