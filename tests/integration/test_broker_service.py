"""``python -m broker``: accounts follow the database, TLS for those outside."""

import asyncio
import os
import re
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from broker.server import MosquittoServer
from noctis.certificates import Authority, make_key
from noctis.childproc import Child, child_user, free_port
from noctis.mqtt import Link, Session
from noctis.storage import accounts, tenants
from noctis.storage.engine import transaction
from tests.integration.broker_fixtures import Client, eventually, on_loop

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def certificates(server_folder: Path) -> Path:
    """A certificate of 127.0.0.1, its key, which the broker's user can read, and the CA."""
    folder = server_folder / "certificates"
    folder.mkdir(exist_ok=True)
    authority = Authority.create()
    key, public_key = make_key()
    texts = {
        "ca.crt": authority.certificate.pem,
        "revoked.crl": authority.revocation_list([]),
        "server.crt": authority.issue_server(["127.0.0.1"], public_key).pem,
        "server.key": key,
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    user = child_user("mosquitto")
    if user is not None:
        os.chown(folder / "server.key", user.uid, user.gid)
    return folder


class Service:
    """``python -m broker`` as a child process."""

    def __init__(self, folder: Path, url: str, certificates: Path) -> None:
        self.port, self.tls_port, self.metrics_port = free_port(), free_port(), free_port()
        self.ca = certificates / "ca.crt"
        self.environment = {
            **os.environ,
            "NOCTIS_VAR": str(folder),
            "NOCTIS_DATABASE_URL": url,
            "NOCTIS_DATABASE_SECONDS": "2",
            "NOCTIS_METRICS_PORT": str(self.metrics_port),
            "NOCTIS_BROKER_LOOPBACK_PORT": str(self.port),
            "NOCTIS_BROKER_LISTEN": f"127.0.0.1:{self.tls_port}",
            "NOCTIS_BROKER_CERTIFICATE": str(certificates / "server.crt"),
            "NOCTIS_BROKER_KEY": str(certificates / "server.key"),
        }
        self.log = folder / "service.log"
        self.start()

    def start(self) -> None:
        arguments = [sys.executable, "-m", "broker"]
        self.child = Child(arguments, log=self.log, environment=self.environment)
        assert eventually(self.is_ready, within_s=20), self.child.tail()

    def is_ready(self) -> bool:
        try:
            address = f"http://127.0.0.1:{self.metrics_port}/readyz"
            with urllib.request.urlopen(address, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False

    def mosquitto_pid(self) -> int:
        children = Path(f"/proc/{self.child.pid}/task").glob("*/children")
        [pid] = [int(it) for file in children for it in file.read_text().split()]
        return pid


@pytest.fixture
def service(server_folder: Path, database_url: str, certificates: Path) -> Iterator[Service]:
    folder = server_folder / database_url.rpartition("/")[2]
    folder.mkdir(mode=0o755)
    made = Service(folder, database_url, certificates)
    yield made
    made.child.stop()


def add_device(engine: Engine) -> str:
    with transaction(engine) as connection:
        tenants.add(connection, "t1")
        return accounts.add("t1", connection, "t1/d1", "device")


def may_enter(port: int, password: str) -> bool:
    client = Client(port, "t1/d1")
    client._client.username_pw_set("t1/d1", password)
    with client:
        return client.refused is None


def test_an_account_works_soon_after_it_was_added_and_no_longer_once_it_is_revoked(
    service: Service, engine: Engine
) -> None:
    password = add_device(engine)
    assert eventually(lambda: may_enter(service.port, password))
    assert not may_enter(service.port, "another")
    with transaction(engine) as connection:
        accounts.revoke("t1", connection, "t1/d1")
    assert eventually(lambda: not may_enter(service.port, password))


def entered(port: int, username: str, password: str) -> Client:
    client = Client(port, username)
    client._client.username_pw_set(username, password)
    client.__enter__()
    assert client.refused is None
    return client


@pytest.mark.parametrize("change", ["revoked", "rotated"])
def test_a_live_session_ends_when_its_account_is_revoked_or_gets_another_password(
    service: Service, engine: Engine, change: str
) -> None:
    names = ("t1/d1", "t1/d2", "phone@t1")
    kinds = ("device", "device", "app")
    with transaction(engine) as connection:
        tenants.add(connection, "t1")
        for name, kind in zip(names, kinds, strict=True):
            accounts.add("t1", connection, name, kind, f"password of {name}")
    assert eventually(lambda: may_enter(service.port, "password of t1/d1"))
    victim, *others = [entered(service.port, it, f"password of {it}") for it in names]
    others[0].subscribe("noctis/v1/down/t1/d2/#")
    with transaction(engine) as connection:
        if change == "revoked":
            accounts.revoke("t1", connection, "t1/d1")
        else:
            accounts.set_password("t1", connection, "t1/d1", "another")
    assert eventually(lambda: not victim.is_connected())
    assert not may_enter(service.port, "password of t1/d1")
    assert may_enter(service.port, "another") == (change == "rotated")
    assert all(other.is_connected() for other in others)
    for client in (victim, *others):
        client.__exit__(None, None, None)


def test_from_outside_it_speaks_tls_alone(service: Service, engine: Engine) -> None:
    password = add_device(engine)
    assert eventually(lambda: may_enter(service.port, password))

    async def main() -> None:
        mine = Link("127.0.0.1", service.tls_port, "t1/d1", password, ca=service.ca)
        session = Session(mine)
        async with asyncio.TaskGroup() as group:
            group.create_task(session.run())
            await session.wait_ready()
            await session.stop()
        in_clear = Session(Link("127.0.0.1", service.tls_port, "t1/d1", password))
        async with asyncio.TaskGroup() as group:
            group.create_task(in_clear.run())
            await asyncio.sleep(1)
            assert not in_clear.ready
            await in_clear.stop()

    on_loop(main)
    address = ("127.0.0.1", service.tls_port)
    with (
        socket.create_connection(address, 5) as raw,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        ssl.create_default_context().wrap_socket(raw, server_hostname=address[0])


def served(port: int) -> str:
    """Return the certificate that the broker shows, in PEM."""
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=5)


def test_a_renewed_certificate_is_served_soon_and_nobody_is_cut_off(
    service: Service, engine: Engine, certificates: Path
) -> None:
    password = add_device(engine)
    assert eventually(lambda: may_enter(service.port, password))
    client = entered(service.port, "t1/d1", password)
    authority, (key, public_key) = Authority.create(), make_key()
    renewed = authority.issue_server(["127.0.0.1"], public_key).pem
    (certificates / "server.key").write_text(key)
    (certificates / "server.crt").write_text(renewed)
    assert eventually(lambda: served(service.tls_port) == renewed, within_s=20)
    assert client.is_connected()
    client.__exit__(None, None, None)


def test_without_the_database_it_starts_with_the_accounts_it_had(
    service: Service, engine: Engine
) -> None:
    password = add_device(engine)
    assert eventually(lambda: may_enter(service.port, password))
    assert service.child.stop() == 0
    service.environment["NOCTIS_DATABASE_URL"] = f"postgresql://x@127.0.0.1:{free_port()}/x"
    service.start()
    assert may_enter(service.port, password)


def test_when_mosquitto_ends_the_service_ends_and_says_so(service: Service) -> None:
    os.kill(service.mosquitto_pid(), 9)
    assert eventually(lambda: service.child.exit_code == 1, within_s=10)
    assert "mosquitto ended with code -9" in service.child.tail()


def test_the_config_at_the_root_is_what_compose_runs_with_and_mosquitto_accepts_it(
    certificates: Path, server_folder: Path
) -> None:
    text = (ROOT / "mosquitto.conf").read_text()
    compose = (ROOT / "docker-compose.yml").read_text()
    [broker] = re.findall(r"^  broker:\n(?:    .*\n|\n)+", compose, re.MULTILINE)
    assert "ca:/etc/noctis/ca" not in broker, "it must not see the CA's key"
    found = dict(re.findall(r"^      (NOCTIS_BROKER_\w+): (\S+)$", broker, re.MULTILINE))
    environment = {"NOCTIS_VAR": "/var/lib/noctis", **found}
    log = server_folder / "config"
    arguments = [sys.executable, "-m", "broker", "--print-config"]
    child = Child(arguments, log=log, environment={**os.environ, **environment})
    assert eventually(lambda: child.exit_code == 0, within_s=20)
    assert text.endswith(log.read_text())
    server = MosquittoServer(server_folder / "root-config")
    with server:
        server.start(free_port(), [])
        server.install("revoked.crl", (certificates / "revoked.crl").read_text())
        config = text.replace("/var/lib/noctis/broker", str(server.folder))
        config = config.replace("/etc/noctis/certificates", str(certificates))
        config = config.replace("listener 1883 ", f"listener {server.port} ")
        for port in ("8883", "8884"):
            here = f"listener {free_port()} 127.0.0.1"
            config = config.replace(f"listener {port} 0.0.0.0", here)
        (server.folder / "mosquitto.conf").write_text(config)
        server.restart()
