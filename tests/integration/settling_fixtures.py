"""Epochs as they are sent, looked for and settled."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import Engine, text

from noctis.epoch import Frame, Run
from noctis.features import FEATURES
from noctis.identity import DeviceId
from noctis.stages import Stage
from noctis.storage import (
    devices,
    predictions,
    tenants,
)
from noctis.storage.engine import transaction
from noctis.storage.ingest import Received, ingest
from noctis.storage.predictions import Prediction, Stretch

BED = DeviceId("home", "bed")
COT = DeviceId("home", "cot")
STREAM = 0xFEDCBA9876543210


def frame(
    first: int,
    count: int,
    *,
    run_seq: int = 0,
    utc: datetime | None,
    tick_s: int = 10,
    stream: int = STREAM,
) -> Frame:
    random = np.random.default_rng(first)
    codes = np.stack([random.integers(0, 1 << f.bits, count) for f in FEATURES], axis=1)
    run = Run(0, 0, 1, tick_s, 0 if utc is None else int(utc.timestamp()))
    in_bed = random.random(count) < 0.5
    return Frame(stream, first, run_seq, run, codes.astype(np.int16), in_bed)


@pytest.fixture
def home(engine: Engine) -> Engine:
    with transaction(engine) as connection:
        for tenant, names in {"home": ("bed", "cot"), "away": ("bed",)}.items():
            tenants.add(connection, tenant)
            for name in names:
                devices.add(tenant, connection, name)
    return engine


@pytest.fixture
def start() -> datetime:
    """The start of the first epoch: some minutes ago, as live epochs are."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)


def send(engine: Engine, *frames: Frame, device: DeviceId = BED, backlog: bool = False) -> None:
    with transaction(engine) as connection:
        verdicts = ingest(connection, [Received(device, one, backlog) for one in frames])
    assert {verdict.code for verdict in verdicts} == {0}


def model(engine: Engine, version: str = "1") -> int:
    with transaction(engine) as connection:
        return predictions.model_id(connection, "tcn", version)


def look(
    engine: Engine, key: int, *, limit: int = 5000, shards: set[int] | None = None
) -> list[Stretch]:
    with transaction(engine) as connection:
        return predictions.unsettled(connection, key, limit=limit, shards=shards)


def settle(engine: Engine, key: int, stretches: list[Stretch]) -> int:
    rows = [
        Prediction(one.device_id, one.stream, int(seq), begin, Stage.REM, (0.1, 0.2, 0.3, 0.4))
        for one in stretches
        for seq, begin in zip(one.seq, one.epoch_start, strict=True)
    ]
    with transaction(engine) as connection:
        return predictions.store(connection, key, rows)


def notes(engine: Engine) -> int:
    with transaction(engine) as connection:
        return connection.execute(text("SELECT count(*) FROM outbox")).scalar_one()


def receive(engine: Engine, one: Frame, moment: datetime) -> None:
    with transaction(engine) as connection:
        assert ingest(connection, [Received(BED, one)], now=moment)[0].stored == one.count
