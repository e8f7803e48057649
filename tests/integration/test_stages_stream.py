"""Live stages as a stream of events: the real facade, a real broker, a real database."""

import json
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import Engine

from api.scopes import SCOPES
from api.tokens import LIFETIME_S, Keyring
from broker.server import MosquittoServer
from noctis import topics
from noctis.identity import DeviceId, Principal
from noctis.stages import Stage
from noctis.storage import predictions
from noctis.storage.engine import create, transaction
from noctis.storage.predictions import Prediction
from tests.integration.broker_fixtures import Client, eventually, password_of
from tests.integration.conftest import fresh_database
from tests.integration.facade_fixtures import Facade, problem_of, running_facade
from tests.integration.inference_fixtures import D1, D2, OTHER, Night, add_devices, store

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

PATH: Final = "/v1/stages:stream"
EPOCHS: Final = 40
PATIENCE_S: Final = 2


@pytest.fixture(scope="module")
def database_url(postgres: str, migrated: str) -> Iterator[str]:
    with fresh_database(postgres, migrated) as url:
        yield url


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[Engine]:
    engine = create(database_url, application="noctis-test")
    add_devices(engine)
    yield engine
    engine.dispose()


@contextmanager
def facade_on(broker: MosquittoServer, url: str, folder: Path) -> Iterator[Facade]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOCTIS_BROKER_PASSWORD", password_of("svc-api-0"))
        patch.setenv("NOCTIS_API_STREAM_SECONDS", str(PATIENCE_S))
        with running_facade(Facade(broker.port, url, folder)) as facade:
            yield facade


@pytest.fixture(scope="module")
def facade(
    broker: MosquittoServer,
    database: Engine,  # noqa: ARG001 - there must be devices
    database_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Facade]:
    with facade_on(broker, database_url, tmp_path_factory.mktemp("api")) as made:
        yield made


@pytest.fixture(scope="module")
def worker(broker: MosquittoServer) -> Iterator[Client]:
    with Client(broker.port, "svc-live-0") as made:
        yield made


class Reader:
    """Reads a stream in a thread of its own."""

    def __init__(self, facade: Facade, headers: dict[str, str], **query: str) -> None:
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        self._began = threading.Event()
        self._client = httpx.Client(base_url=facade.client.base_url, timeout=60)
        self._thread = threading.Thread(target=self._read, args=(headers, query), daemon=True)
        self._thread.start()
        assert self._began.wait(20)

    def _read(self, headers: dict[str, str], query: dict[str, str]) -> None:
        with (
            suppress(httpx.HTTPError),
            self._client.stream("GET", PATH, headers=headers, params=query) as answer,
        ):
            self._socket = answer.extensions["network_stream"].get_extra_info("socket")
            assert answer.headers["content-type"].startswith("text/event-stream"), answer.read()
            event: dict[str, Any] = {}
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name:
                    event[name] = value
                    continue
                self._began.set()
                if "data" in event:
                    self.events.put(event | {"data": json.loads(event["data"])})
                event = {}

    def take(self, count: int) -> list[dict[str, Any]]:
        return [self.events.get(timeout=15) for _ in range(count)]

    def quiet(self, seconds: float = 0.5) -> bool:
        try:
            self.events.get(timeout=seconds)
        except queue.Empty:
            return True
        return False

    def ended(self, within_s: float) -> bool:
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._client.close()


@contextmanager
def reading(facade: Facade, headers: dict[str, str], **query: str) -> Iterator[Reader]:
    reader = Reader(facade, headers, **query)
    try:
        yield reader
    finally:
        reader.close()


def tell(
    worker: Client,
    who: DeviceId,
    seq: int,
    stream: int = 7,
    claims: dict[str, str] | None = None,
) -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=30 * seq)
    document = {
        "schema_version": 1,
        "t": at.isoformat().replace("+00:00", "Z"),
        "stream": f"{stream:016x}",
        "seq": seq,
        "stage": "light",
        **(claims or {}),
    }
    worker.publish(topics.stage(who), json.dumps(document).encode())


