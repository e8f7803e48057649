"""The primary dies for good; its standby, which waits for every commit, takes its place."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import psycopg
import pytest
from sqlalchemy import Engine, make_url

from broker.server import MosquittoServer
from cli.service import device_program
from noctis.ack import STORED
from noctis.childproc import Child, child_user, free_port
from noctis.errors import StorageError
from noctis.identity import DeviceId
from noctis.storage import accounts, devices, migrate, tenants
from noctis.storage.accounts import Account
from noctis.storage.binaries import find
from noctis.storage.census import count
from noctis.storage.engine import create, transaction
from noctis.storage.ingest import Received, ingest
from noctis.storage.server import PostgresServer
from tests.integration.broker_fixtures import eventually, password_of
from tests.integration.flash_fixtures import play_offline
from tests.parts import Part
from tests.truth import differences, read_database, read_logs

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

PASSWORD: Final = "one for all of them"
COUNT: Final = 4
BED: Final = DeviceId("home", "bed")
OPTIONS: Final = ("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")


class Pair:
    """A primary that commits when its standby has, the standby, and where both are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.primary = PostgresServer(folder / "primary", settings={"fsync": "off"})
        self.user = child_user("postgres")
        self.data = self.primary.folder.parent / "standby"
        self.port = free_port()
        self._child: Child | None = None

    def start(self) -> None:
        """Start both, the second from a base backup of the first."""
        self.primary.start()
        migrate.upgrade(self.primary.url)
        self._run("pg_basebackup", "--write-recovery-conf", "--checkpoint=fast")
        self._child = Child(
            [self._program("postgres"), "-D", str(self.data), "-p", str(self.port), *OPTIONS],
            log=self.folder / "standby.log",
            user=self.user,
        )
        assert eventually(self._streams, within_s=30), self._child.tail()
        self.primary_sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.primary_sql("SELECT pg_reload_conf()")
        assert eventually(lambda: self._state() == "sync", within_s=30)

    def stop(self) -> None:
        if self._child is not None:
            self._child.send(signal.SIGINT)
            self._child.stop(within_s=20)
        self.primary.stop()

    @property
    def both(self) -> str:
        """The URL that leads to whichever of the two takes writes."""
        ports = f"{self.primary.port},{self.port}"
        url = make_url(self.primary.url)
        places = f"host=127.0.0.1,127.0.0.1&port={ports}&target_session_attrs=read-write"
        return f"postgresql://{url.username}:{url.password}@/{url.database}?{places}"

    @property
    def standby(self) -> str:
        url = make_url(self.primary.url).set(port=self.port)
        return url.render_as_string(hide_password=False)

    def promote(self) -> None:
        """Make the standby the primary, which waits for nobody."""
        with psycopg.connect(self.standby, autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
            connection.execute("SELECT pg_reload_conf()")

    def primary_sql(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.primary.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Have the standby take nothing while the block runs."""
        pids = self.receivers()
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def receivers(self) -> list[int]:
        """The process of the standby that takes the log."""
        assert self._child is not None
        told = subprocess.run(
            ["pgrep", "-P", str(self._child.pid), "-f", "walreceiver"],
            check=False,
            capture_output=True,
            text=True,
        ).stdout
        return [int(it) for it in told.split()]

    def _streams(self) -> bool:
        return self._state() in {"async", "sync"}

    def _state(self) -> object:
        rows = self.primary_sql("SELECT sync_state FROM pg_stat_replication")
        return rows[0][0] if rows else None

    def _program(self, name: str) -> str:
        return find(major=None, copies=self.primary.folder, user=self.user).program(name)

    def _run(self, program: str, *options: str) -> None:
        self.data.mkdir(mode=0o700)
        if self.user is not None:
            os.chown(self.data, self.user.uid, self.user.gid)
        subprocess.run(
            [
                *(self._program(program), f"--dbname={self.primary.url}"),
                *(f"--pgdata={self.data}", *options),
            ],
            check=True,
            timeout=60,
            cwd="/",
            user=None if self.user is None else self.user.uid,
            group=None if self.user is None else self.user.gid,
        )


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """One pair for both tests; the second ends its primary."""
    with tempfile.TemporaryDirectory(prefix="noctis-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        made = Pair(Path(name))
        try:
            made.start()
            yield made
        finally:
            made.stop()


def ports(pair: Pair, ends: ExitStack) -> tuple[Engine, Engine]:
    """Ways into the primary and into the standby."""
    engines = create(pair.primary.url), create(pair.standby)
    for engine in engines:
        ends.callback(engine.dispose)
    return engines


def test_what_is_found_again_is_acknowledged_only_when_the_standby_has_it(
    pair: Pair, folder: Path
) -> None:
    with ExitStack() as ends:
        primary, standby = ports(pair, ends)
        with transaction(primary, 30) as connection:
            tenants.add(connection, BED.tenant)
            devices.add(BED.tenant, connection, BED.device)
        played = play_offline(BED, folder, "--hours", 1)
        batch = [Received(BED, frame) for frame in played.frames]
        with pair.silent():
            for _ in range(2):
                with pytest.raises(StorageError), transaction(primary, 2) as connection:
                    ingest(connection, batch)
                # As when a statement's time is over, or an administrator ends it.
                pair.primary_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE wait_event = 'SyncRep'"
                )
                assert eventually(lambda: bool(count_of(primary)), within_s=20)
            assert not count_of(standby)
        with transaction(primary, 30) as connection:
            verdicts = ingest(connection, batch)
        assert {it.code for it in verdicts} == {STORED}
        assert count_of(standby) == count_of(primary) == len(played.log)


def count_of(engine: Engine) -> int:
    with transaction(engine, 10) as connection:
        return len(count(BED.tenant, connection, BED.device).records)


def test_a_primary_that_dies_for_good_takes_nothing_with_it_that_was_acknowledged(
    pair: Pair, folder: Path
) -> None:
    names = [DeviceId("street", f"bed-{number:04d}") for number in range(1, COUNT + 1)]
    with ExitStack() as ends:
        primary, standby = ports(pair, ends)
        broker = MosquittoServer(folder / "broker")
        ends.callback(broker.stop)
        broker.start(free_port(), enrol(primary, names))
        environment = {
            "NOCTIS_DATABASE_URL": pair.both,
            "NOCTIS_DATABASE_SECONDS": "3",
            "NOCTIS_BROKER_PORT": str(broker.port),
            "NOCTIS_BROKER_PASSWORD": password_of("svc-ingestor-0"),
        }
        ingestor = Part("ingestor", environment, folder / "ingestor.log")
        ingestor.start()
        ends.callback(ingestor.kill)
        fleet = street(folder, broker.port)
        ends.callback(fleet.kill)
        assert eventually(
            lambda: len(read_database(primary, "street")) > 20 * COUNT, within_s=60
        )
        pair.primary.kill()
        assert fleet.poll() is None, "the devices had all acknowledged too early"
        pair.promote()
        assert fleet.wait(90) == 0, ingestor.child.tail()
        made = read_logs(folder / "street")
        assert len(made) > 100 * COUNT
        wrong = differences(made, read_database(standby, "street"))
        assert not wrong, {kind: (len(those), those[:3]) for kind, those in wrong.items()}


def enrol(engine: Engine, names: Sequence[DeviceId]) -> list[Account]:
    with transaction(engine, 30) as connection:
        tenants.add(connection, "street")
        for name in names:
            devices.add(name.tenant, connection, name.device)
            accounts.add(name.tenant, connection, str(name), "device", PASSWORD)
        accounts.set_service(connection, "svc-ingestor-0", password_of("svc-ingestor-0"))
        return list(accounts.active(connection))


def street(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Devices that end once all that they have made is acknowledged."""
    (folder / "street").mkdir()
    names = ("--tenant", "street", "--device", "bed", "--devices", str(COUNT))
    files = ("--nor", str(folder / "street" / "nor"), "--log", str(folder / "street" / "log"))
    pace = ("--hours", "1", "--speed", "300", "--once", "--port", str(port))
    return subprocess.Popen(
        [device_program(), *names, *files, *pace],
        env={**os.environ, "NOCTIS_DEVICE_PASSWORD": PASSWORD},
    )
