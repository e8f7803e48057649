"""Devices on a RabbitMQ cluster of three nodes, apps on Mosquitto, and a node killed."""

import asyncio
import os
import queue
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import paho.mqtt.client as paho
import pytest
from sqlalchemy import Engine, text

from broker.server import MosquittoServer
from cli.service import device_program
from noctis import topics
from noctis.childproc import free_port
from noctis.identity import DeviceId
from noctis.mqtt import Link, Message, Session, drop_session
from noctis.storage import accounts, devices, migrate, tenants
from noctis.storage.engine import create, transaction
from noctis.storage.server import PostgresServer
from tests.acceptance.rabbitmq_cluster import Cluster, is_installed, running_cluster
from tests.integration.broker_fixtures import Client, eventually, on_loop, password_of, until
from tests.parts import Part
from tests.truth import differences, read_database, read_logs

pytestmark = [
    pytest.mark.broker,
    pytest.mark.postgres,
    pytest.mark.timeout(580),
    pytest.mark.skipif(
        not is_installed(), reason="rabbitmq-server is not installed: scripts/bootstrap check"
    ),
]

TENANT: Final = "fleet"
DEVICES: Final = int(os.environ.get("NOCTIS_RABBITMQ_DEVICES", "40"))
HOURS: Final = 0.2
SPEED: Final = 36.0
ENDS_WITHIN_S: Final = 120.0
FLEET: Final = [DeviceId(TENANT, f"bed-{number:04d}") for number in range(1, DEVICES + 1)]
VICTIM, NEIGHBOUR, STRANGER = DeviceId("t1", "d1"), DeviceId("t1", "d2"), DeviceId("t2", "d1")
SERVICES: Final = ("svc-ingestor-0", "svc-ingestor-1", "svc-live-0")
PHONE: Final = f"phone@{TENANT}"
PASSWORD: Final = "one for all of them"


@dataclass
class Site:
    """The platform's brokers and database."""

    folder: Path
    postgres: PostgresServer
    engine: Engine
    apps: MosquittoServer
    cluster: Cluster

    def part(self, module: str, username: str, shards: str = "0-63") -> Part:
        environment = {
            "NOCTIS_VAR": str(self.folder / "var"),
            "NOCTIS_DATABASE_URL": self.postgres.url,
            "NOCTIS_BROKER_HOST": self.cluster.addresses,
            "NOCTIS_BROKER_MQTT": "3.1.1",
            "NOCTIS_BROKER_PASSWORD": password_of(username),
            "NOCTIS_APP_BROKER_HOST": "127.0.0.1",
            "NOCTIS_APP_BROKER_PORT": str(self.apps.port),
            "NOCTIS_APP_BROKER_PASSWORD": password_of(username),
            "NOCTIS_INSTANCE": username[-1],
            "NOCTIS_SHARDS": shards,
            "OMP_NUM_THREADS": "1",
        }
        return Part(module, environment, self.folder / f"{username}.log")

    def client(self, username: str, *, node: int = 0, client_id: str = "") -> Client:
        port = self.cluster.nodes[node].port
        return Client(port, username, client_id=client_id, version=paho.MQTTv311)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="noctis-test-")
        folder = Path(stack.enter_context(temporary))
        folder.chmod(0o755)
        postgres = stack.enter_context(PostgresServer(folder / "postgres"))
        migrate.upgrade(postgres.url)
        engine = create(postgres.url, application="noctis-test")
        stack.callback(engine.dispose)
        enrol(engine)
        apps = MosquittoServer(folder / "apps")
        stack.callback(apps.stop)
        with transaction(engine, 60) as connection:
            apps.start(free_port(), accounts.active(connection))
        port = stack.enter_context(running_authority(folder, postgres.url))
        services = {name: password_of(name) for name in SERVICES}
        cluster = stack.enter_context(running_cluster(folder, services, authority=port))
        yield Site(folder, postgres, engine, apps, cluster)


def enrol(engine: Engine) -> None:
    with transaction(engine, 60) as connection:
        for tenant in (TENANT, "t1", "t2"):
            tenants.add(connection, tenant)
        for device in (*FLEET, VICTIM, NEIGHBOUR, STRANGER):
            devices.add(device.tenant, connection, device.device)
            password = PASSWORD if device.tenant == TENANT else password_of(str(device))
            accounts.add(device.tenant, connection, str(device), "device", password)
        accounts.add(TENANT, connection, PHONE, "app", password_of(PHONE))
        for name in SERVICES:
            accounts.set_service(connection, name, password_of(name))


