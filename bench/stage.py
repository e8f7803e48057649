"""The servers that a bench runs on, and the ingestor as a child process beside them."""

import os
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, text

from bench.load import CONNECTIONS, TENANT, connect_packet
from broker.server import MosquittoServer
from noctis import topics
from noctis.childproc import Child, free_port
from noctis.storage import accounts, migrate, tenants
from noctis.storage.engine import create, transaction
from noctis.storage.server import PostgresServer

__all__ = ["INGESTOR", "PASSWORD", "PEER", "Running", "Stage", "cpu_s", "say", "staged"]

PASSWORD: Final = "of a bench"  # noqa: S105 - of a broker that lives for minutes
INGESTOR: Final = "svc-ingestor-0"
PEER: Final = "svc-peer-0"
_RIGHTS: Final = (
    f"user {PEER}\ntopic read {topics.ROOT}/up/#\n",
    *(
        f"user svc-load-{n}\ntopic write {topics.ROOT}/up/#\ntopic read {topics.ROOT}/down/#\n"
        for n in range(CONNECTIONS)
    ),
)


def say(text: str) -> None:
    """Tell how far the bench is."""
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()


@dataclass(slots=True)
class Stage:
    """A database and a broker with a bench's accounts; ``devices`` are enrolled."""

    postgres: PostgresServer
    broker: MosquittoServer
    engine: Engine
    folder: Path
    devices: int = 0

    def enrol(self, devices: int) -> None:
        """Enrol devices up to this number."""
        if devices <= self.devices:
            return
        with transaction(self.engine, 120) as connection:
            connection.execute(
                text(
                    "INSERT INTO devices (tenant_id, name) SELECT 1, 'd' || n "
                    "FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) n"
                ),
                {"first": self.devices + 1, "last": devices},
            )
        self.devices = devices

    def count(self, sql: str) -> int:
        """Return the number that a statement answers with."""
        with transaction(self.engine, 120) as connection:
            return int(connection.scalar(text(sql)) or 0)

    def run(self, sql: str) -> None:
        """Run a statement outside of any transaction."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as it:
            it.execute(text(sql))

    def settle(self) -> None:
        """Write out what the last run has left to be written, so that the next does not pay."""
        self.run("CHECKPOINT")

    @contextmanager
    def ingestor(self) -> Iterator["Running"]:
        """Run ``python -m ingestor``."""
        port = free_port()
        environment = {
            **os.environ,
            "NOCTIS_BROKER_PORT": str(self.broker.port),
            "NOCTIS_BROKER_PASSWORD": PASSWORD,
            "NOCTIS_DATABASE_URL": self.postgres.url,
            "NOCTIS_METRICS_PORT": str(port),
        }
        log = self.folder / "ingestor.log"
        child = Child([sys.executable, "-m", "ingestor"], log=log, environment=environment)
        try:
            _wait_ready(port)
            yield Running(child, port)
        finally:
            child.stop()
            self.forget(INGESTOR)

    def forget(self, user: str) -> None:
        """Take an account's session away, for which the broker would queue what others send."""
        with socket.create_connection(("127.0.0.1", self.broker.port), 10) as link:
            link.sendall(connect_packet(user, PASSWORD))
            link.recv(4)


@dataclass(frozen=True, slots=True)
class Running:
    """A running ingestor."""

    child: Child
    port: int

    @property
    def pid(self) -> int:
        """The process id."""
        return self.child.pid

    def memory_mib(self) -> float:
        """Return the most memory that it has held, in MiB; Linux alone tells."""
        status = Path(f"/proc/{self.pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        return next((int(it.split()[1]) / 1024 for it in lines if it.startswith("VmHWM")), 0.0)

    def cpu_s(self) -> float:
        """Return the processor time that it has taken, in seconds."""
        return cpu_s(self.pid)


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has taken, in seconds; Linux alone tells."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    user, system = stat.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def staged() -> Iterator[Stage]:
    """Start the servers, enrol nobody yet, and take all of it away at the end."""
    with tempfile.TemporaryDirectory(prefix="noctis-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # so that unprivileged servers reach their folders in it
        with PostgresServer(folder / "postgres") as postgres:
            migrate.upgrade(postgres.url)
            engine = create(postgres.url)
            with MosquittoServer(folder / "broker", persistence=False) as broker:
                with transaction(engine, 120) as connection:
                    known = _accounts(connection)
                broker.start(free_port(), known)
                with (broker.folder / "acl").open("a") as acl:
                    acl.write("\n" + "\n".join(_RIGHTS))
                broker.restart()
                yield Stage(postgres, broker, engine, folder)
            engine.dispose()


def _accounts(connection: Connection) -> list[accounts.Account]:
    tenants.add(connection, TENANT)
    for name in (INGESTOR, PEER):
        accounts.set_service(connection, name, PASSWORD)
    for number in range(CONNECTIONS):
        accounts.set_service(connection, f"svc-load-{number}", PASSWORD)
    return accounts.active(connection)


def _wait_ready(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
