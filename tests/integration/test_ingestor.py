"""The ingestor as a process, on a real broker and a real database.

Seen from a device, which reads its acknowledgements, and from the tables.
"""

import os
import queue
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from sqlalchemy import Engine, select, text
from typing_extensions import override

from broker.server import MosquittoServer
from noctis import topics
from noctis.ack import REFUSED, STORED, Ack, AckRange, decode_ack
from noctis.childproc import Child
from noctis.epoch import Frame, Run, encode_frame
from noctis.features import FEATURES
from noctis.identity import DeviceId
from noctis.storage import dead_letters, devices, migrate, tenants
from noctis.storage.engine import create, transaction
from noctis.storage.models import metadata
from noctis.storage.server import PostgresServer
from noctis.time_exchange import decode_reply, encode_request
from tests.integration.broker_fixtures import (
    Client,
    eventually,
    forgetful_broker,
    password_of,
    running_broker,
)
from tests.parts import Part

__all__ = ["forgetful_broker"]

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

D1, D2, OTHER = DeviceId("t1", "d1"), DeviceId("t1", "d2"), DeviceId("t2", "d1")


def frame(first: int = 1, count: int = 1, *, stream: int = 0xF0, seed: int = 0) -> Frame:
    random = np.random.default_rng([stream, first, seed])
    codes = np.stack([random.integers(0, 1 << f.bits, count) for f in FEATURES], axis=1)
    utc = (int(datetime.now(UTC).timestamp()) // 86400 - 7) * 86400
    run = Run(reason=0, voids=0, boot=1, tick_s=30, utc_s=utc)
    return Frame(stream, first, 0, run, codes.astype(np.int16), random.random(count) < 0.5)


class Device(Client):
    """A device: publishes frames, reads acknowledgements."""

    def __init__(self, port: int, device: DeviceId = D1) -> None:
        super().__init__(port, str(device))
        self.device = device

    @override
    def __enter__(self) -> Self:
        super().__enter__()
        self.subscribe(topics.ack(self.device), 0)
        return self

    def send(self, *frames: Frame, channel: str = "epochs") -> None:
        for one in frames:
            self.publish(topics.up(self.device, channel), encode_frame(one))

    def ack(self, timeout: float = 10.0) -> Ack:
        return decode_ack(self.next(timeout).payload)

    def acked(self, epochs: int, timeout: float = 30.0) -> list[AckRange]:
        """Return the ranges of acknowledgements until they speak of so many epochs."""
        ranges: list[AckRange] = []
        deadline = time.monotonic() + timeout
        while sum(it.count for it in ranges) < epochs:
            ranges += self.ack(deadline - time.monotonic()).ranges
        return ranges

    def hears_nothing(self, seconds: float) -> bool:
        with suppress(queue.Empty):
            self.next(seconds)
            return False
        return True


@pytest.fixture(scope="module")
def own_postgres(server_folder: Path) -> Iterator[PostgresServer]:
    """A server of this module's own, to be frozen and killed."""
    with PostgresServer(server_folder / "own") as server:
        migrate.upgrade(server.url)
        yield server


@pytest.fixture
def database(own_postgres: PostgresServer) -> Iterator[Engine]:
    """That server's database with three devices, emptied after the test."""
    engine = create(own_postgres.url, application="noctis-test")
    with transaction(engine) as connection:
        for tenant, names in {"t1": ("d1", "d2"), "t2": ("d1",)}.items():
            tenants.add(connection, tenant)
            for name in names:
                devices.add(tenant, connection, name)
    yield engine
    with transaction(engine) as connection:
        names = ", ".join(
            table.name for table in metadata.sorted_tables if not table.name.startswith("audit")
        )
        connection.execute(text("SET LOCAL noctis.audit_erasing = 'yes'"))
        connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
    engine.dispose()


class Running(Part):
    """``python -m ingestor`` as a child process."""

    def __init__(self, port: int, url: str, log: Path, **environment: str) -> None:
        environment = {
            "NOCTIS_BROKER_PORT": str(port),
            "NOCTIS_BROKER_PASSWORD": password_of("svc-ingestor-0"),
            "NOCTIS_DATABASE_URL": url,
            "NOCTIS_DATABASE_SECONDS": "2",
            **environment,
        }
        super().__init__("ingestor", environment, log)
        self.start()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MosquittoServer]:
    with running_broker(tmp_path_factory.mktemp("shared") / "broker") as server:
        yield server