@contextmanager
def running_authority(folder: Path, url: str) -> Iterator[int]:
    port = free_port()
    environment = {"NOCTIS_DATABASE_URL": url, "NOCTIS_AUTHORITY_PORT": str(port)}
    authority = Part("broker.authority", environment, folder / "authority.log")
    authority.start()
    try:
        yield port
    finally:
        assert authority.stop() == 0


def epochs(device: DeviceId) -> str:
    return topics.up(device, "epochs")


def test_a_device_reaches_its_own_topics_and_no_others(site: Site) -> None:
    with (
        site.client("svc-ingestor-0") as ingestor,
        site.client(str(VICTIM), node=1) as victim,
    ):
        ingestor.subscribe("noctis/v1/up/+/+/+/epochs", qos=0)
        victim.subscribe(f"noctis/v1/down/{VICTIM}/+", qos=0)
        foreign = {
            epochs(VICTIM),
            epochs(VICTIM).replace("/", "."),
            f"noctis/v1/up/5/{VICTIM}/epochs",
            f"noctis/v1/down/{VICTIM}/ack",
            f"noctis/v1/app/{STRANGER}/stage",
        }
        for topic in sorted(foreign):
            for attacker in (STRANGER, NEIGHBOUR):
                with site.client(str(attacker), node=2) as client:
                    client.publish(topic, b"foreign", qos=0)
        victim.publish(epochs(VICTIM), b"own")
        with site.client(str(STRANGER), node=2) as client:
            client.publish(epochs(STRANGER), b"own")
        ingestor.publish(f"noctis/v1/down/{VICTIM}/ack", b"ack", qos=0)
        assert victim.next().payload == b"ack"
        assert sorted(ingestor.topics()) == sorted([epochs(VICTIM), epochs(STRANGER)])
        assert victim.topics() == []


@pytest.mark.parametrize(
    "topic_filter",
    [
        "#",
        "noctis/v1/down/+/+/+",
        f"noctis/v1/down/{VICTIM}/ack",
        "noctis/v1/down/t1/#",
        "noctis/v1/up/+/+/+/epochs",
    ],
)
def test_a_device_that_asks_for_more_than_its_own_is_sent_nothing(
    site: Site, topic_filter: str
) -> None:
    with site.client("svc-ingestor-0") as ingestor, site.client(str(STRANGER)) as stranger:
        with suppress(queue.Empty):  # the answer is a cut connection; what is delivered counts
            stranger.subscribe(topic_filter, qos=0, within_s=0.5)
        with site.client(str(VICTIM), node=1) as victim:
            victim.publish(epochs(VICTIM), b"x")
        ingestor.publish(f"noctis/v1/down/{VICTIM}/ack", b"x", qos=0)
        assert stranger.topics() == []


def test_nobody_connects_under_the_client_id_of_another(site: Site) -> None:
    with site.client(str(VICTIM)) as victim:
        victim.subscribe(f"noctis/v1/down/{VICTIM}/+", qos=0)
        for name in (str(VICTIM), "svc-ingestor-0"):
            with site.client(str(NEIGHBOUR), node=1, client_id=name) as thief:
                assert thief.refused is not None
        with site.client("svc-ingestor-0", node=2) as ingestor:
            ingestor.publish(f"noctis/v1/down/{VICTIM}/ack", b"still there", qos=0)
        assert victim.next().payload == b"still there"


def test_a_revoked_device_and_an_app_are_refused(site: Site) -> None:
    with site.client(PHONE) as phone:
        assert phone.refused is not None
    late = DeviceId("t2", "late")
    with transaction(site.engine, 60) as connection:
        devices.add(late.tenant, connection, late.device)
        accounts.add(late.tenant, connection, str(late), "device", password_of(str(late)))

    def is_let_in() -> bool:
        with site.client(str(late)) as client:
            return client.refused is None

    assert eventually(is_let_in)
    with transaction(site.engine, 60) as connection:
        accounts.revoke(late.tenant, connection, str(late))
    assert eventually(lambda: not is_let_in())


