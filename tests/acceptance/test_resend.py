"""A database that is put back to its backup, and a device that brings what is gone."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg
import pytest
from sqlalchemy import make_url

from broker.server import MosquittoServer
from cli.service import device_program
from noctis.childproc import Child, free_port
from noctis.storage import accounts, devices, dumps, migrate, reports, tenants
from noctis.storage.accounts import Account
from noctis.storage.census import count
from noctis.storage.engine import create, transaction
from noctis.storage.server import PostgresServer

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(290)]

TENANT: Final = "t1"
DEVICE: Final = "bed"
PASSWORD: Final = "one for all of them"
SERVICES: Final = ("ingestor", "companion")
HOURS: Final = 4
EPOCHS: Final = HOURS * 120
WAIT_S: Final = 120.0


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


class Household:
    """A database, a broker, the two services that matter here, and a device."""

    def __init__(self, folder: Path, server: PostgresServer) -> None:
        self.folder = folder
        self.url = (
            make_url(server.url)
            .set(database="noctis_home")
            .render_as_string(hide_password=False)
        )
        self._admin_url = server.url
        self._services: dict[str, Child] = {}
        self._execute("CREATE DATABASE noctis_home")
        migrate.upgrade(self.url)
        self.broker = MosquittoServer(folder / "broker")
        self.broker.start(free_port(), self._enrol())

    def _enrol(self) -> list[Account]:
        engine = create(self.url, application="noctis-test")
        with transaction(engine, 30) as connection:
            tenants.add(connection, TENANT)
            devices.add(TENANT, connection, DEVICE)
            accounts.add(TENANT, connection, f"{TENANT}/{DEVICE}", "device", PASSWORD)
            for name in SERVICES:
                accounts.set_service(connection, f"svc-{name}-0", PASSWORD)
            known = list(accounts.active(connection))
        engine.dispose()
        return known

    def dump(self) -> None:
        """Write the database into a file with pg_dump, as of a moment, whoever writes to it."""
        dumps.dump(self.url, self.folder / "noctis.dump", copies=self.folder)

    def put_back(self) -> None:
        """Lose the database, and fill an empty one from the file with pg_restore."""
        self._execute("DROP DATABASE noctis_home")
        self._execute("CREATE DATABASE noctis_home")
        dumps.load(self.url, self.folder / "noctis.dump", copies=self.folder)

    def _execute(self, statement: LiteralString) -> None:
        with psycopg.connect(self._admin_url, autocommit=True) as connection:
            connection.execute(statement)

    def start(self) -> None:
        for name in SERVICES:
            self._services[name] = Child(
                [sys.executable, "-m", name],
                log=self.folder / f"{name}.log",
                environment={
                    **os.environ,
                    "NOCTIS_DATABASE_URL": self.url,
                    "NOCTIS_BROKER_PORT": str(self.broker.port),
                    "NOCTIS_BROKER_PASSWORD": PASSWORD,
                },
            )

    def stop(self) -> None:
        for service in self._services.values():
            service.stop(within_s=15)
        self._services.clear()

    def end(self) -> None:
        self.stop()
        self.broker.stop()

    @contextmanager
    def device(self) -> Iterator[None]:
        files = ["--nor", str(self.folder / "nor"), "--log", str(self.folder / "log")]
        night = ["--seed", "5", "--hours", str(HOURS), "--speed", "max"]
        names = ["--tenant", TENANT, "--device", DEVICE, "--port", str(self.broker.port)]
        environment = {**os.environ, "NOCTIS_DEVICE_PASSWORD": PASSWORD}
        process = subprocess.Popen([device_program(), *names, *files, *night], env=environment)
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)

    def made(self) -> list[tuple[int, int, str]]:
        """Return what the device's log says it made: the truth."""
        log = self.folder / "log"
        lines = log.read_text("utf-8").splitlines() if log.exists() else []
        entries = [json.loads(line) for line in lines]
        return [(int(it["stream"], 16), it["seq"], it["record_hex"]) for it in entries]

    def stored(self) -> list[tuple[int, int, str]]:
        engine = create(self.url, application="noctis-test")
        try:
            with transaction(engine, 30) as connection:
                return count(TENANT, connection, DEVICE).records
        finally:
            engine.dispose()

    def reported(self) -> int:
        """Return the next seq of the device's last status that is stored."""
        engine = create(self.url, application="noctis-test")
        try:
            with transaction(engine, 30) as connection:
                report = reports.last(TENANT, connection, DEVICE)
        finally:
            engine.dispose()
        return -1 if report is None else report[0].next_seq

    def resend(self, *arguments: str) -> dict[str, Any]:
        noctis = [sys.executable, "-c", "from cli.main import main; main()"]
        order = ["device", "resend", f"{TENANT}/{DEVICE}", "--wait", "120", "--json"]
        done = subprocess.run(
            [*noctis, *order, *arguments],
            env={**os.environ, "NOCTIS_DATABASE_URL": self.url},
            cwd=self.folder,
            capture_output=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        told: dict[str, Any] = json.loads(done.stdout)
        return told


@pytest.fixture
def household(folder: Path) -> Iterator[Household]:
    with ExitStack() as stack:
        server = stack.enter_context(
            PostgresServer(folder / "postgres", settings={"fsync": "off"})
        )
        home = Household(folder, server)
        stack.callback(home.end)
        yield home


def test_after_a_restore_the_device_brings_all_that_the_backup_does_not_have(
    household: Household,
) -> None:
    household.start()
    with household.device():
        until(lambda: len(household.stored()) > EPOCHS // 3, "a part of the night is stored")
        household.dump()
        until(
            lambda: len(household.stored()) == len(household.made()) == EPOCHS,
            "the night is stored",
        )
        end = household.made()[-1][1] + 1
        until(lambda: household.reported() == end, "the device says where its spool ends")
        household.stop()
        household.put_back()
        kept = household.stored()
        assert EPOCHS // 3 < len(kept) < EPOCHS
        household.start()
        until(lambda: household.reported() == end, "the retained status is read again")
        told = household.resend("--missing")
        assert told["overwritten"] == 0
        assert [one["state"] for one in told["commands"]] == ["done"]
        assert told["commands"][0]["detail"]["stored"] >= EPOCHS - len(kept)
        # Nothing is lost, doubled, altered or invented.
        assert household.stored() == sorted(household.made())
        again = household.resend("--missing")
        assert again["commands"] == []
        stream = f"{household.made()[0][0]:016x}"
        whole = household.resend("--stream", stream)
        assert whole["commands"][0]["detail"]["stored"] == EPOCHS
        assert household.stored() == sorted(household.made())
