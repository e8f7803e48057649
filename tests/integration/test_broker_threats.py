"""What an account that means harm gets from the broker, and what others get from it.

Asserted is what is delivered: Mosquitto grants subscriptions that it never serves, and
acknowledges messages that go nowhere.
"""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from broker.config import Limits
from broker.server import MosquittoServer
from noctis.identity import DeviceId
from noctis.topics import shard_of
from tests.integration.broker_fixtures import (
    QUIET_S,
    Client,
    accounts,
    eventually,
    password_of,
    running_broker,
)

pytestmark = pytest.mark.broker

UP, DOWN, APP = "noctis/v1/up/7", "noctis/v1/down", "noctis/v1/app"
ATTACKERS = ("t1/d1", "phone@t1", "svc-probe-9")

# What there is to hear, of t2 and of the platform; t1 must hear nothing of it.
SECRETS = {
    f"{UP}/t2/d1/epochs": "t2/d1",
    f"{UP}/t2/d1/backlog": "t2/d1",
    f"{UP}/t2/d1/status": "t2/d1",
    f"{UP}/t2/d1/result": "t2/d1",
    f"{UP}/t2/d1/time": "t2/d1",
    f"{DOWN}/t2/d1/ack": "svc-ingestor-0",
    f"{DOWN}/t2/d1/time": "svc-ingestor-0",
    f"{DOWN}/t2/d1/command": "svc-companion-0",
    f"{DOWN}/t2/d1/config": "svc-companion-0",
    f"{DOWN}/t1/d2/ack": "svc-ingestor-0",
    f"{APP}/t2/d1/stage": "svc-live-0",
    f"{APP}/t2/d1/night": "svc-companion-0",
    "homeassistant/device/t2/d1/config": "svc-companion-0",
}
WISHES = (
    "#",
    "+/#",
    "/#",
    "noctis/#",
    "noctis/v1/up/#",
    "noctis/v1/up/+/+/+/+",
    f"{UP}/t2/#",
    f"{UP}/+/d1/epochs",
    f"{DOWN}/#",
    f"{DOWN}/+/+/ack",
    f"{DOWN}/t2/d1/#",
    f"{APP}/#",
    f"{APP}/t2/#",
    f"{APP}/+/+/stage",
    "homeassistant/#",
    "homeassistant/+/t2/+/config",
    "$share/g/#",
    "$share/g/noctis/v1/up/+/+/+/epochs",
    f"$share/ingestor/{UP}/t2/d1/epochs",
    f"$share/g/{APP}/t2/d1/stage",
    "$SYS/#",
    "$SYS/broker/clients/connected",
    "$CONTROL/#",
)


@pytest.fixture(scope="module")
def threatened(server_folder: Path) -> Iterator[MosquittoServer]:
    """A broker that tells of itself ($SYS) every second, with two accounts more.

    ``svc-probe-9`` has a service's name and no rights, ``svc-witness-0`` may read everything.
    """
    folder = server_folder / "threatened"
    with running_broker(folder, persistence=False) as server:
        server.reload(accounts("svc-probe-9", "svc-witness-0"))
        acl, config = server.folder / "acl", server.folder / "mosquitto.conf"
        acl.write_text(acl.read_text() + "\nuser svc-witness-0\ntopic #\ntopic $SYS/#\n")
        config.write_text("sys_interval 1\n" + config.read_text())
        server.restart()
        yield server


@pytest.fixture
def witness(threatened: MosquittoServer) -> Iterator[Client]:
    """A client that hears everything, on a broker that remembers nothing."""
    threatened.restart()
    with Client(threatened.port, "svc-witness-0") as client:
        client.subscribe("#")
        yield client