@pytest.fixture(scope="module")
def shared_ingestor(
    broker: MosquittoServer,
    own_postgres: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    with running(broker, own_postgres, tmp_path_factory.mktemp("log")) as process:
        yield process


@pytest.fixture
def ingestor(shared_ingestor: Running, database: Engine) -> Running:  # noqa: ARG001
    """The ingestor on an emptied database; started again where a test has ended it."""
    if shared_ingestor.child.exit_code is not None:
        shared_ingestor.start()
    assert eventually(shared_ingestor.is_ready, within_s=15)
    return shared_ingestor


@contextmanager
def running(
    broker: MosquittoServer, postgres: PostgresServer, folder: Path, **environment: str
) -> Iterator[Running]:
    process = Running(broker.port, postgres.url, folder / "ingestor.log", **environment)
    try:
        yield process
    finally:
        process.child.kill()


@contextmanager
def frozen(postgres: PostgresServer) -> Iterator[None]:
    postgres.freeze()
    try:
        yield
    finally:
        postgres.thaw()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def stored(engine: Engine) -> list[tuple[int, int]]:
    """Return stream and number of every stored epoch, doubles included."""
    table = metadata.tables["epochs"]
    with transaction(engine) as connection:
        rows = connection.execute(select(table.c.stream, table.c.seq))
        return sorted((row.stream, row.seq) for row in rows)


def letters(engine: Engine, tenant: str = "t1") -> list[str]:
    with transaction(engine) as connection:
        return [it.reason for it in dead_letters.list_of(tenant, connection)]


def seqs(first: int, last: int, stream: int = 0xF0) -> list[tuple[int, int]]:
    return [(stream, seq) for seq in range(first, last + 1)]


@pytest.mark.usefixtures("ingestor")
def test_an_epoch_is_stored_and_acknowledged_at_once(
    broker: MosquittoServer, database: Engine
) -> None:
    with Device(broker.port) as device:
        waits = []
        for seq in range(1, 22):
            start = time.monotonic()
            device.send(frame(seq))
            assert device.ack() == Ack(0xF0, (AckRange(seq, 1, STORED),))
            waits.append(time.monotonic() - start)
    assert stored(database) == seqs(1, 21)
    assert sorted(waits)[len(waits) // 2] < 0.25  # a few ms where the machine is idle


def test_duplicates_are_acknowledged_and_stored_once(
    broker: MosquittoServer, ingestor: Running, database: Engine
) -> None:
    before = ingestor.metric("noctis_ingest_duplicates_total")
    with Device(broker.port) as device:
        device.send(frame(1, 4))
        assert device.ack().ranges == (AckRange(1, 4, STORED),)
        device.send(frame(1, 4), channel="backlog")
        assert device.ack().ranges == (AckRange(1, 4, STORED),)
    assert stored(database) == seqs(1, 4)
    assert ingestor.metric("noctis_ingest_duplicates_total") - before == 4


def test_a_flood_goes_into_few_transactions_and_is_acknowledged_to_the_last_epoch(
    broker: MosquittoServer, ingestor: Running, database: Engine
) -> None:
    before = ingestor.metric("noctis_ingest_batches_total")
    with Device(broker.port, D1) as one, Device(broker.port, D2) as two:
        for number in range(100):
            for device in (one, two):
                part = frame(1 + 64 * number, 64, stream=ord(device.device.device[1]))
                topic = topics.up(device.device, "backlog")
                device._client.publish(topic, encode_frame(part), qos=1)
        for device in (one, two):
            ranges = device.acked(6400)
            assert sorted(it.first for it in ranges) == list(range(1, 6401, 64))
            assert {it.code for it in ranges} == {STORED}
    assert stored(database) == seqs(1, 6400, ord("1")) + seqs(1, 6400, ord("2"))
    assert ingestor.metric("noctis_ingest_batches_total") - before < 100


def test_a_device_is_told_the_time_even_while_the_database_is_away(
    broker: MosquittoServer, ingestor: Running, own_postgres: PostgresServer
) -> None:
    asked = topics.up(D1, "time")
    counted = ingestor.metric("noctis_ingest_time_requests_total")
    with Device(broker.port) as device, Client(broker.port, str(D2)) as other:
        for one, name in ((device, D1), (other, D2)):
            one.subscribe(topics.time(name), 0)
        with frozen(own_postgres):
            device.send(frame(1))  # keeps the database's thread waiting
            waits = []
            for sent in range(20):
                start = time.monotonic()
                device.publish(asked, encode_request(sent), qos=0)
                reply = decode_reply(device.next(2.0).payload)
                waits.append(time.monotonic() - start)
                assert reply.sent == sent
                assert abs(reply.utc_ms / 1000 - time.time()) < 1.0
            assert sorted(waits)[10] < 0.25
        device.acked(1)
        assert other.topics() == []
    assert ingestor.metric("noctis_ingest_time_requests_total") == counted + 20


def test_what_is_no_request_for_the_time_is_counted_and_forgotten(
    broker: MosquittoServer, ingestor: Running, database: Engine
) -> None:
    before = ingestor.metric("noctis_ingest_time_rejected_total")
    with Device(broker.port) as device:
        device.subscribe(topics.time(D1), 0)
        for number in range(200):
            device.publish(topics.up(D1, "time"), f"what time is it? {number}".encode(), qos=1)
        device.publish(f"noctis/v1/up/0/{D1}/time", encode_request(1), qos=1)
        device.publish(topics.up(D1, "time"), encode_request(7), qos=0)
        assert decode_reply(device.next().payload).sent == 7
        assert device.hears_nothing(0.3)
    assert ingestor.metric("noctis_ingest_time_rejected_total") == before + 201
    assert letters(database) == []


@pytest.mark.parametrize("victim", ["server", "everything"])
def test_nothing_is_acknowledged_while_the_database_is_frozen(
    broker: MosquittoServer,
    ingestor: Running,
    own_postgres: PostgresServer,
    database: Engine,
    victim: str,
) -> None:
    """``server``: new connections hang; ``everything``: those that are open do too."""
    if victim == "server":
        _end_backends(database)
        database.dispose()
    freeze = stopped(own_postgres.pid) if victim == "server" else frozen(own_postgres)
    with Device(broker.port) as device:
        with freeze:
            device.send(frame(1), frame(2))
            assert device.hears_nothing(5.0)
            assert ingestor.metric("noctis_ingest_oldest_unacknowledged_seconds") > 4.0
            assert ingestor.metric("noctis_ingest_waiting") == 2
        assert {it.first for it in device.acked(2)} == {1, 2}
    assert stored(database) == seqs(1, 2)
    assert ingestor.child.exit_code is None


def _end_backends(engine: Engine) -> None:
    """End the ingestor's connections, as an unlucky network would."""
    with transaction(engine) as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'noctis-ingestor'"
            )
        )


