"""Several ingestors and workers: shards move between them, planned and not."""

import json
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from broker.server import MosquittoServer
from cli.main import app
from cli.service import device_program
from noctis import topics
from noctis.childproc import free_port
from noctis.identity import DeviceId
from noctis.stages import LABELS
from noctis.storage import accounts, devices, migrate, tenants
from noctis.storage.engine import create, transaction
from noctis.storage.server import PostgresServer
from tests.integration.broker_fixtures import Client, eventually, password_of
from tests.parts import Part
from tests.truth import differences, read_database, read_logs

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(580)]

TENANT: Final = "fleet"
DEVICES: Final = int(os.environ.get("NOCTIS_SHARDS_DEVICES", "48"))
SPEED: Final = 30.0
"""An epoch a second: a context is recalled between two, as between two of 30 s."""

SOME_EPOCHS_S: Final = 4.0
MOST_OTHERWISE: Final = 0.05
"""Of the live stages: a busy machine may take too long to recall a context."""

STARTS_WITHIN_S: Final = 120.0
ENDS_WITHIN_S: Final = 120.0
REPLICAS: Final = 4
PHONE: Final = f"phone@{TENANT}"
PASSWORD: Final = "one for all of them"
KINDS: Final = {"ingestor": "ingestor", "inference": "live"}

WORK: Final = {
    "ingestor": "noctis_ingest_rows_total",
    "inference": "noctis_live_published_total",
}