def say_everything(port: int) -> None:
    """Let those who may say each of the secrets."""
    with ExitStack() as stack:
        speakers = {
            name: stack.enter_context(Client(port, name)) for name in set(SECRETS.values())
        }
        for topic, speaker in SECRETS.items():
            speakers[speaker].publish(topic, b"secret", retain=True)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_nothing_of_others_is_delivered_whatever_is_subscribed_to(
    threatened: MosquittoServer, witness: Client, moment: str
) -> None:
    """Neither while it is said, nor what is retained, later on."""
    with ExitStack() as stack:
        if moment == "after":
            say_everything(threatened.port)
        clients = {it: stack.enter_context(Client(threatened.port, it)) for it in ATTACKERS}
        for client in clients.values():
            for wish in WISHES:
                client.subscribe(wish)
        if moment == "before":
            say_everything(threatened.port)
        assert set(witness.topics()) == SECRETS.keys()
        time.sleep(1.0)  # $SYS speaks every second
        heard = {it: client.topics(0.1) for it, client in clients.items()}
        assert not any(heard.values()), heard


FOREIGN = (
    f"{UP}/t2/d1/epochs",
    f"{UP}/t1/d2/epochs",
    f"{UP}/t1/d1x/epochs",
    f"{UP}/t1/epochs",
    "noctis/v1/up/t1/d1/epochs",
    f"{UP}//t1/d1/epochs",
    f"{UP}/t1//d1/epochs",
    f"/{UP}/t1/d1/epochs",
    f"{DOWN}/t1/d1/ack",
    f"{DOWN}/t2/d1/command",
    f"{APP}/t1/d1/stage",
    f"{APP}/t2/d1/stage",
    "homeassistant/device/t1/d1/config",
    "$SYS/broker/version",
    "$CONTROL/dynamic-security/v1",
    "noctis/v2/up/7/t1/d1/epochs",
    "t1/d1",
)


@pytest.mark.parametrize("attacker", ATTACKERS)
def test_nothing_that_is_written_elsewhere_is_delivered_to_anybody(
    threatened: MosquittoServer, witness: Client, attacker: str
) -> None:
    with Client(threatened.port, attacker, version=paho.MQTTv311) as client:
        for topic in FOREIGN:
            for retain in (False, True):
                client.publish(topic, b"forged", retain=retain)
    assert witness.topics() == []


def test_a_device_reaches_any_shard_of_its_own_and_services_know_the_right_one(
    threatened: MosquittoServer, witness: Client
) -> None:
    """The ACL lets a device choose the shard; services drop what is not its own."""
    right = shard_of(DeviceId("t1", "d1"))
    with Client(threatened.port, "t1/d1") as device:
        for shard in ("0", "63", "64", "x", str(right)):
            device.publish(f"noctis/v1/up/{shard}/t1/d1/epochs", b"x")
    heard = {topic.split("/")[3] for topic in witness.topics()}
    assert str(right) in heard


@pytest.mark.parametrize("attacker", ["t1/d1", "phone@t1"])
def test_a_will_reaches_nobody_but_whom_its_account_may_tell(
    threatened: MosquittoServer, witness: Client, attacker: str
) -> None:
    own = f"{UP}/t1/d1/status"
    for topic in (f"{UP}/t2/d1/status", f"{DOWN}/t2/d1/command", f"{APP}/t1/d1/stage", own):
        for retain in (False, True):
            _die(Client(threatened.port, attacker), topic, retain=retain)
    assert witness.topics() == ([own, own] if attacker == "t1/d1" else [])


def _die(client: Client, will: str, *, retain: bool) -> None:
    """Let a client vanish that leaves a will behind."""
    client._client.will_set(will, b"will", qos=1, retain=retain)
    with client:
        sock = client._client.socket()
        if sock is not None:  # the broker may refuse such a will at once
            sock.shutdown(socket.SHUT_RDWR)
            eventually(lambda: not client.is_connected())


def test_a_retained_message_of_ones_own_cannot_be_overwritten_by_another(
    threatened: MosquittoServer, witness: Client
) -> None:
    topic = f"{UP}/t2/d1/status"
    with Client(threatened.port, "t2/d1") as owner, Client(threatened.port, "t1/d1") as other:
        owner.publish(topic, b"online", retain=True)
        other.publish(topic, b"", retain=True)
        other.publish(topic, b"forged", retain=True)
    assert witness.topics() == [topic]
    with Client(threatened.port, "svc-companion-0") as reader:
        reader.subscribe("noctis/v1/up/+/+/+/status")
        assert reader.next().payload == b"online"


