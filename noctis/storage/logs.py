"""Lines of devices: the newest of each, for whoever looks after it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, bindparam, select, text

from noctis.errors import ConfigurationError
from noctis.status import LEVELS, Level, LogLines
from noctis.storage.command_models import device_logs
from noctis.storage.devices import get as device_of
from noctis.storage.models import devices, tenants

__all__ = ["KEPT", "MOST", "Line", "level_of", "list_of", "store"]

MOST: Final = 1000
"""Lines of a device; older ones go."""

KEPT: Final = timedelta(days=30)
LONGEST_MS: Final = int(timedelta(days=366).total_seconds() * 1000)
"""A line that waited longer for a connection is dated as one that waited that long."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line: the ``number``-th of boot number ``boot``, said ``times`` times until ``at``.

    ``at`` comes of the moment of receipt and the device's own clock since boot.
    """

    id: int
    at: datetime
    level: Level
    text: str
    times: int
    boot: int
    number: int


_OWNER: Final = (
    select(devices.c.id)
    .join(tenants, tenants.c.id == devices.c.tenant_id)
    .where(tenants.c.name == bindparam("tenant"), devices.c.name == bindparam("device"))
)
# The same line once more changes nothing. One of that number that is later by more than clocks
# drift is of a device that counts its boots anew.
_STORE: Final = text("""
INSERT INTO device_logs (device_id, boot, number, logged_at, level, text, times)
VALUES (:device_id, :boot, :number, now() - make_interval(secs => :age_ms / 1000.0), :level,
        :text, :times)
    ON CONFLICT (device_id, boot, number) DO UPDATE
   SET id = DEFAULT, logged_at = excluded.logged_at, level = excluded.level,
       text = excluded.text, times = excluded.times
 WHERE device_logs.logged_at < excluded.logged_at - interval '5 minutes'
""")
_TRIM: Final = text("""
DELETE FROM device_logs
 WHERE device_id = :device_id
   AND (logged_at < now() - CAST(:kept AS interval)
        OR id <= (SELECT id FROM device_logs WHERE device_id = :device_id
                   ORDER BY id DESC OFFSET :most LIMIT 1))
""")


def store(tenant: str, connection: Connection, device: str, lines: LogLines) -> bool:
    """Keep lines of a tenant's device, each once; False for a stranger, whose are passed over.

    What is older than 30 days, or than the device's newest 1,000, goes.
    """
    key = connection.scalar(_OWNER, {"tenant": tenant, "device": device})
    if key is None:
        return False
    for line in lines.lines:
        values = {
            "device_id": key,
            "boot": lines.boot,
            "number": line.n,
            "age_ms": min(max(lines.now_ms - line.at_ms, 0), LONGEST_MS),
            "level": line.level,
            "text": line.text,
            "times": line.times,
        }
        connection.execute(_STORE, values)
    connection.execute(_TRIM, {"device_id": key, "kept": KEPT, "most": MOST})
    return True


def level_of(word: str) -> Level:
    """Return a level by its name; raise ConfigurationError for any other word."""
    for level in LEVELS:
        if level == word:
            return level
    message = f"{word!r} is no level of a line"
    raise ConfigurationError(message, hint=f"one of {', '.join(LEVELS)}")


def list_of(
    tenant: str,
    connection: Connection,
    device: str,
    *,
    level: Level = "debug",
    before: int | None = None,
    limit: int = MOST,
) -> list[Line]:
    """Return a device's lines, the newest first; ``before``: only those stored before that id.

    ``level``: the least grave ones wanted. Raise NotFoundError for an unknown device.
    """
    wanted = LEVELS[: LEVELS.index(level) + 1]
    query = select(
        device_logs.c.id,
        device_logs.c.logged_at,
        device_logs.c.level,
        device_logs.c.text,
        device_logs.c.times,
        device_logs.c.boot,
        device_logs.c.number,
    ).where(
        device_logs.c.device_id == device_of(tenant, connection, device).id,
        device_logs.c.level.in_(wanted),
    )
    if before is not None:
        query = query.where(device_logs.c.id < before)
    rows = connection.execute(query.order_by(device_logs.c.id.desc()).limit(limit))
    return [Line(*row) for row in rows]
