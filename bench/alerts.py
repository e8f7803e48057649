"""What a look of each rule of alerts costs: ``python -m bench.alerts --devices 2000 --json``.

A fleet with so many hours of epochs behind it; all of it is well, then all of it is silent and
without breath. Milliseconds of the database's and of Python's work on a database of its own,
the median of some looks, and the rows that a look returns.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

from sqlalchemy import Engine, text

from companion.alerts import evaluate
from noctis.alerts import RULES, Name
from noctis.features import NAMES
from noctis.storage import alert_watches, migrate, tenants
from noctis.storage.engine import create, transaction
from noctis.storage.server import PostgresServer
from noctis.telemetry import configure_logging

__all__ = ["main"]

Figures = dict[str, float]
ALL: Final = frozenset(range(64))
LOOKS: Final = 5
LISTENING_S: Final = 1e6
_MISSING: Final = 255
_CODES: Final = ", ".join(NAMES)
_FILL: Final = (
    """
INSERT INTO devices (tenant_id, name)
SELECT 1 + n % 20, 'd' || n FROM generate_series(1, :devices) n""",
    """
INSERT INTO device_reports (device_id, body)
SELECT id, '{"state": "online", "stream": "0000000000000001"}' FROM devices""",
    f"""
INSERT INTO epochs (tenant_id, device_id, epoch_start, stream, seq, run_seq, in_bed,
                    received_at, {_CODES})
SELECT tenant_id, id, now() - n * interval '30 s', id, :epochs - n, 0, true, now(),
       {", ".join("5" for _ in NAMES)}
  FROM devices, generate_series(1, :epochs) n""",  # noqa: S608 - constants
    """
INSERT INTO drift_reports (tenant_id, device_id, model, day, verdict, body)
SELECT tenant_id, id, 'stager@1', date '2026-11-01' - n, 'stable', '{}'
  FROM devices, generate_series(1, 30) n""",
)
_SPOIL: Final = (
    "UPDATE device_reports SET reported_at = now() - interval '1 hour'",
    f"UPDATE epochs SET rr_mean = {_MISSING} WHERE epoch_start > now() - interval '1 hour'",  # noqa: S608 - a constant
)


def main() -> int:
    """Measure, and tell; 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=2000, help="how many (2000)")
    parser.add_argument("--hours", type=int, default=8, help="of epochs of each (8)")
    parser.add_argument("--json", action="store_true", help="one JSON value on stdout")
    given = parser.parse_args()
    configure_logging("bench", level="warning")
    with tempfile.TemporaryDirectory(prefix="noctis-bench-") as name:
        Path(name).chmod(0o755)
        with PostgresServer(Path(name) / "postgres") as server:
            migrate.upgrade(server.url)
            engine = create(server.url, application="noctis-bench")
            told = _measure(engine, given.devices, 120 * given.hours)
            engine.dispose()
    if given.json:
        print(json.dumps(told))
    else:
        for state, rules in told.items():
            for rule, figures in rules.items():
                print(f"{state:<10}{rule:<16}", *(f"{k} {v}" for k, v in figures.items()))
    return 0


def _measure(engine: Engine, devices: int, epochs: int) -> dict[str, dict[str, Figures]]:
    with transaction(engine, 600) as connection:
        for number in range(20):
            tenants.add(connection, f"t{number}")
        for statement in _FILL:
            wanted = text(statement).compile().params.keys()
            keys = {"devices": devices, "epochs": epochs}
            connection.execute(text(statement), {it: keys[it] for it in wanted})
    _analyse(engine)
    told: dict[str, dict[str, Figures]] = {
        "well": {name: _look(engine, name) for name in RULES}
    }
    with transaction(engine, 600) as connection:
        for statement in _SPOIL:
            connection.execute(text(statement))
    told["bad"] = {}
    spoilt: tuple[Name, ...] = ("no_breathing", "silent")
    for name in spoilt:
        # Of these looks the second raises every alert, and those behind it find them open.
        told["bad"][name] = _look(engine, name)
    return told


def _analyse(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def _look(engine: Engine, name: Name) -> Figures:
    times, raised = [], 0
    for _ in range(LOOKS):
        began = time.monotonic()
        with transaction(engine, 60) as connection:
            raised += evaluate(connection, name, ALL, listening_s=LISTENING_S)[0]
        times.append(1000 * (time.monotonic() - began))
    with transaction(engine, 60) as connection:
        rows = len(alert_watches.look(connection, name, listening_s=LISTENING_S))
    return {
        "median_ms": round(median(times), 1),
        "most_ms": round(max(times), 1),
        "rows": rows,
        "raised": raised,
    }


if __name__ == "__main__":
    raise SystemExit(main())