def test_a_client_id_of_another_takes_over_nothing(threatened: MosquittoServer) -> None:
    victims = ("t2/d1", "svc-ingestor-0", "phone@t2")
    with ExitStack() as stack:
        held = {it: stack.enter_context(Client(threatened.port, it)) for it in victims}
        held["t2/d1"].subscribe(f"{DOWN}/t2/d1/#")
        held["svc-ingestor-0"].subscribe("noctis/v1/up/+/+/+/epochs")
        held["phone@t2"].subscribe(f"{APP}/t2/#")
        for client_id in (*victims, "", "t1/d1/x"):  # each ends the one before
            thief = stack.enter_context(Client(threatened.port, "t1/d1", client_id=client_id))
        thief.subscribe("#")
        held["t2/d1"].publish(f"{UP}/t2/d1/epochs", b"x")
        held["svc-ingestor-0"].publish(f"{DOWN}/t2/d1/ack", b"x")
        with Client(threatened.port, "svc-live-0") as live:
            live.publish(f"{APP}/t2/d1/stage", b"x")
        assert {it: client.topics() for it, client in held.items()} == {
            "t2/d1": [f"{DOWN}/t2/d1/ack"],
            "svc-ingestor-0": [f"{UP}/t2/d1/epochs"],
            "phone@t2": [f"{APP}/t2/d1/stage"],
        }
        assert thief.topics() == []


def test_a_response_topic_carries_no_answer_to_who_asked_for_it_elsewhere(
    threatened: MosquittoServer, witness: Client
) -> None:
    """Nobody answers to a response topic; and its name opens nothing."""
    properties = Properties(PacketTypes.PUBLISH)
    properties.ResponseTopic = f"{UP}/t2/d1/result"
    properties.CorrelationData = b"1"
    with Client(threatened.port, "t1/d1") as client:
        client.subscribe(f"{UP}/t2/d1/result")
        client._client.publish(
            f"{UP}/t1/d1/epochs", b"x", qos=1, properties=properties
        ).wait_for_publish(5)
        assert witness.topics() == [f"{UP}/t1/d1/epochs"]
        with Client(threatened.port, "t2/d1") as other:
            other.publish(f"{UP}/t2/d1/result", b"answer")
        assert client.topics() == []


@pytest.mark.parametrize(
    "username", ["t1/d1/epochs", "t1//d1", "/t1/d1", "t1/d1/", "t1/+", "#"]
)
def test_a_name_with_a_slash_too_many_is_nobodys_account(
    threatened: MosquittoServer, username: str
) -> None:
    with Client(threatened.port, username) as client:
        assert client.refused is not None


def raw_connect(port: int, username: str) -> socket.socket:
    """Connect as MQTT 3.1.1 does, without a library that reads on by itself."""
    link = socket.create_connection(("127.0.0.1", port), 5)
    texts = [it.encode() for it in (username, username, password_of(username))]
    body = b"\x00\x04MQTT\x04\xc2\x00\x3c"
    body += b"".join(struct.pack(">H", len(it)) + it for it in texts)
    link.sendall(bytes([0x10, len(body)]) + body)
    assert link.recv(4) == b"\x20\x02\x00\x00"
    return link


@pytest.mark.parametrize("version", [paho.MQTTv311, paho.MQTTv5])
def test_a_packet_beyond_the_limit_is_delivered_to_nobody(
    threatened: MosquittoServer, witness: Client, version: int
) -> None:
    with (
        Client(threatened.port, "t1/d1", version=version) as giant,
        Client(threatened.port, "t1/d2") as other,
    ):
        giant._client.publish(f"{UP}/t1/d1/epochs", bytes(70_000), qos=0)
        if version == paho.MQTTv311:  # with MQTT 5 the library knows the limit, and keeps it
            assert eventually(lambda: not giant.is_connected())
        other.publish(f"{UP}/t1/d2/epochs", b"x")
        assert witness.topics() == [f"{UP}/t1/d2/epochs"]


