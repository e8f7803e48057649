"""A whole platform of single processes on loopback, with a proxy on each link between them.

Nothing but whoever hurts it starts anything again; what ends by itself is noted, and started
again as a supervisor would.
"""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psycopg

from bench.reload import VERSIONS, publish
from broker.server import MosquittoServer
from inference.model import DEFAULT_FOLDER
from noctis.childproc import free_port
from noctis.storage import accounts, devices, migrate, tenants
from noctis.storage.engine import create, transaction
from noctis.storage.server import PostgresServer
from registry.store import Registry
from tests.chaos.clocks import Clocks
from tests.chaos.fleets import PASSWORD, Fleet, device_names, tenant_name
from tests.chaos.schedule import SERVICES, Link, Target
from tests.disks import can_mount, small_disk
from tests.integration.broker_fixtures import eventually, password_of
from tests.parts import Part
from tests.proxy import Proxy

__all__ = ["APP", "WIRE", "Asked", "Site"]

MODULES: Final[dict[Target, tuple[str, str]]] = {
    "ingestor": ("ingestor", "svc-ingestor-0"),
    "worker": ("inference", "svc-live-0"),
    "companion": ("companion", "svc-companion-0"),
    "facade": ("api", "svc-api-0"),
}
APP: Final = "watcher"
WIRE: Final = "svc-ingestor-9"
"""An account that may hear what devices send, of nobody's service."""

DATABASE_S: Final = 2.0
READY_S: Final = 300.0
SETTINGS: Final = {"min_wal_size": "32MB", "max_wal_size": "64MB"}
DISKS_MIB: Final = {"log": 160, "database": 512, "broker": 48}
DEVICE_MIB: Final = 12
"""A device's chip of 8 MiB, its settings and its log of a long night."""

LINES_A_MIB: Final = 4096
"""Epochs that a device's log tells in a mebibyte."""

ROWS_A_MIB: Final = 1024
"""Epochs that fill a mebibyte of the database, with their predictions and all indexes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run is to be: so many devices in each of so many tenants.

    ``patience_s``: what does not come for so long counts as missing. ``attic``: with so many
    epochs in its flash one more device comes back to the first tenant.
    """

    seed: int
    tenants: int = 5
    devices: int = 4
    speed: float = 60.0
    persistence: bool = True
    patience_s: float = 150.0
    attic: int = 0


