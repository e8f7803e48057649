"""``noctis watch`` as a process, beside the real facade, a real broker and a real database."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest
from sqlalchemy import Engine

from broker.server import MosquittoServer
from noctis import passphrases, topics
from noctis.stages import Stage
from noctis.storage import devices, predictions, users
from noctis.storage.engine import create, transaction
from noctis.storage.predictions import Prediction
from tests.integration.broker_fixtures import Client, password_of
from tests.integration.conftest import fresh_database
from tests.integration.consoles import Console
from tests.integration.facade_fixtures import Facade, running_facade
from tests.integration.inference_fixtures import D1, Night, add_devices, store
from tests.proxy import Proxy

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

NOCTIS = Path(sys.executable).with_name("noctis")
PASSWORD = "correct horse battery staple"
WITHIN_S = 20.0


class Watch:
    """``noctis watch t1/d1 --jsonl``, read line by line."""

    def __init__(self, console: Console, where: str) -> None:
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self.seen: list[str | None] = []
        self._child = subprocess.Popen(
            [NOCTIS, "watch", "t1/d1", "--jsonl", "--for", "120", "--profile", where],
            env={**os.environ, **console.environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._child.terminate()
        self._child.wait(10)
        self._reader.join(10)

    def await_epoch(self, at: str | None) -> dict[str, Any]:
        """Return the line of an epoch, past those that it began with."""
        while True:
            line = self._lines.get(timeout=WITHIN_S)
            self.seen.append(line["t"])
            if line["t"] == at:
                return line

    def _read(self) -> None:
        assert self._child.stdout is not None
        with self._child.stdout as told:
            for line in told:
                self._lines.put(json.loads(line))


class Sleeper:
    """A night of t1/d1 that goes on: an epoch is told live, stored, and staged, in turn."""

    def __init__(self, database: Engine, worker: Client) -> None:
        self._database = database
        self._worker = worker
        self._night = Night(60, seed=5, utc_s=int(time.time()) - 30 * 60)
        self._frames = self._night.frames()
        self._at = 0

    def start(self, place: int) -> str:
        return datetime.fromtimestamp(self._night.utc_s + 30 * place, UTC).isoformat()

    def tell(self, stage: str | None, *, has_clock: bool = True) -> str:
        """Let the live worker tell the next epoch's stage; return when that began."""
        self._at += 1
        document = {
            "schema_version": 1,
            "t": self.start(self._at - 1).replace("+00:00", "Z") if has_clock else None,
            "stream": f"{self._night.stream:016x}",
            "seq": self._at,
            "stage": stage,
        }
        payload = json.dumps(document).encode()
        self._worker.publish(topics.stage(D1), payload, retain=True)
        return self.start(self._at - 1)

    def keep(self, stage: Stage) -> None:
        """Let what was told last be stored, and staged."""
        store(self._database, [self._frames[self._at - 1]], device=D1)
        with transaction(self._database) as connection:
            model = predictions.model_id(connection, "stager", "1")
            key = devices.get("t1", connection, "d1").id
            row = (datetime.fromisoformat(self.start(self._at - 1)), stage, None)
            made = Prediction(key, self._night.stream, self._at, *row)
            predictions.store(connection, model, [made])

    def settle(self, stage: Stage) -> str:
        """Let another epoch come while nobody hears it live; return when that began."""
        self._at += 1
        self.keep(stage)
        return self.start(self._at - 1)


@pytest.fixture(scope="module")
def database_url(postgres: str, migrated: str) -> Iterator[str]:
    with fresh_database(postgres, migrated) as url:
        yield url


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[Engine]:
    engine = create(database_url, application="noctis-test")
    add_devices(engine)
    hashed = passphrases.hash_passphrase(PASSWORD)
    with transaction(engine) as connection:
        users.add("t1", connection, "ann", role="admin", password_hash=hashed)
    yield engine
    engine.dispose()


@contextmanager
def facade_on(broker: MosquittoServer, url: str, folder: Path) -> Iterator[Facade]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOCTIS_BROKER_PASSWORD", password_of("svc-api-0"))
        with running_facade(Facade(broker.port, url, folder)) as facade:
            yield facade


@pytest.fixture(scope="module")
def far(
    broker: MosquittoServer,
    database: Engine,  # noqa: ARG001 - there must be ann and her device
    database_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Console, Proxy]]:
    """A console on the platform's machine, logged in by the profile ``far`` as well."""
    folder = tmp_path_factory.mktemp("watch")
    with facade_on(broker, database_url, folder) as facade, Proxy(facade.port) as proxy:
        facade.speaker()  # the keys are there
        console = Console(database_url, facade.var)
        console.environment["NOCTIS_API_PORT"] = str(proxy.port)
        address = f"http://127.0.0.1:{proxy.port}"
        done = console(
            "login", address, "--user", "ann@t1", "--profile", "far", told=f"{PASSWORD}\n"
        )
        assert done.returncode == 0, done.stderr
        yield console, proxy


@pytest.fixture(scope="module")
def sleeper(broker: MosquittoServer, database: Engine) -> Iterator[Sleeper]:
    with Client(broker.port, "svc-live-0") as worker:
        yield Sleeper(database, worker)


@pytest.mark.parametrize("where", ["local", "far"])
def test_a_stage_is_seen_when_it_is_told_and_a_lost_stream_is_made_good(
    far: tuple[Console, Proxy], sleeper: Sleeper, where: str
) -> None:
    console, proxy = far
    before = sleeper.settle(Stage.WAKE)
    with Watch(console, where) as watch:
        watch.await_epoch(before)
        told = sleeper.tell("deep")  # nothing is stored of it yet, and nothing staged
        seen = watch.await_epoch(told)
        assert (seen["device"], seen["stage"]) == ("t1/d1", "deep")
        assert (seen["in_bed"], seen["heart_rate"]) == (None, None)
        sleeper.keep(Stage.DEEP)
        proxy.cut()
        missed = watch.await_epoch(sleeper.settle(Stage.REM))
        assert missed["stage"] == "rem"
        assert missed["heart_rate"] is not None
        assert watch.await_epoch(sleeper.tell("light"))["stage"] == "light"
        sleeper.keep(Stage.LIGHT)
    assert len(watch.seen) == len(set(watch.seen))


def test_a_device_without_a_clock_is_watched_too(
    far: tuple[Console, Proxy], sleeper: Sleeper
) -> None:
    before = sleeper.settle(Stage.WAKE)
    with Watch(far[0], "far") as watch:
        watch.await_epoch(before)
        sleeper.tell("deep", has_clock=False)
        assert watch.await_epoch(None)["stage"] == "deep"
