"""Rollouts as the companion drives them: waves, what devices say, what the broker is owed."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, bindparam, text

from noctis.identity import DeviceId
from noctis.status import UpdateReport
from noctis.storage import rollouts

__all__ = ["Turn", "Word", "advance", "owed", "report", "told"]


@dataclass(frozen=True, slots=True)
class Turn:
    """What became of a rollout: ``state`` is offered, silent, stopped or done."""

    number: int
    state: str
    devices: int


@dataclass(frozen=True, slots=True)
class Word:
    """What the broker is to retain for a device; ``rollout`` None: nothing any more."""

    device: DeviceId
    device_id: int
    number: int
    rollout: UUID | None
    url: str
    key_id: str
    signature: str
    manifest: str


_RUNNING: Final = text("""
SELECT number, wave, most_failures, patience_s FROM rollouts
 WHERE state = 'running' ORDER BY number FOR UPDATE SKIP LOCKED
""")
# A device that installed an image and is not heard any more may never be heard again.
_SILENT: Final = text("""
UPDATE rollout_devices SET state = 'silent', owed = true,
       reason = 'nothing heard since it installed the image'
 WHERE rollout_number = :number AND state IN ('installed', 'pending')
   AND reported_at < now() - make_interval(secs => :patience)
""")
_COUNT: Final = text("""
SELECT count(*) FILTER (WHERE state IN ('rolled_back', 'refused', 'silent')) AS failed,
       count(*) FILTER (WHERE state IN ('rolled_back', 'refused', 'silent', 'valid')) AS ended,
       count(*) FILTER (WHERE state = 'waiting') AS waiting,
       count(*) FILTER (WHERE state IN ('offered', 'downloading', 'verifying', 'installed',
                                        'pending')) AS going,
       count(*) FILTER (WHERE state IN ('offered', 'downloading', 'verifying', 'installed',
                                        'pending')
         AND coalesce(reported_at, offered_at) >= now() - make_interval(secs => :patience))
         AS busy
  FROM rollout_devices WHERE rollout_number = :number
""")
_OFFER: Final = text("""
UPDATE rollout_devices SET state = 'offered', offered_at = now(), owed = true
 WHERE rollout_number = :number AND device_id IN (
       SELECT device_id FROM rollout_devices
        WHERE rollout_number = :number AND state = 'waiting' ORDER BY place LIMIT :wave)
""")
_DONE: Final = text("""
UPDATE rollouts SET state = 'done', finished_at = now() WHERE number = :number
""")
_OWED: Final = """
SELECT t.name AS tenant, d.name AS device, r.device_id, o.number, f.key_id, f.signature,
       f.manifest, o.url,
       CASE WHEN r.state IN ('offered', 'downloading', 'verifying', 'installed', 'pending')
            THEN o.id END AS rollout
  FROM rollout_devices r JOIN rollouts o ON o.number = r.rollout_number
  JOIN firmware f ON f.id = o.firmware_id
  JOIN devices d ON d.id = r.device_id JOIN tenants t ON t.id = d.tenant_id
 WHERE d.revoked_at IS NULL
"""
# A device answers an offer that comes again with how it ended: what it said was lost perhaps.
_ALL_OWED: Final = text(f"""
{_OWED} AND (r.owed OR
   (r.state IN ('offered', 'downloading', 'verifying', 'installed', 'pending')
    AND greatest(r.told_at, r.reported_at) < now() - interval '1 minute'))
 ORDER BY o.number LIMIT 1000
""")
_HERE: Final = text(f"""
{_OWED} AND r.state IN ('offered', 'downloading', 'verifying', 'installed', 'pending')
   AND t.name || '/' || d.name IN :names ORDER BY o.number
""").bindparams(bindparam("names", expanding=True))
_TOLD: Final = text("""
UPDATE rollout_devices SET owed = false, told_at = now()
 WHERE rollout_number = :number AND device_id = :device
   AND (state IN ('offered', 'downloading', 'verifying', 'installed', 'pending')) = :offered
""")
# What has ended stays as it ended; but what was given up may end otherwise still.
_REPORT: Final = text("""
UPDATE rollout_devices r
   SET state = CASE WHEN r.state = 'withdrawn' AND NOT :ended THEN r.state ELSE :state END,
       percent = :percent, reason = :reason, running = :running, reported_at = now(),
       owed = r.owed OR :ended
  FROM rollouts o, devices d, tenants t
 WHERE o.number = r.rollout_number AND o.id = :rollout AND d.id = r.device_id
   AND t.id = d.tenant_id AND t.name = :tenant AND d.name = :device
   AND r.state NOT IN ('waiting', 'valid', 'rolled_back', 'refused')
   AND (:ended OR r.state <> 'silent')
RETURNING r.device_id
""")


def advance(connection: Connection) -> list[Turn]:
    """Bring every running rollout a step on; return what became of it."""
    turns = []
    for row in connection.execute(_RUNNING).all():
        number = {"number": row.number, "patience": row.patience_s}
        silent = connection.execute(_SILENT, number).rowcount
        if silent:
            turns.append(Turn(row.number, "silent", silent))
        count = connection.execute(_COUNT, number).one()
        if count.failed > row.most_failures * max(count.ended, row.wave):
            reason = f"{count.failed} of {count.ended} devices failed"
            rollouts.set_state(connection, row.number, "stopped", reason)
            turns.append(Turn(row.number, "stopped", count.failed))
        elif count.waiting and not count.busy:
            wave = {"number": row.number, "wave": row.wave}
            turns.append(Turn(row.number, "offered", connection.execute(_OFFER, wave).rowcount))
        elif not count.waiting and not count.going:
            connection.execute(_DONE, {"number": row.number})
            turns.append(Turn(row.number, "done", count.ended))
    return turns


def owed(connection: Connection, here: Collection[DeviceId]) -> list[Word]:
    """Return what the broker does not have yet, and what devices ``here`` are to hear again."""
    rows = connection.execute(_ALL_OWED).mappings().all()
    if here:
        names = [str(device) for device in here]
        rows = [*connection.execute(_HERE, {"names": names}).mappings().all(), *rows]
    words = {}
    for row in rows:
        values = dict(row)
        device = DeviceId(values.pop("tenant"), values.pop("device"))
        words[device] = Word(device=device, **values)  # of several rollouts, the last one's
    return list(words.values())


def told(connection: Connection, words: Collection[Word]) -> None:
    """Note that the broker has these."""
    for word in words:
        values = {"number": word.number, "device": word.device_id}
        connection.execute(_TOLD, values | {"offered": word.rollout is not None})


def report(tenant: str, connection: Connection, device: str, said: UpdateReport) -> bool:
    """Note how far a device says it is; False where it was offered no such thing."""
    values = {
        "tenant": tenant,
        "device": device,
        "rollout": said.rollout,
        "state": said.state,
        "ended": said.has_ended,
        "percent": said.percent,
        "reason": said.reason or None,
        "running": said.version,
    }
    return connection.execute(_REPORT, values).rowcount == 1
