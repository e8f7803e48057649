"""What the rules of alerts see of all devices, one query a rule, and what is kept of it.

A query returns devices that look bad and those of which something is known; a fleet that is
well costs no row. ``noctis.alerts`` says what becomes of a look.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from noctis.alerts import DEFAULTS, Name, Rule, Sight, Watch
from noctis.epoch import EPOCH_SECONDS
from noctis.features import FEATURES
from noctis.identity import DeviceId
from noctis.storage.gaps import ARRIVING_S, MISSING
from noctis.storage.standing import SILENT_S
from noctis.topics import shard_of

__all__ = ["MISSING_S", "Look", "Told", "clear", "keep", "look", "raise_"]

MISSING_S: Final = 3600
"""Of so many seconds, those that are ARRIVING_S old, epochs are looked for."""

FRESH_S: Final = 300
"""A device whose newest epoch began longer ago says nothing about breathing."""

SETTLED_S: Final = 10
"""So long after we connect, the broker has told which devices it lost."""

_LONGEST_S: Final = 2 * 3600
_NO_RATE: Final = next(it.missing for it in FEATURES if it.name == "rr_mean")

# A lost device is silent since the broker said so; another one, when two of its reports are
# missing. While nobody listens, nobody is silent.
_SILENT: Final = f"""
SELECT device_id, age::integer AS value, '' AS why,
       CASE WHEN is_lost AND (age < least_s OR :listening < {SETTLED_S}) THEN NULL
            WHEN is_lost THEN true
            WHEN age < most_s THEN false
            WHEN :listening >= most_s THEN true END AS bad
  FROM (
    SELECT d.id AS device_id, j.threshold AS least_s, p.body ->> 'state' = 'lost' AS is_lost,
           extract(epoch FROM now() - p.reported_at) AS age,
           greatest(j.threshold, {SILENT_S}, 2.2 * coalesce(
             (c.body -> 'settings' ->> 'report_s')::integer, 0)) AS most_s
      FROM devices d
      JOIN judged j ON j.tenant_id = d.tenant_id AND j.enabled
      JOIN device_reports p ON p.device_id = d.id
      LEFT JOIN config_reports c ON c.device_id = d.id
     WHERE d.revoked_at IS NULL
  ) heard
"""  # noqa: S608 - every part is a constant
# The newest epochs, as many as the threshold is long, by the key; the constant bound lets
# TimescaleDB look into the newest chunks alone.
_NO_BREATHING: Final = f"""
SELECT d.id AS device_id, CASE WHEN bad THEN found * {EPOCH_SECONDS} ELSE 0 END AS value,
       CASE WHEN is_in_bed THEN '' ELSE 'absent' END AS why,
       CASE WHEN bad AND found * {EPOCH_SECONDS} >= j.threshold THEN true
            WHEN lacks_newest THEN NULL ELSE false END AS bad
  FROM devices d
  JOIN judged j ON j.tenant_id = d.tenant_id AND j.enabled
 CROSS JOIN LATERAL (
    SELECT count(*)::integer AS found, bool_and(lacks) AS bad, max(epoch_start) AS newest,
           (array_agg(lacks ORDER BY epoch_start DESC))[1] AS lacks_newest,
           (array_agg(in_bed ORDER BY epoch_start DESC))[1] AS is_in_bed
      FROM (
        SELECT epoch_start, in_bed, in_bed AND rr_mean = {_NO_RATE} AS lacks FROM epochs
         WHERE device_id = d.id AND epoch_start < now() + interval '1 minute'
           AND epoch_start > now() - interval '{_LONGEST_S} seconds'
           AND epoch_start > now() - make_interval(secs => {FRESH_S} + j.threshold)
         ORDER BY epoch_start DESC
         LIMIT (j.threshold + {EPOCH_SECONDS - 1}) / {EPOCH_SECONDS}
      ) last
 ) lately
 WHERE d.revoked_at IS NULL AND newest > now() - interval '{FRESH_S} seconds'
"""  # noqa: S608 - every part is a constant
_MISSING_EPOCHS: Final = f"""
SELECT l.device_id, l.missing AS value, '' AS why, l.missing >= j.threshold AS bad
  FROM (SELECT device_id, sum(missing)::integer AS missing FROM ({MISSING}) lost
         GROUP BY device_id) l
  JOIN devices d ON d.id = l.device_id
  JOIN judged j ON j.tenant_id = d.tenant_id AND j.enabled
