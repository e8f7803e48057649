"""The facade under gunicorn, two workers, as the compose file starts it."""

import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpx
import pytest

from broker.server import MosquittoServer
from noctis.childproc import free_port
from noctis.features import NAMES
from noctis.storage.engine import create
from tests.integration.broker_fixtures import Client, eventually, password_of
from tests.integration.conftest import fresh_database
from tests.integration.facade_fixtures import Facade, running_facade
from tests.integration.inference_fixtures import D1, add_devices, publish_model
from tests.integration.test_stages_stream import reading, tell

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

CALLERS: Final = 6
ANSWERS: Final = {200, 503, 504}
"""503 and 504: the machine is so busy that its database does not answer within two seconds."""

FEATURES: Final = dict.fromkeys(NAMES) | {"hr_mean": 57.0, "quality": 0.9}
QUESTION: Final = {"epochs": [{"in_bed": True, "features": FEATURES}] * 60, "last": 1}


ENVIRONMENT: Final = {
    "NOCTIS_BROKER_PASSWORD": password_of("svc-api-0"),
    "NOCTIS_API_WORKERS": "2",
    "NOCTIS_FAULTS": "allowed",
    "NOCTIS_FAULT_POINTS": "database.execute=latency:0.03",
}


@pytest.fixture(scope="module")
def facade(
    broker: MosquittoServer,
    postgres: str,
    migrated: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Facade]:
    """Two workers whose database is slow, so that there are always requests in hand."""
    port = free_port()
    command = (
        *(sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{port}", "--workers=2"),
        *(
            "--config=python:api.gunicorn",
            "--worker-class=api.worker.FacadeWorker",
            "--graceful-timeout=20",
        ),
        "api.app:create_app()",
    )
    with fresh_database(postgres, migrated) as url, pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        engine = create(url)
        add_devices(engine)
        engine.dispose()
        made = Facade(broker.port, url, tmp_path_factory.mktemp("gunicorn"), *command)
        made.client.close()
        made.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        with running_facade(made):
            yield made


class Caller:
    """Asks again and again over one kept connection, until an answer says that it ends."""

    def __init__(self, facade: Facade, number: int) -> None:
        self.statuses = Counter[int]()
        self.is_sent_away = False
        self._headers = facade.speaker(tenant="t1")
        self._client = httpx.Client(base_url=facade.client.base_url, timeout=30)
        self._predicts = number % 4 == 0

    def run(self) -> None:
        with self._client:
            while not self.is_sent_away:
                answer = self._ask()
                self.statuses[answer.status_code] += 1
                self.is_sent_away = answer.headers.get("connection") == "close"

    def _ask(self) -> httpx.Response:
        if self._predicts:
            return self._client.post("/v1/predict", json=QUESTION, headers=self._headers)
        return self._client.get("/v1/devices/d1", headers=self._headers)


def test_a_worker_that_is_ended_alone_loses_no_request(facade: Facade) -> None:
    pids = workers(facade)
    assert len(pids) == 2
    stop = threading.Event()
    lost: list[str] = []

    def ask() -> None:
        headers = facade.speaker(tenant="t1")
        with httpx.Client(base_url=facade.client.base_url, timeout=30) as client:
            while not stop.is_set():
                status = client.get("/v1/devices/d1", headers=headers).status_code
                if status not in ANSWERS:
                    lost.append(str(status))

    with ThreadPoolExecutor(CALLERS) as pool:
        asking = [pool.submit(ask) for _ in range(CALLERS)]
        time.sleep(0.5)
        os.kill(min(pids), signal.SIGTERM)
        try:
            assert eventually(lambda: len(workers(facade) - pids) == 1, within_s=30)
        finally:
            stop.set()
        for each in asking:
            each.result(timeout=60)
    assert not lost


def workers(facade: Facade) -> set[int]:
    """The processes that gunicorn has started, by their ids."""
    text = facade.child.log.read_text()
    return {
        int(line.rpartition(" ")[2]) for line in text.splitlines() if "Booting worker" in line
    }


def models_of(facade: Facade) -> set[str]:
    """The models that processes name, each asked over a connection of its own."""
    address = facade.client.base_url.join("/readyz")
    answers = [httpx.get(address, timeout=15).json() for _ in range(16)]
    return {answer["checks"]["model"]["version"] for answer in answers}


def test_gunicorn_serves_streams_and_ends_without_losing_a_request(
    facade: Facade, broker: MosquittoServer
) -> None:
    callers = [Caller(facade, number) for number in range(CALLERS)]
    ours = facade.speaker(tenant="t1")
    with (
        ThreadPoolExecutor(CALLERS) as pool,
        Client(broker.port, "svc-live-0") as worker,
        reading(facade, ours, device=D1.device) as bed,
    ):
        asking = [pool.submit(caller.run) for caller in callers]
        publish_model(facade.var, "next").promote("champion", "next")
        assert eventually(lambda: models_of(facade) == {"stager@next"}, within_s=30)
        tell(worker, D1, 7)
        assert [it["data"]["seq"] for it in bed.take(1)] == [7]
        enough = lambda: min(it.statuses[200] for it in callers) > 1  # noqa: E731
        assert eventually(enough, within_s=30)
        os.kill(facade.child.pid, signal.SIGTERM)
        for each in asking:
            each.result(timeout=60)  # no answer, or half of one, would raise
        end = bed.take(1)[0]
    assert all(it.statuses[200] > 1 and it.statuses.keys() <= ANSWERS for it in callers)
    assert all(it.is_sent_away for it in callers)
    assert end["event"] == "end"
    assert eventually(lambda: facade.child.exit_code is not None, within_s=25)
    assert facade.child.exit_code == 0, facade.child.tail()
