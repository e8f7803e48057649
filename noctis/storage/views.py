"""The SQL of the views: epochs on one time line, and their features in physical units.

Both follow ``noctis/features.toml``: whoever changes a feature adds a migration that drops the
views and makes them again.
"""

from typing import Final

from noctis.epoch import EPOCH_SECONDS
from noctis.features import FEATURES, NAMES, Feature

__all__ = ["CREATE", "DROP", "SHIFTED", "value"]

SHIFTED: Final = "shift <> '0'::interval"
"""The runs whose time base was corrected: few, and an index knows them."""

_KEYS: Final = "tenant_id, device_id, stream, seq, run_seq"


def _timeline() -> str:
    """Return the view of all epochs, each with the best start that is known for it.

    ``placement`` is ``device`` (the run's own clock), ``corrected`` (that and the run's
    shift), ``anchored`` (no usable clock: counted by the monotonic clock from a run of the
    same boot that knows the time, a later one where there is one) or ``estimated`` (no clock
    in that boot: not later than what the moments of receipt allow).
    """
    keys = ", ".join(f"e.{name}" for name in _KEYS.split(", "))
    codes = ", ".join(f"e.{name}" for name in NAMES)
    run = "r.device_id = e.device_id AND r.stream = e.stream AND r.run_seq = e.run_seq"
    return f"""
CREATE VIEW epoch_timeline AS
SELECT {keys}, e.epoch_start, 'device'::text AS placement, e.in_bed, {codes}, e.received_at
  FROM epochs e
 WHERE (e.device_id, e.stream, e.run_seq) NOT IN (
         SELECT r.device_id, r.stream, r.run_seq FROM runs r WHERE r.{SHIFTED})
UNION ALL
SELECT r.tenant_id, r.device_id, r.stream, e.seq, r.run_seq,
       e.epoch_start + r.shift, 'corrected'::text, e.in_bed, {codes}, e.received_at
  FROM runs r
 CROSS JOIN LATERAL (
    SELECT * FROM epochs e
     WHERE {run} AND e.epoch_start >= r.utc
       AND e.epoch_start < r.utc + interval '{EPOCH_SECONDS} seconds' * coalesce(
             (SELECT min(n.run_seq) FROM runs n WHERE n.device_id = r.device_id
                 AND n.stream = r.stream AND n.run_seq > r.run_seq) - r.run_seq, 100000000)
    OFFSET 0
  ) e
 WHERE r.{SHIFTED}
UNION ALL
SELECT {keys},
       coalesce(anchor.boot_at, e.boot_estimate) + e.since_boot + e.shift,
       CASE WHEN anchor.boot_at IS NULL THEN 'estimated'::text ELSE 'anchored'::text END,
       e.in_bed, {codes}, e.received_at
  FROM (
    SELECT t.*, min(t.received_at - t.since_boot - interval '{EPOCH_SECONDS} seconds')
                OVER (PARTITION BY t.device_id, t.stream, t.boot) AS boot_estimate
      FROM (
        SELECT e.*, r.boot, r.shift, make_interval(
                 secs => r.tick_s + {EPOCH_SECONDS} * (e.seq - e.run_seq - 1)) AS since_boot
          FROM epochs_untimed e JOIN runs r ON {run}
      ) t
  ) e
  LEFT JOIN LATERAL (
    SELECT a.utc + a.shift - make_interval(secs => a.tick_s) AS boot_at
      FROM runs a
     WHERE a.device_id = e.device_id AND a.stream = e.stream AND a.boot = e.boot
       AND a.utc IS NOT NULL
     ORDER BY a.run_seq < e.run_seq, abs(a.run_seq - e.run_seq) LIMIT 1
  ) anchor ON true"""  # noqa: S608 - every part is a constant of the schema


def value(feature: Feature, *, where: str = "") -> str:
    """Return the expression of a feature's value in its unit; null where it is missing.

    ``where``: a condition of the row, null where it does not hold.
    """
    column = feature.name
    if feature.scale == "log":
        known = f"{feature.knee!r}::float8 * (exp({feature.step!r}::float8 * {column}) - 1)"
    else:
        known = f"{feature.minimum!r}::float8 + {feature.step!r}::float8 * {column}"
    condition = f"{where} AND " if where else ""
    return f"CASE WHEN {condition}{column} <> {feature.missing} THEN {known} END"


def _values() -> str:
    """Return the view of ``epoch_timeline`` in physical units, a missing value as null."""
    values = ",\n       ".join(f"{value(feature)} AS {feature.name}" for feature in FEATURES)
    return f"""
CREATE VIEW epoch_values AS
SELECT {_KEYS}, epoch_start, placement, in_bed,
       {values},
       received_at
  FROM epoch_timeline"""  # noqa: S608 - every part is a constant of the schema


CREATE: Final = (_timeline(), _values())
DROP: Final = ("DROP VIEW epoch_values", "DROP VIEW epoch_timeline")
