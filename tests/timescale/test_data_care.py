"""Retention and erasure on a real TimescaleDB: whole chunks, and rows of compressed ones."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import Engine, text

from noctis.epoch import Frame, Run
from noctis.features import COUNT
from noctis.identity import DeviceId
from noctis.storage import devices, disposal, retention, rolling, tenants
from noctis.storage.engine import transaction
from noctis.storage.ingest import Received, ingest
from noctis.storage.timescale import Edition, edition

pytestmark = pytest.mark.postgres
BED, COT, FAR = DeviceId("home", "bed"), DeviceId("home", "cot"), DeviceId("away", "bed")
KEPT = timedelta(days=60)
ALL = frozenset(range(64))
NOW = datetime.now(UTC).replace(microsecond=0)


def sleep(engine: Engine, who: DeviceId, days_ago: int, *, stream: int) -> None:
    """Store 128 epochs that began so many days ago, as late ones."""
    start = NOW - timedelta(days=days_ago)
    run = Run(0, 0, 1, 0, int(start.timestamp()))
    codes = np.random.default_rng(stream).integers(0, 30, (64, COUNT)).astype(np.int16)
    frames = [Frame(stream, 1 + 64 * n, 0, run, codes, np.ones(64, np.bool_)) for n in (0, 1)]
    with transaction(engine, 60) as connection:
        ingest(connection, [Received(who, one, backlog=True) for one in frames], kept=10 * KEPT)


@pytest.fixture
def fleet(engine: Engine) -> Engine:
    """Three devices with a night of 200 days ago and one of 40, most of it compressed."""
    with transaction(engine) as connection:
        for who in (BED, COT, FAR):
            if who != COT:
                tenants.add(connection, who.tenant)
            devices.add(who.tenant, connection, who.device)
    for number, who in enumerate((BED, COT, FAR)):
        sleep(engine, who, 200, stream=10 + number)
        sleep(engine, who, 40, stream=20 + number)
    for _ in range(9999):
        with transaction(engine, 100) as connection:
            if not rolling.step(connection).busy:
                break
    with transaction(engine, 60) as connection:
        if edition(connection) is Edition.FULL:
            connection.execute(
                text("SELECT compress_chunk(c, true) FROM show_chunks('epochs') c")
            )
    return engine


def held(engine: Engine, table: str = "epochs") -> dict[int, int]:
    """Return how many rows each device has."""
    with transaction(engine) as connection:
        rows = connection.execute(
            text(f"SELECT device_id, count(*) FROM {table} GROUP BY 1")  # noqa: S608
        )
        return dict(row for row in rows)


def keep(engine: Engine) -> None:
    """Do what the companion does in an hour."""
    with transaction(engine, 60) as connection:
        due = retention.due(connection, ALL, KEPT)
    for one in due:
        gone = {"": 1}
        while gone:
            with transaction(engine, 60) as connection:
                gone = retention.step(connection, one, limit=50)
    with transaction(engine, 60) as connection:
        retention.drop_chunks(connection, KEPT)


def test_old_chunks_are_dropped_and_shorter_days_are_kept_row_by_row(fleet: Engine) -> None:
    assert held(fleet) == {1: 256, 2: 256, 3: 256}
    hours = held(fleet, "epochs_hourly")
    keep(fleet)
    assert held(fleet) == {1: 128, 2: 128, 3: 128}
    assert held(fleet, "epochs_hourly") == {key: count // 2 for key, count in hours.items()}
    with transaction(fleet) as connection:
        chunks = connection.scalar(text("SELECT count(*) FROM show_chunks('epochs')"))
        tenants.set_retention("home", connection, 30)
    assert chunks in {1, 2}
    keep(fleet)
    assert held(fleet) == {3: 128}
    assert set(held(fleet, "epochs_hourly")) == {3}


def test_everything_of_one_device_goes_from_compressed_chunks_and_nothing_of_others(
    fleet: Engine,
) -> None:
    hours = held(fleet, "epochs_hourly")
    steps = 0
    while True:
        with transaction(fleet, 60) as connection:
            if not disposal.anything(1, connection, 1, limit=50):
                break
        steps += 1
    assert steps >= 256 // 50
    assert held(fleet) == {2: 256, 3: 256}
    assert held(fleet, "epochs_hourly") == {key: hours[key] for key in (2, 3)}
    assert set(held(fleet, "runs")) == {2, 3}