def test_a_length_that_lies_and_a_packet_that_is_none_cost_the_liar_its_connection(
    threatened: MosquittoServer, witness: Client
) -> None:
    for garbage in (
        b"\x30\xff\xff\xff\xff\xff",
        b"\xf0\x00" * 50,
        b"\x30\x02\xff\xff",
        bytes(64),
    ):
        link = raw_connect(threatened.port, "t1/d1")
        link.settimeout(5)
        try:
            link.sendall(garbage)
            assert link.recv(16) == b""
        except ConnectionResetError:
            pass
        link.close()
    with Client(threatened.port, "t1/d2") as other:
        other.publish(f"{UP}/t1/d2/epochs", b"x")
    assert witness.topics() == [f"{UP}/t1/d2/epochs"]


def test_a_reader_who_stands_still_holds_nobody_up_and_costs_no_more_than_its_queue(
    threatened: MosquittoServer,
) -> None:
    slow = raw_connect(threatened.port, "svc-ingestor-0")
    topic = b"noctis/v1/up/+/+/+/epochs"
    body = b"\x00\x01" + struct.pack(">H", len(topic)) + topic + b"\x01"
    slow.sendall(bytes([0x82, len(body)]) + body)
    assert slow.recv(5)[:1] == b"\x90"
    count, payload = 1500, bytes(8000)  # 12 MB, more than any socket holds
    device = Client(threatened.port, "t1/d1")
    device._client.max_inflight_messages_set(200)
    with Client(threatened.port, "svc-live-0") as brisk, device:
        brisk.subscribe("noctis/v1/up/+/+/+/epochs")
        for _ in range(count):
            device._client.publish(f"{UP}/t1/d1/epochs", payload, qos=1)
        for _ in range(count):
            assert brisk.next(20).payload == payload
    slow.close()


def test_a_reader_who_acknowledges_nothing_loses_what_is_beyond_its_queue(
    server_folder: Path,
) -> None:
    limits = Limits(inflight_messages=10, queued_messages=20)
    held: list[paho.MQTTMessage] = []
    with running_broker(server_folder / "small", persistence=False, limits=limits) as server:
        slow = Client(server.port, "svc-ingestor-0")
        slow._client.manual_ack_set(on=True)
        slow._client.on_message = lambda _client, _data, message: held.append(message)
        with (
            slow,
            Client(server.port, "svc-live-0") as brisk,
            Client(server.port, "t1/d1") as it,
        ):
            for reader in (slow, brisk):
                reader.subscribe("noctis/v1/up/+/+/+/epochs")
            for _ in range(100):
                it.publish(f"{UP}/t1/d1/epochs", b"x")
                brisk.next()
            assert len(held) == 10
            done = 0
            while eventually(lambda: len(held) > done, within_s=QUIET_S):  # noqa: B023
                slow._client.ack(held[done].mid, held[done].qos)
                done += 1
            assert len(held) == limits.inflight_messages + limits.queued_messages


def test_a_storm_of_reconnects_of_one_device_leaves_the_others_alone(
    threatened: MosquittoServer, witness: Client
) -> None:
    stop = threading.Event()

    def storm() -> None:
        while not stop.is_set():
            raw_connect(threatened.port, "t1/d1").close()

    with Client(threatened.port, "t1/d2") as calm:
        threads = [threading.Thread(target=storm, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for number in range(100):
                calm.publish(f"{UP}/t1/d2/epochs", str(number).encode())
                time.sleep(0.01)
        finally:
            stop.set()
            for thread in threads:
                thread.join(10)
        heard = [witness.next().payload for _ in range(100)]
        assert heard == [str(number).encode() for number in range(100)]
        assert calm.is_connected()
