"""The authority as a process, asked as RabbitMQ asks it."""

from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import Engine

from noctis.childproc import free_port
from noctis.storage import accounts, devices, tenants
from noctis.storage.engine import create, transaction
from noctis.storage.server import PostgresServer
from tests.integration.broker_fixtures import eventually
from tests.parts import Part

pytestmark = pytest.mark.postgres

DEVICE, PHONE, PASSWORD = "t1/d1", "phone@t1", "a secret"


@pytest.fixture(scope="module")
def database(own_postgres: PostgresServer) -> Iterator[Engine]:
    engine = create(own_postgres.url, application="noctis-test")
    with transaction(engine, 60) as connection:
        tenants.add(connection, "t1")
        devices.add("t1", connection, "d1")
        accounts.add("t1", connection, DEVICE, "device", PASSWORD)
        accounts.add("t1", connection, PHONE, "app", PASSWORD)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def address(
    own_postgres: PostgresServer,
    database: Engine,  # noqa: ARG001 - there must be accounts
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    port = free_port()
    environment = {
        "NOCTIS_DATABASE_URL": own_postgres.url,
        "NOCTIS_DATABASE_SECONDS": "2",
        "NOCTIS_AUTHORITY_PORT": str(port),
    }
    log = tmp_path_factory.mktemp("authority") / "log"
    part = Part("broker.authority", environment, log)
    part.start()
    yield f"http://127.0.0.1:{port}"
    assert PASSWORD not in log.read_text()
    assert part.stop() == 0


def ask(address: str, question: str, **about: str) -> str:
    reply = httpx.post(f"{address}/{question}", data=about, timeout=10).raise_for_status()
    said: str = reply.text
    return said


@pytest.mark.parametrize(
    ("username", "client_id", "password", "verdict"),
    [
        (DEVICE, DEVICE, PASSWORD, "allow"),
        (DEVICE, DEVICE, "wrong", "deny"),
        (DEVICE, "svc-ingestor-0", PASSWORD, "deny"),
        (DEVICE, "", PASSWORD, "deny"),
        ("t1/d2", "t1/d2", PASSWORD, "deny"),
        (PHONE, PHONE, PASSWORD, "deny"),
        ("", "", "", "deny"),
    ],
)
def test_a_device_is_let_in_with_its_password_under_its_own_client_id(
    address: str, username: str, client_id: str, password: str, verdict: str
) -> None:
    said = ask(address, "user", username=username, client_id=client_id, password=password)
    assert said == verdict


def test_it_answers_from_what_it_knows_while_the_database_is_away(
    address: str, own_postgres: PostgresServer, database: Engine
) -> None:
    right = {"username": DEVICE, "client_id": DEVICE, "password": PASSWORD}
    own_postgres.stop()
    try:
        assert ask(address, "user", **right) == "allow"
        assert ask(address, "vhost", username=DEVICE, vhost="/") == "allow"
    finally:
        own_postgres.start(own_postgres.port)
        database.dispose()
    with transaction(database, 60) as connection:
        accounts.revoke("t1", connection, DEVICE)
    assert eventually(lambda: ask(address, "user", **right) == "deny", within_s=20)
    assert ask(address, "vhost", username=DEVICE, vhost="/") == "deny"


def test_what_is_no_question_is_refused(address: str) -> None:
    assert ask(address, "gossip", username=DEVICE) == "deny"
    reply = httpx.post(f"{address}/user", content=bytes(100_000), timeout=10)
    assert reply.status_code == httpx.codes.BAD_REQUEST