@pytest.mark.usefixtures("ingestor")
def test_a_killed_database_loses_nothing_that_was_acknowledged(
    broker: MosquittoServer, own_postgres: PostgresServer, database: Engine
) -> None:
    with Device(broker.port) as device:
        device.send(frame(1))
        assert device.ack().ranges == (AckRange(1, 1, STORED),)
        own_postgres.kill()
        device.send(frame(2))
        assert device.hears_nothing(1.0)
        own_postgres.start(own_postgres.port)
        assert device.ack(30).ranges == (AckRange(2, 1, STORED),)
    assert stored(database) == seqs(1, 2)


def test_a_refused_commit_acknowledges_nothing_and_only_poison_is_put_aside(
    broker: MosquittoServer, ingestor: Running, database: Engine
) -> None:
    """The table itself refuses one epoch; only at COMMIT, when all seemed to be well."""
    _refuse_at_commit(database, seq=5)
    with Device(broker.port) as device, Device(broker.port, D2) as other:
        with stopped(ingestor.child.pid):
            for seq in range(1, 9):
                device.send(frame(seq))
            other.send(frame(5, stream=0xF1))
        codes = {it.first: it.code for it in device.acked(8)}
        assert codes == {seq: REFUSED if seq == 5 else STORED for seq in range(1, 9)}
        assert other.ack().ranges == (AckRange(5, 1, STORED),)
    assert stored(database) == [it for it in seqs(1, 8) if it[1] != 5] + [(0xF1, 5)]
    assert letters(database) == ["poison"]


