"""What the facade's rules cost: storage functions as the tables' owner and as its role.

``python -m bench.guards``: in turn, medians of one run on a database of its own; compare the
two alone.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Final

from sqlalchemy import Connection, Engine, text

from noctis.features import NAMES
from noctis.storage import devices, epochs, guards, migrate, predictions, recordings, tenants
from noctis.storage.engine import create, transaction
from noctis.storage.server import PostgresServer

TENANTS: Final = 10
DEVICES: Final = 5
DAYS: Final = 10
SINCE: Final = datetime(2026, 11, 5, tzinfo=UTC)
UNTIL: Final = SINCE + timedelta(days=1)
WHO: Final = ("t3", "d2")
_CODES: Final = ", ".join(NAMES)
_FILL: Final = (
    """
INSERT INTO runs (device_id, stream, run_seq, tenant_id, reason, voids, boot, tick_s, utc_s,
                  utc, received_at)
SELECT id, id, 0, tenant_id, 0, 0, 1, 5, 1, timestamptz '2026-11-01Z', now() FROM devices
""",
    f"""
INSERT INTO epochs (tenant_id, device_id, epoch_start, stream, seq, run_seq, in_bed,
                    received_at, {_CODES})
SELECT tenant_id, id, timestamptz '2026-11-01Z' + n * interval '30 s', id, n, 0, true, now(),
       {", ".join("5" for _ in NAMES)}
  FROM devices, generate_series(1, :epochs) n
""",  # noqa: S608 - constants
    """
INSERT INTO predictions (tenant_id, device_id, stream, seq, model_id, epoch_start, stage,
                         p_wake, p_light, p_deep, p_rem)
SELECT tenant_id, id, id, n, :model, timestamptz '2026-11-01Z' + n * interval '30 s', 1,
       0.1, 0.7, 0.1, 0.1
  FROM devices, generate_series(1, :epochs) n
""",
)
CALLS: Final[dict[str, Callable[[Connection], object]]] = {
    "a device": lambda it: devices.get(WHO[0], it, WHO[1]),
    "100 epochs": lambda it: epochs.read(WHO[0], it, WHO[1], SINCE, UNTIL, limit=100),
    "1000 epochs": lambda it: epochs.read(WHO[0], it, WHO[1], SINCE, UNTIL, limit=1000),
    "120 predictions": lambda it: predictions.read(*_page(it)),
    "nights": lambda it: recordings.list_of(WHO[0], it, WHO[1]),
}


def _page(connection: Connection) -> tuple[str, Connection, str, datetime, datetime]:
    return WHO[0], connection, WHO[1], SINCE, SINCE + timedelta(hours=1)


def _fill(engine: Engine) -> None:
    with transaction(engine, 600) as connection:
        for tenant in range(TENANTS):
            tenants.add(connection, f"t{tenant}")
            for device in range(DEVICES):
                devices.add(f"t{tenant}", connection, f"d{device}")
        values = {
            "epochs": DAYS * 2880,
            "model": predictions.model_id(connection, "stager", "1"),
        }
        for statement in _FILL:
            connection.execute(text(statement), values)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def _milliseconds(
    engine: Engine, call: Callable[[Connection], object], *, guarded: bool
) -> float:
    started = time.perf_counter()
    with transaction(engine, 60) as connection:
        if guarded:
            guards.enter(connection, WHO[0])
        call(connection)
    return 1e3 * (time.perf_counter() - started)


def _compare(
    engines: Mapping[bool, Engine], what: str, call: Callable[[Connection], object], times: int
) -> None:
    took: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(times):
        for guarded, engine in engines.items():
            took[guarded].append(_milliseconds(engine, call, guarded=guarded))
    owner, facade = median(took[False]), median(took[True])
    line = f"{what:16s} owner {owner:7.2f} ms  facade {facade:7.2f} ms"
    sys.stdout.write(f"{line}  ratio {facade / owner:.2f}\n")


def main() -> int:
    """Print a line for each call."""
    parser = argparse.ArgumentParser(prog="python -m bench.guards", description=__doc__)
    parser.add_argument("--times", type=int, default=100, help="how often each is called")
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with PostgresServer(folder / "postgres", settings={"fsync": "off"}) as server:
            migrate.upgrade(server.url)
            engines = {kind: create(server.url, connections=1) for kind in (False, True)}
            _fill(engines[False])
            for what, call in CALLS.items():
                _compare(engines, what, call, times)
            for engine in engines.values():
                engine.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main())
