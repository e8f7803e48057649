"""How near the ingest comes to PostgreSQL's raw limit: binary COPY into the same table.

Every way in writes the same number of rows into the same table with the same index, in
transactions of the same size, with synchronous_commit on; the ways take turns, so that what
else the machine does strikes all of them. Run it from the root:

    python -m bench.ingest_copy --json result.json
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from sqlalchemy import Connection, Engine, text

from noctis.epoch import Frame, Run
from noctis.features import COUNT, NAMES
from noctis.identity import DeviceId
from noctis.storage import devices, migrate, rows, tenants
from noctis.storage.engine import create, transaction
from noctis.storage.ingest import Received, ingest
from noctis.storage.models import epochs
from noctis.storage.server import PostgresServer
from noctis.telemetry import configure_logging

TENANT: Final = "bench"
DEVICES: Final = 500
START: Final = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=50)
RUN: Final = Run(0, 0, 1, 0, int(START.timestamp()))


@dataclass(slots=True)
class Maker:
    """Makes epochs that nobody has stored yet."""

    batch: int
    next_seq: int = 1

    def frames(self, epochs_each: int) -> list[Received]:
        """Return one batch as frames of so many epochs, of as many devices as it takes."""
        random = np.random.default_rng(self.next_seq)
        frames = self.batch // epochs_each
        made = []
        for index in range(frames):
            number = index % DEVICES
            first = self.next_seq + index // DEVICES * epochs_each
            codes = random.integers(0, 30, (epochs_each, COUNT)).astype(np.int16)
            in_bed = np.ones(epochs_each, np.bool_)
            device = DeviceId(TENANT, f"d{number}")
            made.append(Received(device, Frame(number + 1, first, 0, RUN, codes, in_bed)))
        self.next_seq += -(-frames // DEVICES) * epochs_each
        return made

    def table(self) -> np.ndarray:
        """Return one batch as rows, sorted by their key."""
        random = np.random.default_rng(self.next_seq)
        made = np.zeros(self.batch, rows.ROW)
        each = -(-self.batch // DEVICES)
        number = np.arange(self.batch) // each
        made["tenant_id"], made["device_id"], made["stream"] = 1, number + 1, number + 1
        made["seq"] = self.next_seq + np.arange(self.batch) % each
        made["epoch_start"] = 1_000_000 * (RUN.utc_s + 30 * (made["seq"] - 1))
        made["codes"] = random.integers(0, 30, (self.batch, COUNT))
        made["received_at"] = 1_000_000 * RUN.utc_s
        self.next_seq += each
        return made


Prepared = Callable[[Connection], object]


def _raw_copy(maker: Maker) -> Prepared:
    payload = rows.copy_payload(epochs, maker.table())
    columns = ", ".join(epochs.columns.keys())

    def write(connection: Connection) -> None:
        driver = connection.connection.driver_connection
        if driver is None:
            raise RuntimeError
        with driver.cursor().copy(
            f"COPY epochs ({columns}) FROM STDIN (FORMAT BINARY)"
        ) as copy:
            copy.write(payload)

    return write


def _optimistic(maker: Maker) -> Prepared:
    made = maker.table()
    return lambda connection: rows.insert(connection, epochs, made, may_repeat=False)


def _unnest(maker: Maker) -> Prepared:
    made = maker.table()
    return lambda connection: rows.insert(connection, epochs, made, may_repeat=True)


def _executemany(maker: Maker) -> Prepared:
    made = maker.table()
    names = [*epochs.columns.keys()]
    moment = START
    values = [
        {
            **{name: int(row[name]) for name in names if name in (rows.ROW.names or ())},
            **dict(zip(NAMES, row["codes"].tolist(), strict=True)),
            "epoch_start": START + timedelta(seconds=30 * int(row["seq"] - 1)),
            "received_at": moment,
            "in_bed": True,
        }
        for row in made
    ]
    places = ", ".join(f":{name}" for name in names)
    statement = text(
        f"INSERT INTO epochs ({', '.join(names)}) VALUES ({places}) ON CONFLICT DO NOTHING"  # noqa: S608
    )
    return lambda connection: connection.execute(statement, values)


def _ingest_live(maker: Maker) -> Prepared:
    made = maker.frames(1)
    return lambda connection: ingest(connection, made)


def _ingest_backlog(maker: Maker) -> Prepared:
    made = [Received(one.device, one.frame, backlog=True) for one in maker.frames(64)]
    return lambda connection: ingest(connection, made)


WAYS: Final[dict[str, Callable[[Maker], Prepared]]] = {
    "raw COPY, bytes ready": _raw_copy,
    "optimistic COPY from numpy": _optimistic,
    "INSERT from unnest": _unnest,
    "ingest of live frames": _ingest_live,
    "ingest of backlog frames": _ingest_backlog,
    "executemany": _executemany,
}


def _enrol(engine: Engine) -> None:
    with transaction(engine, 60) as connection:
        tenants.add(connection, TENANT)
        for number in range(DEVICES):
            devices.add(TENANT, connection, f"d{number}")


def _rate(engine: Engine, way: Callable[[Maker], Prepared], maker: Maker) -> float:
    """Return the rows a second of one batch, its commit included."""
    write = way(maker)
    before = time.perf_counter()
    with transaction(engine, 120) as connection:
        write(connection)
    return maker.batch / (time.perf_counter() - before)


def measure(engine: Engine, *, rounds: int, batch: int) -> dict[str, dict[str, float]]:
    """Return for each way its median rows a second, and the ratio to raw COPY's."""
    _enrol(engine)
    maker = Maker(batch)
    with transaction(engine, 60) as connection:
        ingest(connection, maker.frames(1))  # binds the streams, as a running platform has
    rates: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(rounds + 2):
        for name, way in WAYS.items():
            rate = _rate(engine, way, maker)
            if number >= 2:  # noqa: PLR2004 - the first rounds warm up
                rates[name].append(rate)
    raw = median(rates["raw COPY, bytes ready"])
    return {
        name: {"rows_per_s": round(median(each)), "of_raw": round(median(each) / raw, 2)}
        for name, each in rates.items()
    }


def main() -> None:
    """Measure on a PostgreSQL of our own and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=2048, help="rows in a transaction")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    configure_logging("bench", level="warning")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with PostgresServer(Path(folder) / "postgres") as server:
            migrate.upgrade(server.url)
            engine = create(server.url)
            result = measure(engine, rounds=arguments.rounds, batch=arguments.batch)
            engine.dispose()
    for name, row in result.items():
        sys.stdout.write(f"{name:28} {row['rows_per_s']:9,.0f} rows/s  {row['of_raw']:5.2f}\n")
    if arguments.json:
        document = {"batch": arguments.batch, "rounds": arguments.rounds, "ways": result}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