"""  # noqa: S608 - every part is a constant
_DRIFT: Final = """
SELECT d.id AS device_id, (verdict = 'drift')::integer AS value, '' AS why,
       CASE verdict WHEN 'drift' THEN true WHEN 'stable' THEN false END AS bad
  FROM devices d
  JOIN judged j ON j.tenant_id = d.tenant_id AND j.enabled
 CROSS JOIN LATERAL (
    SELECT verdict FROM drift_reports
     WHERE tenant_id = d.tenant_id AND device_id = d.id ORDER BY day DESC LIMIT 1) newest
"""
_SEEN: Final[dict[Name, str]] = {
    "silent": _SILENT,
    "no_breathing": _NO_BREATHING,
    "missing_epochs": _MISSING_EPOCHS,
    "drift": _DRIFT,
}
_RULE: Final = ("enabled", "threshold", "raise_after", "clear_after", "cooldown_s")
_JUDGED: Final = ", ".join(f"coalesce(r.{it}, :{it}) AS {it}" for it in _RULE)


def _look(seen: str) -> str:
    return f"""
WITH judged AS (
  SELECT t.id AS tenant_id, t.name AS tenant, {_JUDGED}
    FROM tenants t LEFT JOIN alert_rules r ON r.tenant_id = t.id AND r.rule = :rule
   WHERE NOT t.synthetic
), seen AS ({seen})
SELECT now() AS at, d.id AS device_id, j.tenant, d.name, a.id AS alert_id, s.value,
       coalesce(w.streak, 0) AS streak, w.cleared_at, w.device_id IS NOT NULL AS is_kept,
       j.enabled, j.threshold, j.raise_after, j.clear_after, j.cooldown_s,
       CASE WHEN NOT j.enabled OR d.revoked_at IS NOT NULL THEN 'off'
            WHEN s.bad THEN 'bad' WHEN NOT s.bad THEN 'good' ELSE 'unknown' END AS sight,
       CASE WHEN NOT j.enabled OR d.revoked_at IS NOT NULL THEN 'off'
            ELSE coalesce(s.why, '') END AS why
  FROM devices d
  JOIN judged j ON j.tenant_id = d.tenant_id
  LEFT JOIN seen s ON s.device_id = d.id
  LEFT JOIN alerts a ON a.device_id = d.id AND a.rule = :rule AND a.cleared_at IS NULL
  LEFT JOIN alert_watches w ON w.device_id = d.id AND w.rule = :rule
 WHERE a.id IS NOT NULL OR w.device_id IS NOT NULL
    OR s.bad AND j.enabled AND d.revoked_at IS NULL
 ORDER BY d.id
"""  # noqa: S608 - every part is a constant


_LOOKS: Final = {name: text(_look(seen)) for name, seen in _SEEN.items()}
_KEEP: Final = text("""
INSERT INTO alert_watches (device_id, rule, streak, cleared_at)
SELECT d.id, :rule, n.streak, n.cleared_at
  FROM jsonb_to_recordset(CAST(:rows AS jsonb))
       AS n(device integer, streak integer, cleared_at timestamptz)
  JOIN devices d ON d.id = n.device
ON CONFLICT (device_id, rule) DO UPDATE
   SET streak = excluded.streak, cleared_at = excluded.cleared_at
""")
_FORGET: Final = text(
    "DELETE FROM alert_watches WHERE rule = :rule AND device_id = ANY(:devices)"
)
_NEW: Final = """
new AS (
  SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb))
         AS n(device integer, alert bigint, shard smallint, message text, details jsonb)
)"""
_TELL: Final = """
INSERT INTO alert_events
       (tenant_id, device_id, alert_id, shard, rule, state, message, details, at)
SELECT c.tenant_id, c.device_id, c.id, n.shard, c.rule, :state, n.message, n.details, :at
  FROM changed c JOIN new n ON n.device = c.device_id
