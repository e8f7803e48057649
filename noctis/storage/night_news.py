"""Which devices' last nights apps have yet to be told of, and what they were told last.

Whoever changes which night is a device's last one, or what it shows, leaves a note in the same
transaction (``note``). There is one row for each device, however much changes: a device that
sends a year of nights late has one thing to tell at any time, its last night.

The last night is the one that began last among those that were found, are not withdrawn,
deleted or excluded, and have closed; one that was told stays so when it is open again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, text

from noctis.identity import DeviceId
from noctis.storage.night_models import recordings
from noctis.storage.recording_rows import Recording, recording_of, selected
from noctis.topics import shard_of

__all__ = ["News", "due", "known", "last_nights", "note", "told"]

_NOTE: Final = text("""
INSERT INTO night_news AS n (device_id) VALUES (:device)
ON CONFLICT (device_id) DO UPDATE SET changes = n.changes + 1
""")
_COLUMNS: Final = """
SELECT n.device_id, t.name AS tenant, d.name AS device, n.changes, n.told, n.recording_id,
       n.revision
  FROM night_news n JOIN devices d ON d.id = n.device_id JOIN tenants t ON t.id = d.tenant_id"""
_DUE: Final = text(f"{_COLUMNS} WHERE n.changes > n.told ORDER BY n.device_id")
_KNOWN: Final = text(f"""{_COLUMNS}
 WHERE n.device_id > :after AND n.recording_id IS NOT NULL
 ORDER BY n.device_id LIMIT :limit
""")
# One step down the index of a device's recordings for each device.
_LAST: Final = text("""
SELECT r.id, n.device_id FROM night_news n
 CROSS JOIN LATERAL (
   SELECT id FROM recordings
    WHERE device_id = n.device_id AND kind = 'found' AND state <> 'withdrawn'
      AND deleted_at IS NULL AND NOT excluded AND (state = 'closed' OR id = n.recording_id)
    ORDER BY started_at DESC LIMIT 1) r
 WHERE n.device_id = ANY(:devices)
""")
# Whoever else told something in between may have told less: it is told again.
_TOLD: Final = text("""
UPDATE night_news
   SET told = CASE WHEN told = :before THEN :changes ELSE 0 END,
       recording_id = :recording, revision = :revision
 WHERE device_id = :device
""")


@dataclass(frozen=True, slots=True)
class News:
    """A device, by its surrogate key, and what apps were told of it last.

    ``changes``: notes so far; ``told``: how many of them apps know. ``recording`` and
    ``revision``: what they were told, None: nothing, or that there is none any more.
    """

    id: int
    device: DeviceId
    changes: int
    told: int
    recording: UUID | None
    revision: int | None


def note(connection: Connection, device_id: int) -> None:
    """Note that a device's last night may be another, or show something else.

    It comes last in a transaction, behind the locks on recordings.
    """
    connection.execute(_NOTE, {"device": device_id})


def due(connection: Connection, shards: Collection[int]) -> list[News]:
    """Return what apps do not know yet of these shards' devices."""
    found = map(_news, connection.execute(_DUE))
    return [it for it in found if shard_of(it.device) in shards]


def known(connection: Connection, *, after: int, limit: int) -> list[News]:
    """Return what apps know of the devices behind a key, in the order of their keys."""
    return [_news(row) for row in connection.execute(_KNOWN, {"after": after, "limit": limit})]


def last_nights(connection: Connection, news: Sequence[News]) -> dict[int, Recording]:
    """Return the last nights of devices by the keys of these; hypnograms come empty."""
    if not news:
        return {}
    last = connection.execute(_LAST, {"devices": [it.id for it in news]})
    owners: dict[UUID, int] = {row.id: row.device_id for row in last}
    query = selected(hypnograms=False).where(recordings.c.id.in_(owners))
    found = map(recording_of, connection.execute(query))
    return {owners[it.id]: it for it in found}


def told(connection: Connection, news: Sequence[News], last: Mapping[int, Recording]) -> None:
    """Say that apps were told of devices' last nights; without one: that there is none."""
    connection.execute(_TOLD, [_row(it, last.get(it.id)) for it in news])


def _row(news: News, last: Recording | None) -> dict[str, object]:
    return {
        "device": news.id,
        "before": news.told,
        "changes": news.changes,
        "recording": None if last is None else last.id,
        "revision": None if last is None else last.revision,
    }


def _news(row: Row[Any]) -> News:
    device = DeviceId(row.tenant, row.device)
    return News(row.device_id, device, row.changes, row.told, row.recording_id, row.revision)