def test_a_session_gives_up_the_shards_that_moved_away(site: Site) -> None:
    link = Link(
        "127.0.0.1",
        site.cluster.nodes[0].port,
        "svc-ingestor-1",
        password_of("svc-ingestor-1"),
        version=4,
        session_expiry_s=60,
    )
    kept, given_up = (
        topics.ups(topics.shard_of(VICTIM), "epochs"),
        topics.ups(topics.shard_of(STRANGER), "epochs"),
    )
    got: list[str] = []

    async def take(message: Message) -> None:
        got.append(message.topic)

    def tell(*told: DeviceId) -> None:
        for device in told:
            with site.client(str(device), node=1) as client:
                client.publish(epochs(device), b"x")

    async def live(session: Session, told: tuple[DeviceId, ...], count: int) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(session.run())
            await session.wait_ready()
            await asyncio.to_thread(tell, *told)
            await until(lambda: len(got) >= count)
            await asyncio.sleep(0.3)
            await session.stop()

    async def main() -> None:
        before = Session(link, subscriptions=[kept, given_up], handler=take)
        await live(before, (VICTIM, STRANGER), 2)
        await asyncio.to_thread(tell, STRANGER)  # queued on the cluster meanwhile
        after = Session(link, subscriptions=[kept], given_up=[given_up], handler=take)
        await live(after, (STRANGER, VICTIM), 4)
        await drop_session(link)

    on_loop(main)
    assert sorted(got) == sorted([epochs(VICTIM), epochs(STRANGER)] * 2)


@contextmanager
def running_fleet(site: Site, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    names = ["--tenant", TENANT, "--device", "bed", "--devices", str(DEVICES)]
    files = ["--nor", str(folder / "nor"), "--log", str(folder / "log")]
    night = ["--hours", str(HOURS), "--speed", str(SPEED), "--once"]
    with (folder / "told").open("w") as told:
        process = subprocess.Popen(
            [device_program(), *names, *files, *night, "--host", site.cluster.addresses],
            stderr=told,
            env={**os.environ, "NOCTIS_DEVICE_PASSWORD": PASSWORD},
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def predictions(engine: Engine) -> list[int]:
    """Return how many predictions each stored epoch of the fleet has."""
    query = """
        SELECT count(p.seq) FROM epochs e JOIN devices d ON d.id = e.device_id
        JOIN tenants t ON t.id = d.tenant_id AND t.name = :tenant
        LEFT JOIN predictions p
          ON p.device_id = e.device_id AND p.stream = e.stream AND p.seq = e.seq
        GROUP BY e.device_id, e.stream, e.seq
    """
    with transaction(engine, 60) as connection:
        return list(connection.scalars(text(query), {"tenant": TENANT}))


def test_a_node_killed_on_the_way_costs_no_epoch_and_doubles_none(
    site: Site, tmp_path: Path
) -> None:
    night_s = HOURS * 3600 / SPEED
    with ExitStack() as stack:
        parts = [
            site.part("ingestor", "svc-ingestor-0", "0-31"),
            site.part("ingestor", "svc-ingestor-1", "32-63"),
            site.part("inference", "svc-live-0"),
        ]
        for part in parts:
            part.launch()
            stack.callback(lambda it: it.child.kill(), part)
        assert eventually(lambda: all(part.is_ready() for part in parts), within_s=120)
        phone = stack.enter_context(Client(site.apps.port, PHONE))
        phone.subscribe(topics.stages(TENANT))
        fleet = stack.enter_context(running_fleet(site, tmp_path))
        time.sleep(night_s / 3)
        before = phone.received.qsize()
        site.cluster.nodes[0].kill()
        time.sleep(night_s / 6)
        parts[0].child.kill()
        time.sleep(1)
        parts[0].launch()
        code = fleet.wait(ENDS_WITHIN_S)
        assert code == 0, (tmp_path / "told").read_text()[-3000:]
        made, stored = read_logs(tmp_path), read_database(site.engine, TENANT)
        wrong = differences(made, stored)
        assert not wrong, {kind: (len(those), those[:3]) for kind, those in wrong.items()}
        assert len({epoch.device for epoch in made}) == DEVICES
        assert eventually(lambda: set(predictions(site.engine)) == {1}, within_s=30)
        assert len(predictions(site.engine)) == len(made)
        after = len(phone.topics(0.05)) - before
        sys.stderr.write(
            f"{len(made)} epochs of {DEVICES} devices; {before} live stages before the "
            f"node died, {after} after it\n"
        )
        assert before > 0
        assert after > 0
        assert all(part.child.exit_code is None for part in parts)