def _refuse_at_commit(engine: Engine, *, seq: int) -> None:
    with transaction(engine) as connection:
        connection.execute(
            text(
                "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$BEGIN IF NEW.seq = {seq} AND NEW.stream = 240 THEN "
                "RAISE check_violation; END IF; RETURN NULL; END$$"
            )
        )
        connection.execute(
            text(
                "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON epochs "
                "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        )


@pytest.fixture(autouse=True)
def _no_trigger(database: Engine) -> Iterator[None]:
    yield
    with transaction(database) as connection:
        connection.execute(text("DROP TRIGGER IF EXISTS refuse ON epochs"))


def _patched(at: int, value: int) -> bytes:
    changed = bytearray(encode_frame(frame(1, 2)))
    changed[at] = value
    return bytes(changed)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (_patched(0, 0x00), "magic"),
        (_patched(1, 9), "version"),
        (_patched(3, 65), "count"),
        (encode_frame(frame())[:-1], "length"),
        (_patched(50, 0xAA), "crc"),
        (b"", "length"),
        (bytes(3000), "length"),
    ],
)
def test_a_frame_that_cannot_be_understood_goes_to_the_dead_letters_unacknowledged(
    broker: MosquittoServer, ingestor: Running, database: Engine, payload: bytes, reason: str
) -> None:
    with Device(broker.port) as device:
        for _ in range(2):
            device.publish(topics.up(D1, "epochs"), payload)
        device.send(frame(7))
        assert device.ack().ranges == (AckRange(7, 1, STORED),)  # and nothing before it
        assert device.hears_nothing(0.2)
    assert letters(database) == [reason]
    assert stored(database) == seqs(7, 7)
    assert ingestor.metric("noctis_ingest_waiting") == 0


@pytest.mark.usefixtures("ingestor")
def test_a_message_of_a_foreign_shard_goes_to_the_dead_letters(
    broker: MosquittoServer, database: Engine
) -> None:
    foreign = (topics.shard_of(D1) + 1) % 64
    with Device(broker.port) as device:
        device.publish(f"noctis/v1/up/{foreign}/{D1}/epochs", encode_frame(frame(1)))
        device.send(frame(2))
        assert device.ack().ranges == (AckRange(2, 1, STORED),)
    assert letters(database) == ["shard"]
    assert stored(database) == seqs(2, 2)


@pytest.mark.usefixtures("ingestor")
def test_a_device_that_the_platform_does_not_know_is_refused(
    broker: MosquittoServer, database: Engine
) -> None:
    with transaction(database) as connection:
        devices.revoke("t1", connection, "d1")
        connection.execute(metadata.tables["devices"].delete().where(text("name = 'd2'")))
    for known, reason in ((D1, "revoked_device"), (D2, "unknown_device")):
        with Device(broker.port, known) as device:
            device.send(frame(1, stream=known == D1))
            assert device.ack().ranges == (AckRange(1, 1, REFUSED),)
        assert letters(database)[0] == reason
    assert stored(database) == []


@pytest.mark.usefixtures("ingestor")
def test_a_stream_belongs_to_its_first_device(
    broker: MosquittoServer, database: Engine
) -> None:
    with Device(broker.port) as device, Device(broker.port, OTHER) as thief:
        device.send(frame(1))
        assert device.ack().ranges == (AckRange(1, 1, STORED),)
        thief.send(frame(1), frame(2))
        assert {it.code for it in thief.acked(2)} == {REFUSED}
        assert device.hears_nothing(0.2)
    assert stored(database) == seqs(1, 1)
    assert letters(database, "t2") == ["foreign_stream"] * 2
    assert letters(database, "t1") == []


def test_an_ingestor_that_is_killed_stores_everything_once_it_is_back(
    broker: MosquittoServer, ingestor: Running, database: Engine
) -> None:
    with Device(broker.port) as device:
        device.send(frame(1))
        device.ack()
        assert eventually(lambda: ingestor.metric("noctis_ingest_waiting") == 0)
        time.sleep(0.1)  # for PUBACK to leave
        ingestor.child.kill()
        for seq in range(2, 60):
            device.send(frame(seq))
        ingestor.start()
        assert {it.first for it in device.acked(58)} == set(range(2, 60))
    assert stored(database) == seqs(1, 59)


