"""A whole platform of single parts, each to be hurt on its own, and devices that keep logs.

Nothing here starts again by itself what has died: a service that ends is a failure.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Self

import psycopg

from broker.server import MosquittoServer
from cli.service import device_program
from noctis.childproc import free_port
from noctis.identity import DeviceId
from noctis.storage import accounts, devices, migrate, tenants
from noctis.storage.engine import create, transaction
from noctis.storage.errors import AlreadyExistsError
from noctis.storage.server import PostgresServer
from tests.disks import FILLER, can_mount, small_disk
from tests.integration.broker_fixtures import eventually, password_of
from tests.parts import Part
from tests.proxy import Proxy
from tests.secured import Secured
from tests.truth import Epoch, differences, read_database, read_logs

SERVICES: Final = MappingProxyType(
    {
        "ingestor": "svc-ingestor-0",
        "inference": "svc-live-0",
        "companion": "svc-companion-0",
        "api": "svc-api-0",
    }
)
DEADLINE_S: Final = 2.0
FLEET_PASSWORD: Final = "one for all of them"
SPEED: Final = 600
RECOVERY_S: Final = 30.0
LOG_MEBIBYTES: Final = 96
DATA_MEBIBYTES: Final = 256
LITTLE_LOG: Final = {"min_wal_size": "32MB", "max_wal_size": "32MB"}


class Rig:
    """PostgreSQL behind a proxy, Mosquitto and the services, from entry to exit."""

    def __init__(self, folder: Path, *, secured: bool = False) -> None:
        self.folder = folder
        self.secured: Secured | None = None
        self._asks_certificates = secured
        self.postgres = PostgresServer(folder / "postgres", settings=LITTLE_LOG)
        self.broker = MosquittoServer(folder / "broker")
        self.parts: dict[str, Part] = {}
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as ends:
            if can_mount():
                ends.enter_context(small_disk(self.log_disk, LOG_MEBIBYTES))
                ends.enter_context(small_disk(self.data_disk, DATA_MEBIBYTES))
            ends.callback(self.postgres.stop)
            self.postgres.start()
            migrate.upgrade(self.postgres.url)
            if can_mount():
                self._move_the_log()
                self._move_the_data()
            self.engine = create(self.postgres.url, application="noctis-test")
            ends.callback(self.engine.dispose)
            self.proxy = ends.enter_context(Proxy(self.postgres.port))
            with transaction(self.engine, 60) as connection:
                for username in SERVICES.values():
                    accounts.set_service(connection, username, password_of(username))
                known = accounts.active(connection)
            ends.callback(self.broker.stop)
            if self._asks_certificates:
                self.secured = Secured.beside(self.broker, self.folder / "certificates")
            self.broker.start(free_port(), known)
            self._start_services(ends)
            self._ends = ends.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.postgres.thaw()
        self._ends.close()

    @property
    def ingestor(self) -> Part:
        return self.parts["ingestor"]

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of the services that still run."""
        running = {name: it.child for name, it in self.parts.items()}
        return {name: it.pid for name, it in running.items() if it.exit_code is None}

    def is_ready(self) -> bool:
        return all(part.is_ready() for part in self.parts.values())

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement on the server itself, outside any transaction."""
        with psycopg.connect(
            self.postgres.url, autocommit=True, connect_timeout=5
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def stored(self, tenant: str) -> list[Epoch]:
        return read_database(self.engine, tenant)

    def enrol(self, *names: DeviceId, password: str = "") -> None:
        """Add devices with their accounts; each its own password where none is given."""
        with transaction(self.engine, 60) as connection:
            for tenant in {name.tenant for name in names}:
                with suppress(AlreadyExistsError):
                    tenants.add(connection, tenant)
            for name in names:
                devices.add(name.tenant, connection, name.device)
                secret = password or password_of(str(name))
                accounts.add(name.tenant, connection, str(name), "device", secret)
            known = accounts.active(connection)
        self.broker.reload(known)

    def heal(self) -> None:
        """Mend what a test that failed has left behind."""
        self.proxy.held.clear()
        self.proxy.delay_s = 0.0
        for disk in (self.log_disk, self.data_disk):
            (disk / FILLER).unlink(missing_ok=True)
        self.postgres.thaw()
        self.postgres.start(self.postgres.port)
        if not self.broker.running:
            self.broker.restart()

    @property
    def log_disk(self) -> Path:
        """Where root may mount: a small disk that holds PostgreSQL's log of changes alone."""
        return self.folder / "log-disk"

    @property
    def data_disk(self) -> Path:
        """Where root may mount: a small disk that holds every table and index."""
        return self.folder / "data-disk"

    @contextmanager
    def fleet(
        self, tenant: str, *options: str, count: int = 8, hours: float = 0.4
    ) -> Iterator["Fleet"]:
        """Run some devices of a new tenant; whatever happens, they end with this."""
        names = (
            [f"bed-{number:04d}" for number in range(1, count + 1)] if count > 1 else ["bed"]
        )
        self.enrol(*(DeviceId(tenant, name) for name in names), password=FLEET_PASSWORD)
        folder = self.folder / tenant
        folder.mkdir()
        fleet = Fleet(self, tenant, folder)
        try:
            fleet.start("--devices", str(count), "--hours", str(hours), *options)
            yield fleet
        finally:
            fleet.end()

    def _move_the_log(self) -> None:
        self.postgres.stop()
        here = self.postgres.folder / "data" / "pg_wal"
        there = self.log_disk / "pg_wal"
        subprocess.run(["cp", "-a", here, there], check=True)
        shutil.rmtree(here)
        here.symlink_to(there)
        self.postgres.start(self.postgres.port)

    def _move_the_data(self) -> None:
        place = self.data_disk / "tables"
        place.mkdir()
        if self.postgres.user is not None:
            os.chown(place, self.postgres.user.uid, self.postgres.user.gid)
        self.sql(f"CREATE TABLESPACE small LOCATION '{place}'")
        for kind in ("TABLE", "INDEX"):
            self.sql(f"ALTER {kind} ALL IN TABLESPACE pg_default SET TABLESPACE small")

    def _start_services(self, ends: ExitStack) -> None:
        url = self.postgres.url.replace(f":{self.postgres.port}/", f":{self.proxy.port}/")
        for name, username in SERVICES.items():
            environment = {
                "NOCTIS_VAR": str(self.folder / "var"),
                "NOCTIS_DATABASE_URL": url,
                "NOCTIS_DATABASE_SECONDS": str(DEADLINE_S),
                "NOCTIS_BROKER_PORT": str(self.broker.port),
                "NOCTIS_BROKER_PASSWORD": password_of(username),
                "NOCTIS_NIGHT_STAGER": "true",
                "OMP_NUM_THREADS": "1",
            }
            part = self.parts[name] = Part(name, environment, self.folder / f"{name}.log")
            part.launch()
            ends.callback(part.kill)
        for part in self.parts.values():
            assert eventually(part.is_ready, within_s=60), part.child.tail()