class Site:
    """A broker, a database, and replicas that are started and moved by hand."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self.postgres = stack.enter_context(PostgresServer(folder / "postgres"))
        migrate.upgrade(self.postgres.url)
        self.engine: Engine = create(self.postgres.url, application="noctis-test")
        stack.callback(self.engine.dispose)
        self.broker = MosquittoServer(folder / "broker")
        stack.callback(self.broker.stop)
        self.broker.start(free_port(), self._enrol())

    def _enrol(self) -> list[accounts.Account]:
        with transaction(self.engine, 60) as connection:
            tenants.add(connection, TENANT)
            for number in range(1, DEVICES + 1):
                device = DeviceId(TENANT, f"bed-{number:04d}")
                devices.add(TENANT, connection, device.device)
                accounts.add(TENANT, connection, str(device), "device", PASSWORD)
            accounts.add(TENANT, connection, PHONE, "app", password_of(PHONE))
            for kind in KINDS.values():
                for number in range(REPLICAS):
                    name = f"svc-{kind}-{number}"
                    accounts.set_service(connection, name, password_of(name))
            return accounts.active(connection)

    def start(self, number: int, shards: str) -> list[Part]:
        """Start an ingestor and a worker, and wait until they have subscribed."""
        started = [self._part(module, number, shards) for module in KINDS]
        for part in started:
            part.launch()
            self._stack.callback(lambda it: it.child.kill(), part)
        assert eventually(
            lambda: all(it.is_ready() for it in started), within_s=STARTS_WITHIN_S
        )
        return started

    def _part(self, module: str, number: int, shards: str) -> Part:
        name = f"svc-{KINDS[module]}-{number}"
        environment = {
            "NOCTIS_VAR": str(self.folder / "var"),
            "NOCTIS_DATABASE_URL": self.postgres.url,
            "NOCTIS_BROKER_PORT": str(self.broker.port),
            "NOCTIS_BROKER_PASSWORD": password_of(name),
            "NOCTIS_INSTANCE": str(number),
            "NOCTIS_SHARDS": shards,
            "OMP_NUM_THREADS": "1",
        }
        return Part(module, environment, self.folder / f"{name}.log")

    def drop_session(self, name: str) -> None:
        settings = {
            "NOCTIS_BROKER_PORT": str(self.broker.port),
            "NOCTIS_SERVICE_PASSWORD": password_of(name),
        }
        arguments = ["cluster", "drop-session", name, "--json"]
        result = CliRunner().invoke(app, arguments, env=settings)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout) == {"dropped": name}

    def fleet(self, folder: Path, *options: str) -> subprocess.Popen[bytes]:
        """Start the fleet, or start it again on its flash."""
        names = ["--tenant", TENANT, "--device", "bed", "--devices", str(DEVICES)]
        files = ["--nor", str(folder / "nor"), "--log", str(folder / "log")]
        address = ["--port", str(self.broker.port), "--speed", str(SPEED)]
        with (folder / "told").open("a") as told:
            return subprocess.Popen(
                [device_program(), *names, *files, *address, *options],
                stderr=told,
                env={**os.environ, "NOCTIS_DEVICE_PASSWORD": PASSWORD},
            )

    @contextmanager
    def publishing_fleet(self, folder: Path) -> Iterator[None]:
        """Let the fleet publish for as long as the block runs, and then until all is stored."""
        fleet = self.fleet(folder, "--hours", "8")
        try:
            yield
            fleet.terminate()
            fleet.wait(20)
            fleet = self.fleet(folder, "--hours", "0.02", "--once")
            code = fleet.wait(ENDS_WITHIN_S)
            assert code == 0, (folder / "told").read_text()[-3000:]
        finally:
            fleet.kill()
            fleet.wait(10)

    def predictions(self) -> dict[tuple[str, int], list[tuple[int | None, list[float]]]]:
        """Return the predictions of each stored epoch, by device and number."""
        query = """
            SELECT d.name, e.seq, p.seq IS NOT NULL, p.stage,
                   ARRAY[p.p_wake, p.p_light, p.p_deep, p.p_rem]
            FROM epochs e JOIN devices d ON d.id = e.device_id LEFT JOIN predictions p
              ON p.device_id = e.device_id AND p.stream = e.stream AND p.seq = e.seq
        """
        found = defaultdict[tuple[str, int], list[tuple[int | None, list[float]]]](list)
        with transaction(self.engine, 60) as connection:
            for name, seq, is_there, stage, probabilities in connection.execute(text(query)):
                if is_there:
                    found[name, seq].append((stage, probabilities))
                else:
                    _ = found[name, seq]
        return found


@pytest.fixture
def site(folder: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(folder, stack)


def received(phone: Client) -> dict[str, list[dict[str, Any]]]:
    """Return the live stages that an app got, by device, in the order they came."""
    told = defaultdict[str, list[dict[str, Any]]](list)
    while not phone.received.empty():
        message = phone.next()
        told[message.topic.split("/")[4]].append(json.loads(message.payload))
    return told


def test_shards_move_between_replicas_and_nothing_is_lost_or_doubled(
    site: Site, tmp_path: Path
) -> None:
    first = site.start(0, "0-31")
    second = site.start(1, "32-63")
    with Client(site.broker.port, PHONE) as phone:
        phone.subscribe(topics.stages(TENANT))
        with site.publishing_fleet(tmp_path):
            time.sleep(SOME_EPOCHS_S)
            # Planned: the new owner subscribes, then the old one starts again without them.
            third = site.start(2, "16-31")
            assert [part.stop() for part in first] == [0, 0]
            first = site.start(0, "0-15")
            time.sleep(SOME_EPOCHS_S)
            # Not planned: a replica dies for good.
            for part in second:
                part.child.kill()
            fourth = site.start(3, "32-63")
            site.drop_session("svc-ingestor-1")
            time.sleep(SOME_EPOCHS_S)
        made, stored = read_logs(tmp_path), read_database(site.engine, TENANT)
        wrong = differences(made, stored)
        assert not wrong, {kind: (len(those), those[:3]) for kind, those in wrong.items()}
        assert len({epoch.device for epoch in made}) == DEVICES
        assert eventually(lambda: all(site.predictions().values()), within_s=60)
        settled = site.predictions()
        live = received(phone)
        for part in (*first, *third, *fourth):
            assert part.child.exit_code is None, part.child.tail()
            assert part.metric(WORK[part.module]) > 0
    assert {len(each) for each in settled.values()} == {1}
    assert len(settled) == len(made)
    check_live(live, {key: each[0] for key, each in settled.items()})


def check_live(
    live: dict[str, list[dict[str, Any]]],
    settled: dict[tuple[str, int], tuple[int | None, list[float]]],
) -> None:
    """The stages that an app saw came in order, and are those that are stored.

    After the death of a replica the past of its devices is stored late: what was told before
    that rests on less than what is stored.
    """
    assert len(live) == DEVICES
    shown, other = Counter[bool](), Counter[bool]()
    for device, stages in live.items():
        is_planned = topics.shard_of(DeviceId(TENANT, device)) < 32
        seqs = [stage["seq"] for stage in stages]
        assert seqs == sorted(seqs), device
        for stage in stages:
            shown[is_planned] += 1
            other[is_planned] += not agree(stage, *settled[device, stage["seq"]])
    sys.stderr.write(
        f"{len(settled)} epochs; live stages, and those that were settled otherwise: "
        f"{shown[True]}, {other[True]} where shards moved as planned, "
        f"{shown[False]}, {other[False]} where a replica died\n"
    )
    assert shown.total() > len(settled) / 2
    assert other[True] <= shown[True] * MOST_OTHERWISE


def agree(stage: dict[str, Any], label: int | None, probabilities: list[float]) -> bool:
    if stage["stage"] != (None if label is None else LABELS[label]):
        return False
    told = stage["probability"]
    return told is None or list(told.values()) == pytest.approx(probabilities, abs=6e-5)
