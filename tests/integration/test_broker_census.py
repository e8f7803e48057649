"""What the broker tells of itself, and of its certificates, as monitors read it."""

from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from broker.census import Census
from broker.config import Listener, Tls
from broker.measures import Measures
from broker.server import REVOKED, MosquittoServer
from noctis.certificates import Authority, make_key
from noctis.childproc import free_port
from tests.integration.broker_fixtures import Client, accounts, eventually

pytestmark = pytest.mark.broker
SAID_S = 15.0


def told(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_clients_and_sessions_are_counted_and_again_after_a_broker_that_was_killed(
    broker: MosquittoServer,
) -> None:
    config = broker.folder / "mosquitto.conf"
    config.write_text("sys_interval 1\n" + config.read_text())
    broker.restart()
    census = Census(broker.monitor)
    census.start(broker.port)
    try:
        with Client(broker.port, "t1/d1"), Client(broker.port, "t2/d1"):
            assert eventually(lambda: told("noctis_broker_clients") == 3, within_s=SAID_S)
        assert eventually(lambda: told("noctis_broker_clients") == 1, within_s=SAID_S)
        broker.kill()
        broker.restart()
        with Client(broker.port, "t1/d1"):
            assert eventually(lambda: told("noctis_broker_clients") == 2, within_s=SAID_S)
    finally:
        census.stop()


def test_the_monitor_is_let_in_where_the_accounts_are_those_of_the_last_start(
    broker: MosquittoServer,
) -> None:
    again = MosquittoServer(broker.folder)
    broker.stop()
    again.start(free_port(), None)
    try:
        config = again.folder / "mosquitto.conf"
        config.write_text("sys_interval 1\n" + config.read_text())
        again.restart()
        census = Census(again.monitor)
        census.start(again.port)
        try:
            with Client(again.port, "t1/d1"), Client(again.port, "t1/d2"):
                assert eventually(lambda: told("noctis_broker_clients") == 3, within_s=SAID_S)
        finally:
            census.stop()
    finally:
        again.stop()


def test_it_is_told_when_certificates_end(tmp_path: Path) -> None:
    ca = Authority.create(days=100)
    key, public_key = make_key()
    issued = ca.issue_server(["localhost"], public_key, days=9)
    tmp_path.chmod(0o755)
    server = MosquittoServer(tmp_path / "broker")
    files = server.install("server.crt", issued.pem), server.install("server.key", key)
    authority = server.install("ca.crt", ca.certificate.pem)
    first = server.install("first.crl", ca.revocation_list([]))
    server.listen(Listener(free_port(), tls=Tls(*files, authority, first)))
    server.start(free_port(), accounts())
    try:
        Measures(server).count(None)
    finally:
        server.stop()
    ends = {
        kind: told("noctis_certificate_ends_timestamp_seconds", certificate=kind)
        for kind in ("server", "ca", "revoked")
    }
    assert ends["server"] == issued.not_after.timestamp()
    assert ends["ca"] == ends["revoked"] == ca.certificate.not_after.timestamp()
    assert (server.folder / REVOKED).exists()
