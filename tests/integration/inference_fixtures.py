"""The inference worker as a process, made-up nights, and what is stored of them."""

import json
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import randrange
from typing import Any, Self

import numpy as np
import pytest
from sqlalchemy import Engine, select
from typing_extensions import override

from broker.server import MosquittoServer
from inference.model import DEFAULT_FOLDER
from noctis import topics
from noctis.childproc import Child, free_port
from noctis.epoch import Frame, Run, encode_frame
from noctis.features import COUNT, NAMES, quantise
from noctis.identity import DeviceId
from noctis.storage import devices, tenants
from noctis.storage.engine import create, transaction
from noctis.storage.ingest import Received, ingest
from noctis.storage.models import models, predictions
from noctis.storage.runs import signed
from noctis.storage.server import PostgresServer
from registry.manifest import MANIFEST
from registry.store import Registry
from tests.integration.broker_fixtures import Client, eventually, password_of

D1, D2, OTHER = DeviceId("t1", "d1"), DeviceId("t1", "d2"), DeviceId("t2", "d1")
STARTS_WITHIN_S = 30.0


@dataclass(frozen=True)
class Settled:
    """A row of the table ``predictions``."""

    seq: int
    stage: int | None
    probabilities: tuple[float | None, ...]
    model: str


class Night:
    """A made-up night of one stream: a sleeper who comes, stirs, walks off and returns."""

    def __init__(self, epochs: int, *, seed: int = 0, utc_s: int | None = None) -> None:
        random = np.random.default_rng(seed)
        depth = np.sin(np.arange(epochs) / 25.0)
        values = np.full((epochs, COUNT), np.nan)
        for name, column in {
            "hr_mean": 60 - 6 * depth + random.normal(size=epochs),
            "hr_sd": 2 - depth,
            "hr_rmssd": 2 - depth + 0.2 * random.normal(size=epochs),
            "rr_mean": 14 - depth,
            "act_count": np.where(random.random(epochs) < 0.1, 40.0, 0.0),
            "move_frac": random.random(epochs) * 0.2,
            "still_s": 60 * random.random(epochs),
            "quality": np.where(random.random(epochs) < 0.05, 0.1, 0.9),
        }.items():
            values[:, NAMES.index(name)] = column
        self.codes = quantise(values)
        self.in_bed = np.ones(epochs, bool)
        self.in_bed[: min(5, epochs // 4)] = False
        self.in_bed[epochs // 2 : epochs // 2 + 3] = False
        self.stream = randrange(1 << 64)  # noqa: S311 - not a secret
        self.utc_s = int(time.time()) - 30 * epochs if utc_s is None else utc_s

    def __len__(self) -> int:
        return len(self.codes)

    def frames(self, *, size: int = 1, sector: int = 280) -> list[Frame]:
        """Return the night as frames; every ``sector`` epochs a RUN takes a number."""
        made = []
        for begin in range(0, len(self), sector):
            run_seq = begin + begin // sector
            run = Run(int(begin > 0), 0, 1, 5 + 30 * begin, self._utc_s(begin))
            end = min(begin + sector, len(self))
            for at in range(begin, end, size):
                part = slice(at, min(at + size, end))
                first = run_seq + 1 + at - begin
                made.append(
                    Frame(self.stream, first, run_seq, run, self.codes[part], self.in_bed[part])
                )
        return made

    def _utc_s(self, epoch: int) -> int:
        return self.utc_s + 30 * epoch if self.utc_s else 0


def seqs_of(frames: Sequence[Frame]) -> list[int]:
    return [int(seq) for frame in frames for seq in frame.seqs]


class LiveDevice(Client):
    """A device that publishes frames on its live topic."""

    def __init__(self, port: int, device: DeviceId = D1) -> None:
        super().__init__(port, str(device))
        self.device = device

    def tell(self, frame: Frame | bytes) -> None:
        payload = frame if isinstance(frame, bytes) else encode_frame(frame)
        self.publish(topics.up(self.device, "epochs"), payload)


class Phone(Client):
    """An app of tenant t1 that reads the stages of one stream."""

    def __init__(self, port: int, stream: int) -> None:
        super().__init__(port, "phone@t1")
        self._stream = f"{stream:016x}"

    @override
    def __enter__(self) -> Self:
        super().__enter__()
        self.subscribe(topics.stages("t1"))
        return self

    def stage(self, timeout: float = 10.0) -> dict[str, Any]:
        """Return the next stage of the stream that is told from now on."""
        deadline = time.monotonic() + timeout
        while True:
            message = self.next(max(0.0, deadline - time.monotonic()))
            document: dict[str, Any] = json.loads(message.payload)
            if document["stream"] == self._stream and not message.retain:
                return document


class Worker:
    """``python -m inference`` as a child process."""

    def __init__(self, port: int, url: str, folder: Path, **environment: str) -> None:
        self.metrics_port = free_port()
        self.var = folder / "var"
        self._log = folder / "inference.log"
        self._environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "NOCTIS_VAR": str(self.var),
            "NOCTIS_BROKER_PORT": str(port),
            "NOCTIS_BROKER_PASSWORD": password_of("svc-live-0"),
            "NOCTIS_DATABASE_URL": url,
            "NOCTIS_DATABASE_SECONDS": "3",
            "NOCTIS_METRICS_PORT": str(self.metrics_port),
            **environment,
        }
        self.start()

    def start(self) -> None:
        arguments = [sys.executable, "-m", "inference"]
        self.child = Child(arguments, log=self._log, environment=self._environment)
        assert eventually(self._is_ready, within_s=STARTS_WITHIN_S), self.child.tail()

    def kill(self) -> None:
        self.child.kill()

    def metric(self, name: str) -> float:
        lines = [line.split() for line in self.get("/metrics").splitlines() if line[:1] != "#"]
        return sum(float(value) for key, value in lines if key.partition("{")[0] == name)

    def _is_ready(self) -> bool:
        try:
            return bool(self.get("/readyz"))
        except (urllib.error.URLError, ConnectionError):
            return False

    def get(self, path: str) -> str:
        address = f"http://127.0.0.1:{self.metrics_port}{path}"
        with urllib.request.urlopen(address, timeout=5) as answer:
            body: bytes = answer.read()
        return body.decode()


@contextmanager
def running_worker(port: int, url: str, folder: Path, **environment: str) -> Iterator[Worker]:
    worker = Worker(port, url, folder, **environment)
    try:
        yield worker
    finally:
        worker.kill()


def add_devices(engine: Engine) -> None:
    with transaction(engine) as connection:
        for tenant, names in {"t1": ("d1", "d2"), "t2": ("d1",)}.items():
            tenants.add(connection, tenant)
            for name in names:
                devices.add(tenant, connection, name)


def store(
    engine: Engine, frames: Sequence[Frame], *, device: DeviceId = D1, backlog: bool = False
) -> None:
    """Store frames as the ingestor does."""
    with transaction(engine, 30) as connection:
        verdicts = ingest(connection, [Received(device, one, backlog) for one in frames])
    assert {verdict.reason for verdict in verdicts} == {""}


def settled(engine: Engine, stream: int) -> list[Settled]:
    """Return every stored prediction of a stream, doubles included, by seq."""
    table = predictions.c
    query = (
        select(
            table.seq,
            table.stage,
            table.p_wake,
            table.p_light,
            table.p_deep,
            table.p_rem,
            models.c.name + "@" + models.c.version,
        )
        .join(models, models.c.id == table.model_id)
        .where(table.stream == signed(stream))
        .order_by(table.seq, table.model_id)
    )
    with transaction(engine) as connection:
        rows = connection.execute(query).all()
    return [Settled(row[0], row[1], tuple(row[2:6]), row[6]) for row in rows]


def wait_settled(
    engine: Engine, stream: int, count: int, *, within_s: float = 30.0
) -> list[Settled]:
    """Return the predictions of a stream once there are so many."""
    eventually(lambda: len(settled(engine, stream)) >= count, within_s=within_s)
    found = settled(engine, stream)
    assert len(found) == count
    return found


def publish_model(var: Path, version: str) -> Registry:
    """Publish a copy of the shipped model under another version."""
    registry = Registry(var / "models")
    draft = var / f"draft-{version}"
    shutil.copytree(DEFAULT_FOLDER, draft)
    manifest = json.loads((draft / MANIFEST).read_text())
    (draft / MANIFEST).write_text(json.dumps(manifest | {"version": version}))
    registry.publish(draft)
    return registry


@pytest.fixture(scope="module")
def database(own_postgres: PostgresServer) -> Iterator[Engine]:
    engine = create(own_postgres.url, application="noctis-test")
    add_devices(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def shared_worker(
    broker: MosquittoServer,
    own_postgres: PostgresServer,
    database: Engine,  # noqa: ARG001 - there must be devices
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("worker")
    with running_worker(broker.port, own_postgres.url, folder) as worker:
        yield worker


@pytest.fixture
def worker(shared_worker: Worker) -> Worker:
    """The worker; started again where a test has ended it."""
    if shared_worker.child.exit_code is not None:
        shared_worker.start()
    return shared_worker