@dataclass
class Site:
    """The platform and its devices, from entry to exit."""

    folder: Path
    asked: Asked
    parts: dict[Target, Part] = field(default_factory=dict)
    links: dict[tuple[Target, Link], Proxy] = field(default_factory=dict)
    fleets: list[Fleet] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    down: set[Target] = field(default_factory=set)
    _ends: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        with ExitStack() as ends:
            self.clocks = Clocks(self.folder / "clocks")
            self._make_disks(ends)
            self._start_database(ends)
            self._enrol()
            self._start_broker(ends)
            self.registry = self._publish()
            self._start_services(ends)
            self._make_fleets(ends)
            ends.enter_context(self._supervised())
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

    def disk(self, name: str) -> Path:
        """Return the folder that is a small disk of its own, where root may mount."""
        return self.folder / f"{name}-disk"

    def proxies(self, target: Target, link: Link) -> list[Proxy]:
        """Return the links of a part; those of a server are all that lead to it."""
        if target in {"broker", "database"}:
            return [it for (_, end), it in self.links.items() if end == target]
        return [self.links[target, link]]

    def fleets_of(self, number: int) -> list[Fleet]:
        """Return the devices of a tenant, with the one that comes back after half a year."""
        return [fleet for fleet in self.fleets if fleet.number == number]

    def start_broker(self) -> None:
        """Start the broker again, with what it has saved."""
        with self.clocks.worn("broker"):
            self.broker.restart()

    def start_database(self) -> None:
        """Start PostgreSQL again where it does not run."""
        with self.clocks.worn("database"):
            self.postgres.start(self.postgres.port)

    def is_ready(self) -> bool:
        return all(part.is_ready() for part in self.parts.values())

    def resident_mib(self) -> dict[str, float]:
        """Return what each service that runs holds in memory."""
        found = {}
        for name, part in self.parts.items():
            with suppress(OSError, IndexError):
                found[str(name)] = part.resident_bytes() / (1 << 20)
        return found

    def _make_disks(self, ends: ExitStack) -> None:
        asked = self.asked
        devices = DEVICE_MIB * (asked.tenants * asked.devices + 1) + asked.attic // LINES_A_MIB
        sizes = {**DISKS_MIB, "device": devices}
        sizes["database"] += asked.attic // ROWS_A_MIB
        for name, mebibytes in sizes.items():
            if can_mount():
                ends.enter_context(small_disk(self.disk(name), mebibytes))
            else:
                self.disk(name).mkdir()

    def _start_database(self, ends: ExitStack) -> None:
        self.postgres = PostgresServer(self.folder / "postgres", settings=SETTINGS)
        ends.callback(self.postgres.stop)
        self.postgres.start()
        migrate.upgrade(self.postgres.url)
        self.postgres.stop()
        self._move_the_log()
        self.start_database()
        self._move_the_tables()
        self.engine = create(self.postgres.url, application="noctis-chaos")
        ends.callback(self.engine.dispose)

    def _move_the_log(self) -> None:
        here, there = self.postgres.folder / "data" / "pg_wal", self.disk("log") / "pg_wal"
        subprocess.run(["cp", "-a", here, there], check=True)
        shutil.rmtree(here)
        here.symlink_to(there)

    def _move_the_tables(self) -> None:
        place = self.disk("database") / "tables"
        place.mkdir()
        if self.postgres.user is not None:
            os.chown(place, self.postgres.user.uid, self.postgres.user.gid)
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'".encode())
            for kind in ("TABLE", "INDEX"):
                move = f"ALTER {kind} ALL IN TABLESPACE pg_default SET TABLESPACE small"
                connection.execute(move.encode())

    def _enrol(self) -> None:
        with transaction(self.engine, 60) as connection:
            for _, username in MODULES.values():
                accounts.set_service(connection, username, password_of(username))
            accounts.set_service(connection, WIRE, password_of(WIRE))
            for number in range(self.asked.tenants):
                tenant = tenant_name(number)
                tenants.add(connection, tenant)
                app = f"{APP}@{tenant}"
                accounts.add(tenant, connection, app, "app", password_of(app))
                for name in (*device_names(self.asked.devices), "attic"):
                    devices.add(tenant, connection, name)
                    accounts.add(tenant, connection, f"{tenant}/{name}", "device", PASSWORD)
            self._known = accounts.active(connection)

    def _start_broker(self, ends: ExitStack) -> None:
        self.broker = MosquittoServer(
            self.disk("broker") / "broker", persistence=self.asked.persistence
        )
        ends.callback(self.broker.stop)
        with self.clocks.worn("broker"):
            self.broker.start(free_port(), self._known)

    def _publish(self) -> Registry:
        (self.folder / "var").mkdir()
        registry = publish(self.folder / "var" / "models", DEFAULT_FOLDER)
        registry.promote("champion", VERSIONS[0])
        return registry

    def _start_services(self, ends: ExitStack) -> None:
        for name in SERVICES:
            module, username = MODULES[name]
            to_database = ends.enter_context(Proxy(self.postgres.port))
            to_broker = ends.enter_context(Proxy(self.broker.port))
            self.links[name, "database"] = to_database
            self.links[name, "broker"] = to_broker
            url = self.postgres.url.replace(f":{self.postgres.port}/", f":{to_database.port}/")
            environment = {
                "NOCTIS_VAR": str(self.folder / "var"),
                "NOCTIS_DATABASE_URL": url,
                "NOCTIS_DATABASE_SECONDS": str(DATABASE_S),
                "NOCTIS_BROKER_PORT": str(to_broker.port),
                "NOCTIS_BROKER_PASSWORD": password_of(username),
                "OMP_NUM_THREADS": "1",
                **self.clocks.environment(name),
            }
            part = self.parts[name] = Part(module, environment, self.folder / f"{name}.log")
            part.launch()
            ends.callback(part.kill)
        for part in self.parts.values():
            assert eventually(part.is_ready, within_s=READY_S), part.child.tail()

    def _make_fleets(self, ends: ExitStack) -> None:
        proxy = ends.enter_context(Proxy(self.broker.port))
        self.links["device", "broker"] = proxy
        fleet_of = partial(Fleet, port=proxy.port, seed=self.asked.seed)
        for number in range(self.asked.tenants):
            folder = self.disk("device") / tenant_name(number)
            self.fleets.append(fleet_of(number, folder, devices=self.asked.devices))
        if self.asked.attic:
            folder = self.disk("device") / "attic"
            self.fleets.append(
                fleet_of(0, folder, devices=1, stem="attic", full_of=self.asked.attic)
            )
        for fleet in self.fleets:
            ends.callback(fleet.kill)

    @contextmanager
    def _supervised(self) -> Iterator[None]:
        """Start again what ended by itself, and note it."""
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(0.5):
                for name, part in self.parts.items():
                    if name not in self.down and part.child.exit_code is not None:
                        self._note(name, part)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(30)

    def _note(self, name: Target, part: Part) -> None:
        line = f"{name} ended by itself with {part.child.exit_code}: {part.child.tail(3)}"
        sys.stderr.write(f"{line}\n")
        self.died.append(line)
        part.launch()