def test_at_sigterm_what_is_in_hand_is_stored_and_acknowledged(
    broker: MosquittoServer, ingestor: Running, own_postgres: PostgresServer, database: Engine
) -> None:
    with Device(broker.port) as device:
        with frozen(own_postgres):
            for seq in range(1, 21):
                device.send(frame(seq))
            assert device.hears_nothing(0.5)
            ingestor.child.send(signal.SIGTERM)
            assert eventually(lambda: not ingestor.is_ready())
        assert len(device.acked(20)) == 20
        assert eventually(lambda: ingestor.child.exit_code == 0)
        assert stored(database) == seqs(1, 20)
        device.send(frame(21))
        assert device.hears_nothing(0.3)
        ingestor.start()
        assert device.ack().ranges == (AckRange(21, 1, STORED),)


def test_at_sigterm_with_the_database_away_it_leaves_in_time_and_acknowledges_nothing(
    broker: MosquittoServer, ingestor: Running, own_postgres: PostgresServer, database: Engine
) -> None:
    with Device(broker.port) as device:
        with frozen(own_postgres):
            device.send(frame(1))
            assert device.hears_nothing(0.5)
            assert ingestor.stop() == 0
            assert device.hears_nothing(0.1)
        ingestor.start()
        assert device.ack(30).ranges == (AckRange(1, 1, STORED),)
    assert stored(database) == seqs(1, 1)


def test_a_broker_that_forgets_costs_resends_and_no_epochs(
    forgetful_broker: MosquittoServer,
    own_postgres: PostgresServer,
    database: Engine,
    tmp_path: Path,
) -> None:
    port = forgetful_broker.port
    with running(forgetful_broker, own_postgres, tmp_path) as ingestor:
        with frozen(own_postgres), Device(port) as device:
            device.send(frame(1), frame(2))
            assert eventually(lambda: ingestor.metric("noctis_ingest_waiting") == 2)
            ingestor.child.kill()
            forgetful_broker.kill()
        forgetful_broker.restart()
        ingestor.start()
        assert stored(database) == []
        with Device(port) as device:
            device.send(frame(1), frame(2), channel="backlog")
            assert {it.code for it in device.acked(2)} == {STORED}
    assert stored(database) == seqs(1, 2)


def test_a_killed_broker_is_found_again(
    broker: MosquittoServer, ingestor: Running, database: Engine
) -> None:
    """It also delivers again what it had saved of earlier tests: hence a device of its own."""
    with Device(broker.port, OTHER) as device:
        device.send(frame(1, stream=0xF9))
        device.ack()
    broker.kill()
    assert eventually(lambda: not ingestor.is_ready())
    broker.restart()
    assert eventually(ingestor.is_ready, within_s=10)
    with Device(broker.port, OTHER) as device:
        device.send(frame(2, stream=0xF9))
        while AckRange(2, 1, STORED) not in device.ack().ranges:
            pass
    assert [it for it in stored(database) if it[0] == 0xF9] == seqs(1, 2, 0xF9)


def test_an_instance_takes_the_messages_of_its_own_shards_alone(
    forgetful_broker: MosquittoServer,
    own_postgres: PostgresServer,
    database: Engine,
    tmp_path: Path,
) -> None:
    port = forgetful_broker.port
    mine = topics.shard_of(D1)
    assert mine != topics.shard_of(D2)
    with (
        running(forgetful_broker, own_postgres, tmp_path, NOCTIS_SHARDS=str(mine)),
        Device(port) as device,
        Device(port, D2) as other,
    ):
        other.send(frame(1, stream=0xF1))
        device.send(frame(1))
        assert device.ack().ranges == (AckRange(1, 1, STORED),)
        assert other.hears_nothing(0.3)
    assert stored(database) == seqs(1, 1)


def test_settings_that_make_no_sense_end_with_code_2_and_a_reason(tmp_path: Path) -> None:
    environment = {**os.environ, "NOCTIS_SHARDS": "64-99"}
    log = tmp_path / "log"
    child = Child([sys.executable, "-m", "ingestor"], log=log, environment=environment)
    assert eventually(lambda: child.exit_code is not None, within_s=20)
    assert child.exit_code == 2
    assert "NOCTIS_SHARDS" in child.tail()