"""
_RAISE: Final = text(f"""
WITH {_NEW}, changed AS (
  INSERT INTO alerts (tenant_id, device_id, rule, message, details, raised_at)
  SELECT d.tenant_id, d.id, :rule, n.message, n.details, :at
    FROM new n JOIN devices d ON d.id = n.device
  ON CONFLICT (device_id, rule) WHERE cleared_at IS NULL DO NOTHING
  RETURNING id, tenant_id, device_id, rule
) {_TELL}""")  # noqa: S608 - every part is a constant
_CLEAR: Final = text(f"""
WITH {_NEW}, changed AS (
  UPDATE alerts a SET cleared_at = :at FROM new n
   WHERE a.id = n.alert AND a.cleared_at IS NULL
  RETURNING a.id, a.tenant_id, a.device_id, a.rule
) {_TELL}""")  # noqa: S608 - every part is a constant


@dataclass(frozen=True, slots=True)
class Look:
    """A look at a device: what is known of it and its rule, and what is seen.

    ``value``: what was measured, in the rule's unit; ``why`` as ``alert_words.message`` takes
    it. ``alert_id``: of the open alert. ``is_kept``: whether the watch has a row.
    """

    at: datetime
    device_id: int
    device: DeviceId
    alert_id: int | None
    rule: Rule
    watch: Watch
    is_kept: bool
    sight: Sight
    value: int | None
    why: str


@dataclass(frozen=True, slots=True)
class Told:
    """A transition of a look, and what to say of it."""

    look: Look
    message: str
    details: dict[str, Any]


def look(connection: Connection, name: Name, *, listening_s: float = 0.0) -> list[Look]:
    """Look at the devices of all tenants; return those with something to decide.

    ``listening_s``: how long the caller has heard devices without a pause.
    """
    default = {it: getattr(DEFAULTS[name], it) for it in _RULE}
    window = {"since": ARRIVING_S + MISSING_S, "until": ARRIVING_S}
    keys = {"rule": name, "listening": listening_s, **default, **window}
    wanted = _LOOKS[name].compile().params.keys()
    rows = connection.execute(_LOOKS[name], {it: keys[it] for it in wanted})
    return [
        Look(
            at=row.at,
            device_id=row.device_id,
            device=DeviceId(row.tenant, row.name),
            alert_id=row.alert_id,
            rule=Rule(*(getattr(row, it) for it in _RULE)),
            watch=Watch(row.alert_id is not None, row.streak, row.cleared_at),
            is_kept=row.is_kept,
            sight=Sight(row.sight),
            value=row.value,
            why=row.why,
        )
        for row in rows
    ]


def keep(connection: Connection, name: Name, watches: Sequence[tuple[Look, Watch]]) -> None:
    """Keep what is known after looks; of a watch at rest nothing."""
    kept = [
        {"device": it.device_id, "streak": new.streak, "cleared_at": _spelt(new.cleared_at)}
        for it, new in watches
        if new.streak or (new.cleared_at is not None and not new.is_at_rest(it.rule, it.at))
    ]
    known = {row["device"] for row in kept}
    gone = [it.device_id for it, _ in watches if it.is_kept and it.device_id not in known]
    if kept:
        connection.execute(_KEEP, {"rule": name, "rows": json.dumps(kept)})
    if gone:
        connection.execute(_FORGET, {"rule": name, "devices": gone})


def raise_(connection: Connection, name: Name, at: datetime, told: Sequence[Told]) -> int:
    """Raise alerts, each with what is to be told of it; return how many were not open yet."""
    return _change(connection, name, at, "raised", told) if told else 0


def clear(connection: Connection, name: Name, at: datetime, told: Sequence[Told]) -> int:
    """Clear the open alerts, likewise; return how many were still open."""
    return _change(connection, name, at, "cleared", told) if told else 0


def _change(
    connection: Connection, name: Name, at: datetime, state: str, told: Sequence[Told]
) -> int:
    rows = [
        {
            "device": it.look.device_id,
            "alert": it.look.alert_id,
            "shard": shard_of(it.look.device),
            "message": it.message,
            "details": it.details,
        }
        for it in told
    ]
    statement = _RAISE if state == "raised" else _CLEAR
    keys = {"rows": json.dumps(rows), "state": state, "at": at}
    if state == "raised":
        keys["rule"] = name
    return connection.execute(statement, keys).rowcount


def _spelt(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