def test_each_stage_reaches_the_streams_of_its_tenant_and_no_other(
    facade: Facade, worker: Client
) -> None:
    ours, theirs = facade.speaker(tenant="t1"), facade.speaker(tenant="t2")
    with (
        reading(facade, ours) as home,
        reading(facade, ours, device="d1") as bed,
        reading(facade, theirs) as stranger,
    ):
        for seq in range(1, 6):
            tell(worker, D1, seq, stream=1)
            tell(worker, D2, seq, stream=2)
            tell(worker, OTHER, seq, stream=3, claims={"tenant": "t1", "device": "d2"})
        found = [(it["data"]["device"], it["data"]["seq"]) for it in home.take(10)]
        assert sorted(found) == [(name, seq) for name in ("d1", "d2") for seq in range(1, 6)]
        assert [it["data"]["seq"] for it in bed.take(5)] == [1, 2, 3, 4, 5]
        foreign = stranger.take(5)
        assert {it["data"]["stream"] for it in foreign} == {f"{3:016x}"}
        assert {it["data"]["device"] for it in foreign} == {"d1"}
        assert foreign[0]["event"] == "stage"
        assert foreign[0]["id"].endswith(f"-{3:016x}-1")
        worker.publish("noctis/v1/app/t1/d1/stage", b"no json")
        worker.publish("noctis/v1/app/t1/d1/stage", b"[]")
        tell(worker, D1, 5, stream=1)  # delivered again
        assert home.quiet()
        assert bed.quiet()
        assert stranger.quiet()


def test_a_new_stream_begins_with_the_newest_stage_of_each_device(
    facade: Facade, worker: Client
) -> None:
    tell(worker, D1, 100, stream=11)
    tell(worker, D1, 101, stream=11)
    with reading(facade, facade.speaker(tenant="t1"), device="d1") as bed:
        tell(worker, D1, 102, stream=11)
        seqs = [it["data"]["seq"] for it in bed.take(2)]
    assert seqs in ([101, 102], [100, 101])  # as fast as the broker is


def test_who_comes_back_gets_what_was_stored_meanwhile_first(
    facade: Facade, worker: Client, database: Engine
) -> None:
    night = Night(EPOCHS, seed=3)
    store(database, night.frames(size=20), device=D2)
    with transaction(database) as connection:
        key = predictions.model_id(connection, "stager", "1")
        for stretch in predictions.unsettled(connection, key):
            rows = [
                Prediction(stretch.device_id, stretch.stream, int(seq), start, Stage.REM, None)
                for seq, start in zip(stretch.seq, stretch.epoch_start, strict=True)
            ]
            predictions.store(connection, key, rows)
    last = f"{night.utc_s + 30 * 19}-{night.stream:016x}-20"
    ours = facade.speaker(tenant="t1") | {"Last-Event-ID": last}
    with reading(facade, ours, device="d2") as bed:
        told = [it["data"] for it in bed.take(EPOCHS - 20 + 2)]
        assert [it["seq"] for it in told] == [18, 19, *range(21, EPOCHS + 1)]
        assert {(it["device"], it["stage"], it["model"]) for it in told} == {
            ("d2", "rem", "stager@1")
        }
        tell(worker, D2, EPOCHS + 1, stream=night.stream)
        while bed.take(1)[0]["data"]["seq"] != EPOCHS + 1:
            pass  # what the broker told before, of other streams
    with reading(facade, facade.speaker(tenant="t2") | {"Last-Event-ID": last}) as stranger:
        assert all(
            stranger.events.get_nowait()["data"]["stream"] != f"{night.stream:016x}"
            for _ in range(stranger.events.qsize())
        )


def test_a_stream_ends_with_its_token(facade: Facade) -> None:
    keyring = Keyring(facade.var / "keys")
    ann = Principal("ann", "t1", frozenset(SCOPES))
    token = keyring.issue(ann, now=time.time() - LIFETIME_S + 3)
    with reading(facade, {"Authorization": f"Bearer {token}"}) as reader:
        assert reader.ended(20)
        *_, last = [reader.events.get_nowait() for _ in range(reader.events.qsize())]
    assert last == {"event": "end", "data": {"reason": "the token has expired"}}


