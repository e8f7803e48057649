"""Live stages by the client: the facade is killed, and no epoch is lost or told twice."""

import queue
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import Engine

from broker.server import MosquittoServer
from noctis.client import AsyncNoctis, LiveStage, Noctis, NotFoundError
from noctis.stages import Stage
from noctis.storage import accounts, predictions
from noctis.storage.engine import create, transaction
from noctis.storage.predictions import Prediction
from tests.integration.broker_fixtures import Client, eventually, password_of
from tests.integration.conftest import fresh_database
from tests.integration.facade_fixtures import Facade, running_facade
from tests.integration.inference_fixtures import D2, Night, add_devices, store
from tests.integration.test_stages_stream import streams_of, tell

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

SECRET = "of the lamp's own"
SEEN, MEANWHILE, LATER = 5, 20, 25


@pytest.fixture
def database_url(postgres: str, migrated: str) -> Iterator[str]:
    with fresh_database(postgres, migrated) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    engine = create(database_url, application="noctis-test")
    add_devices(engine)
    with transaction(engine) as connection:
        accounts.add("t1", connection, "lamp@t1", "app", SECRET, role="viewer")
    yield engine
    engine.dispose()


class Heard:
    """What a client of one of both forms hears, in a thread of its own."""

    def __init__(self, form: str, url: str) -> None:
        self.stages: queue.Queue[LiveStage] = queue.Queue()
        self._done = threading.Event()
        listen = self._sync if form == "sync" else self._async
        self._thread = threading.Thread(target=listen, args=(url,), daemon=True)
        self._thread.start()

    def _sync(self, url: str) -> None:
        with Noctis(url, app="lamp@t1", password=SECRET) as noctis:
            for stage in noctis.stages("d2"):
                self.stages.put(stage)
                if self._done.is_set():
                    return

    def _async(self, url: str) -> None:
        async def listen() -> None:
            async with AsyncNoctis(url, app="lamp@t1", password=SECRET) as noctis:
                async for stage in noctis.stages("d2"):
                    self.stages.put(stage)
                    if self._done.is_set():
                        return

        anyio.run(listen)

    def seq(self) -> int:
        return self.stages.get(timeout=40).seq

    def end(self) -> None:
        """Let it end with the next stage that it is told."""
        self._done.set()

    def has_ended(self) -> bool:
        self._thread.join(30)
        return not self._thread.is_alive()


def settle(database: Engine) -> None:
    """Store a stage for each epoch that has none."""
    with transaction(database) as connection:
        key = predictions.model_id(connection, "stager", "1")
        for stretch in predictions.unsettled(connection, key):
            rows = [
                Prediction(stretch.device_id, stretch.stream, int(seq), start, Stage.REM, None)
                for seq, start in zip(stretch.seq, stretch.epoch_start, strict=True)
            ]
            predictions.store(connection, key, rows)


@pytest.mark.parametrize("form", ["sync", "async"])
def test_a_facade_that_is_killed_costs_no_epoch_and_doubles_none(  # noqa: PLR0917 - fixtures
    form: str,
    broker: MosquittoServer,
    database: Engine,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NOCTIS_BROKER_PASSWORD", password_of("svc-api-0"))
    night = Night(MEANWHILE, seed=3)

    def publish(worker: Client, seq: int) -> None:
        at = datetime.fromtimestamp(night.utc_s + 30 * (seq - 1), UTC)
        claims = {"t": at.isoformat().replace("+00:00", "Z")}
        tell(worker, D2, seq, stream=night.stream, claims=claims)

    def facade(port: int = 0) -> Facade:
        return Facade(broker.port, database_url, tmp_path, port=port)

    with Client(broker.port, "svc-live-0") as worker:
        with running_facade(facade()) as first:
            heard = Heard(form, f"http://127.0.0.1:{first.port}")
            assert eventually(lambda: streams_of(first)["noctis_api_streams"] == 1)
            seqs = []
            for seq in range(1, SEEN + 1):
                publish(worker, seq)
                seqs.append(heard.seq())
            first.child.kill()
        store(database, night.frames(size=20), device=D2)
        settle(database)
        with running_facade(facade(first.port)):
            seqs += [heard.seq() for _ in range(MEANWHILE - SEEN)]
            for seq in range(MEANWHILE + 1, LATER + 1):
                publish(worker, seq)
            seqs += [heard.seq() for _ in range(LATER - MEANWHILE)]
            heard.end()
            publish(worker, LATER + 1)
            assert heard.has_ended()
    assert seqs == list(range(1, LATER + 1))
    assert heard.stages.get_nowait().seq == LATER + 1
    assert heard.stages.empty()


def test_stages_of_no_device_are_not_waited_for(
    broker: MosquittoServer,
    database: Engine,  # noqa: ARG001 - there must be an app
    database_url: str,
    tmp_path: Path,
) -> None:
    with running_facade(Facade(broker.port, database_url, tmp_path)) as facade:
        who: dict[str, Any] = {"app": "lamp@t1", "password": SECRET}
        with (
            Noctis(f"http://127.0.0.1:{facade.port}", **who) as noctis,
            pytest.raises(NotFoundError, match="cellar"),
        ):
            next(noctis.stages("cellar"))
