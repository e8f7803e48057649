"""What the broker delivers, and to whom: a granted SUBACK proves nothing.

``test_broker_threats`` is about accounts that mean harm.
"""

import json

import pytest

from broker.server import MosquittoServer
from tests.integration.broker_fixtures import (
    USERS,
    Client,
    accounts,
    broker,
    eventually,
)

__all__ = ["broker"]

pytestmark = pytest.mark.broker

DEVICES = ("t1/d1", "t1/d2", "t2/d1")
APPS = ("phone@t1", "phone@t2")
ALONE = [it for it in USERS if it != "svc-companion-1"]  # the same as the other companion
SERVICES = ("svc-ingestor-0", "svc-live-0", "svc-companion-0", "svc-api-0")

READERS = {
    "noctis/v1/up/7/t1/d1/epochs": {"svc-ingestor-0", "svc-live-0"},
    "noctis/v1/up/7/t1/d1/backlog": {"svc-ingestor-0"},
    "noctis/v1/up/7/t1/d1/status": {"svc-companion-0"},
    "noctis/v1/up/7/t1/d1/time": {"svc-ingestor-0"},
    "noctis/v1/up/7/t1/d1/result": {"svc-companion-0"},
    "noctis/v1/down/t1/d1/ack": {"t1/d1"},
    "noctis/v1/down/t1/d1/time": {"t1/d1"},
    "noctis/v1/down/t1/d1/command": {"t1/d1"},
    "noctis/v1/app/t1/d1/stage": {"phone@t1", "svc-api-0"},
    "noctis/v1/app/t1/d1/night": {"phone@t1"},
    "noctis/v1/app/t1/d1/alert": {"phone@t1"},
    "noctis/v1/app/t1/d1/status": {"phone@t1", "svc-companion-0"},
    "noctis/v1/app/t1/status": {"phone@t1", "svc-companion-0"},
    "noctis/v1/service/svc-companion-0/status": {"phone@t1", "phone@t2", "svc-companion-0"},
    "homeassistant/device/t1/d1/config": {"phone@t1", "svc-companion-0"},
    "homeassistant/status": set(),
}
"""Who receives what, of everything that is published."""

WRITERS = {
    "noctis/v1/up/7/t1/d1/epochs": {"t1/d1"},
    "noctis/v1/up/7/t1/d1/status": {"t1/d1", "svc-companion-0"},
    "noctis/v1/up/7/t1/d1/time": {"t1/d1"},
    "noctis/v1/up/7/t1/d1/result": {"t1/d1"},
    "noctis/v1/down/t1/d1/ack": {"svc-ingestor-0"},
    "noctis/v1/down/t1/d1/time": {"svc-ingestor-0"},
    "noctis/v1/down/t1/d1/config": {"svc-companion-0"},
    "noctis/v1/down/t1/d1/ota": {"svc-companion-0"},
    "noctis/v1/down/t1/d1/command": {"svc-companion-0"},
    "noctis/v1/app/t1/d1/stage": {"svc-live-0", "svc-companion-0"},
    "noctis/v1/app/t1/d1/night": {"svc-companion-0"},
    "noctis/v1/app/t1/d1/alert": {"svc-companion-0"},
    "noctis/v1/app/t1/d1/status": {"svc-companion-0"},
    "noctis/v1/app/t1/status": {"svc-companion-0"},
    "noctis/v1/service/svc-companion-0/status": {"svc-companion-0"},
    "homeassistant/device/t1/d1/config": {"svc-companion-0"},
    "homeassistant/status": set(),
    "$SYS/broker/version": set(),
    "t1/d1": set(),
}
"""Whose message on a topic reaches its readers."""


@pytest.fixture
def open_broker(broker: MosquittoServer) -> MosquittoServer:
    """The broker with one more account, which may read and write everything."""
    everything = accounts("svc-probe-0")
    broker.reload(everything)
    acl = broker.folder / "acl"
    acl.write_text(acl.read_text() + "\nuser svc-probe-0\ntopic #\ntopic $SYS/#\n")
    broker.restart()
    return broker


@pytest.mark.parametrize("reader", ALONE)
def test_a_reader_receives_its_own_topics_and_no_others(
    open_broker: MosquittoServer, reader: str
) -> None:
    port = open_broker.port
    with Client(port, reader) as client, Client(port, "svc-probe-0") as probe:
        for wish in ("#", "noctis/v1/#", "+/v1/+/+/+/+", "$share/g/#", "homeassistant/#"):
            client.subscribe(wish)
        for topic in READERS:
            client.subscribe(topic)
            probe.publish(topic, b"x")
        expected = {topic for topic, readers in READERS.items() if reader in readers}
        assert set(client.topics()) == expected


@pytest.mark.parametrize("writer", ALONE)
def test_a_writer_reaches_its_own_topics_and_no_others(
    open_broker: MosquittoServer, writer: str
) -> None:
    port = open_broker.port
    with Client(port, "svc-probe-0") as probe, Client(port, writer) as client:
        probe.subscribe("#")
        for topic in WRITERS:
            client.publish(topic, b"x")
        expected = {topic for topic, writers in WRITERS.items() if writer in writers}
        assert set(probe.topics()) == expected


def test_nobody_enters_without_an_account_or_with_a_wrong_password(
    broker: MosquittoServer,
) -> None:
    with Client(broker.port, "", client_id="t1/d1") as stranger:
        assert stranger.refused is not None
    with Client(broker.port, "t9/d9") as unknown:
        assert unknown.refused is not None
    mistaken = Client(broker.port, "t1/d1")
    mistaken._client.username_pw_set("t1/d1", "wrong")
    with mistaken:
        assert mistaken.refused is not None


def test_two_connections_on_one_account_evict_each_other(broker: MosquittoServer) -> None:
    """So every phone, every Home Assistant and every service has an account of its own."""
    first = Client(broker.port, "phone@t1")
    with first, Client(broker.port, "phone@t1", client_id="another id"):
        assert eventually(lambda: not first.is_connected())


def test_retained_stages_stay_with_their_tenant(broker: MosquittoServer) -> None:
    with Client(broker.port, "svc-live-0") as live:
        for tenant in ("t1", "t2"):
            payload = json.dumps({"tenant": tenant}).encode()
            live.publish(f"noctis/v1/app/{tenant}/d1/stage", payload, retain=True)
    for app, tenant in (("phone@t1", "t1"), ("phone@t2", "t2")):
        with Client(broker.port, app) as client:
            client.subscribe("noctis/v1/app/#")
            client.subscribe(f"noctis/v1/app/{tenant}/#")
            assert {json.loads(client.next().payload)["tenant"]} == {tenant}
            assert set(client.topics()) <= {f"noctis/v1/app/{tenant}/d1/stage"}