def streams_of(facade: Facade) -> dict[str, float]:
    """Return what is measured of streams: how many are open, how many were dropped."""
    lines = facade.client.get("/metrics").text.splitlines()
    pairs = (line.split() for line in lines if line.startswith("noctis_api_streams"))
    return {name: float(value) for name, value in pairs}


def test_a_reader_who_takes_nothing_is_cut_off_and_nobody_else_notices(
    facade: Facade, worker: Client
) -> None:
    headers = facade.speaker(tenant="t2")
    assert eventually(lambda: streams_of(facade)["noctis_api_streams"] == 0)
    before = streams_of(facade)["noctis_api_streams_dropped_total"]
    with socket.create_connection(("127.0.0.1", facade.port)) as blocked:
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        blocked.sendall(f"GET {PATH} HTTP/1.1\r\nHost: noctis\r\n{head}\r\n".encode())
        assert b"200 OK" in blocked.recv(64)
        with reading(facade, headers) as other:
            assert eventually(lambda: streams_of(facade)["noctis_api_streams"] == 2)
            sent, gone_at = 0, time.monotonic() + 60
            while streams_of(facade)["noctis_api_streams_dropped_total"] == before:
                assert time.monotonic() < gone_at, "it is never cut off"
                for _ in range(100):
                    sent += 1
                    tell(worker, OTHER, sent, stream=21, claims={"padding": "x" * 4000})
                while other.take(1)[0]["data"]["seq"] != sent:
                    pass
            assert eventually(lambda: streams_of(facade)["noctis_api_streams"] == 1)
            tell(worker, OTHER, sent + 1, stream=21)
            assert other.take(1)[0]["data"]["seq"] == sent + 1


def test_a_tenant_has_so_many_streams_and_no_more(facade: Facade) -> None:
    headers = facade.speaker(tenant="t1")
    time.sleep(2)  # those before are noticed to have gone
    readers = [Reader(facade, headers) for _ in range(20)]
    try:
        problem = problem_of(facade.client.get(PATH, headers=headers), 429)
        assert problem["type"] == "urn:noctis:problem:streams"
        with reading(facade, facade.speaker(tenant="t2")):
            pass
    finally:
        for reader in readers:
            reader.close()
    time.sleep(2)
    with reading(facade, headers):
        pass


def test_a_stream_needs_its_scope_and_a_device_of_the_tenant(facade: Facade) -> None:
    narrow = facade.speaker(*(SCOPES.keys() - {"predictions:read"}))
    problem_of(facade.client.get(PATH, headers=narrow), 403)
    foreign = facade.speaker(tenant="t2")
    problem_of(facade.client.get(PATH, headers=foreign, params={"device": "d2"}), 404)
    for name in ("7", "x" * 40, "1-00-1", "99999999999-0000000000000001-1"):
        headers = facade.speaker() | {"Last-Event-ID": name}
        problem = problem_of(facade.client.get(PATH, headers=headers), 422)
        assert problem["errors"][0]["pointer"] == "#/header/Last-Event-ID"
    far = facade.speaker() | {"Last-Event-ID": "9999999999-ffffffffffffffff-9999999999"}
    with reading(facade, far, device="d1"):
        pass


def test_streams_are_told_that_the_process_ends(
    broker: MosquittoServer, database_url: str, database: Engine, tmp_path: Path
) -> None:
    assert database is not None
    with facade_on(broker, database_url, tmp_path) as facade:
        with reading(facade, facade.speaker(tenant="t2")) as reader:
            os.kill(facade.child.pid, signal.SIGTERM)
            assert reader.ended(8)
            *_, last = [reader.events.get_nowait() for _ in range(reader.events.qsize())]
            assert last["data"] == {"reason": "the process is about to end"}
        assert facade.child.stop(within_s=10) == 0