class Fleet:
    """A process of virtual devices; their logs are the truth."""

    def __init__(self, rig: Rig, tenant: str, folder: Path) -> None:
        self.tenant = tenant
        self.folder = folder
        self.process: subprocess.Popen[bytes]
        self._rig = rig

    def start(self, *options: str, stem: str = "bed", speed: int = SPEED) -> None:
        names = ["--tenant", self.tenant, "--device", stem]
        files = ["--nor", str(self.folder / "nor"), "--log", str(self.folder / "log")]
        address = ["--port", str(self._rig.broker.port)]
        pace = ["--speed", str(speed), "--once"]
        with (self.folder / "told").open("a") as told:
            self.process = subprocess.Popen(
                [device_program(), *names, *files, *address, *pace, *options],
                stderr=told,
                env={**os.environ, "NOCTIS_DEVICE_PASSWORD": FLEET_PASSWORD},
            )

    def made(self) -> list[Epoch]:
        return read_logs(self.folder)

    def stored(self) -> list[Epoch]:
        return self._rig.stored(self.tenant)

    def has_stored(self, count: int) -> bool:
        return len(self.stored()) >= count

    def wait_until_stored(self, count: int) -> None:
        assert eventually(lambda: self.has_stored(count), within_s=60), self._told()

    def finish(self, *, within_s: float = 60.0) -> None:
        """Wait until everything made is acknowledged, and hold it against what is stored."""
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            code = -1
        assert code == 0, f"{self._told()}\n{self._rig.ingestor.child.tail()}"
        made = self.made()
        assert made
        wrong = differences(made, self.stored())
        assert not wrong, {kind: (len(those), those[:3]) for kind, those in wrong.items()}

    def end(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def _told(self) -> str:
        return (self.folder / "told").read_text()[-2000:]


def seconds_until(condition: Callable[[], bool], *, within_s: float) -> float:
    """Wait until a condition holds; return how long that took."""
    began = time.monotonic()
    assert eventually(condition, within_s=within_s)
    return time.monotonic() - began


def batches(rig: Rig) -> float:
    return rig.ingestor.metric("noctis_ingest_batches_total")


def waiting(rig: Rig) -> float:
    return rig.ingestor.metric("noctis_ingest_waiting")


def breaker(rig: Rig) -> float:
    return rig.ingestor.metric("noctis_breaker_state")


def until_it_is_felt(rig: Rig) -> None:
    """Wait until the ingestor has failed to store something."""
    before = rig.ingestor.metric("noctis_ingest_retries_total")
    assert eventually(
        lambda: rig.ingestor.metric("noctis_ingest_retries_total") > before, within_s=60
    )


def nothing_is_stored(rig: Rig, *, seconds: float) -> None:
    """For so long nothing is committed, and what has come is held."""
    assert stands_still(rig, seconds)


def until_nothing_is_stored(rig: Rig, *, seconds: float) -> None:
    """Wait until for so long nothing is committed, and what has come is held.

    A table whose last page has room takes a batch on a full disk still.
    """
    assert eventually(lambda: stands_still(rig, seconds), within_s=60)


def stands_still(rig: Rig, seconds: float) -> bool:
    before = batches(rig)
    time.sleep(seconds)
    return batches(rig) == before and waiting(rig) > 0


@contextmanager
def recovery(rig: Rig, what: str) -> Iterator[None]:
    """Do what mends the fault; tell how long after it the first commit came."""
    before = batches(rig)
    yield
    took = seconds_until(lambda: batches(rig) > before, within_s=RECOVERY_S)
    sys.stderr.write(f"\n{what}: first commit {took:.2f} s after it was mended\n")
