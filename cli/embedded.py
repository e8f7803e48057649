"""The embedded platform: database, broker and services as child processes under one folder.

``Platform`` starts them in order, starts again whatever dies, keeps the broker's accounts as
the database has them, and ends all of it in order. What it knows stands in ``run.json``.
"""

import asyncio
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from filelock import FileLock, Timeout

from broker.server import MosquittoServer
from broker.service import Access, access
from cli.broker_watch import BrokerWatch
from cli.local import run_file
from cli.outside import Outside, authority_of
from cli.parts import Part, inherited, is_replica, parts, service
from cli.ports import LOOPBACK, Ports, check_free
from cli.service import Service, Watched, device_program, end_leftovers, is_ready
from noctis.childproc import free_port
from noctis.errors import NoctisError, ProcessError
from noctis.mqtt import Link, drop_session
from noctis.private_files import write_private
from noctis.revocation_lists import refresh
from noctis.storage import accounts
from noctis.storage import engine as storage_engine
from noctis.storage.engine import transaction
from noctis.storage.migrate import upgrade
from noctis.storage.revocations import NONE
from noctis.storage.server import PostgresServer

__all__ = ["Platform"]

LEAST_FREE_BYTES: Final = 512 * 1024 * 1024
WATCH_S: Final = 0.1
ACCOUNTS_S: Final = 0.5
LONGEST_BACKOFF_S: Final = 5.0
CALM_S: Final = 30.0
READY_S: Final = 120.0


class Platform:
    """A running platform below ``var``; enter it to start, leave it to drain and stop.

    ``tell`` receives a line of text for each step and each revival. Raises ProcessError (a
    port in use, a program missing, no disk) and leaves nothing running behind.
    """

    def __init__(
        self,
        var: Path,
        *,
        api_port: int = 8000,
        internal_port: int = 0,
        broker_port: int = 0,
        persistence: bool = True,
        replicas: int = 1,
        outside: Outside | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.var = var.absolute()
        self.api_port = api_port
        self._asked_internal_port = internal_port
        self._tell = tell
        self._asked_broker_port = broker_port
        self._persistence = persistence
        self._parts = parts(replicas)
        self.outside = outside
        self._children: dict[str, Watched] = {}
        self._connections = ExitStack()
        self._access: Access = ([], NONE)
        self._ready_ports: dict[str, int] = {}
        self._backoff: dict[str, tuple[float, float]] = {}
        self._ends: dict[str, dict[str, int]] = {}
        self._ports = Ports(self.var / "ports.json")
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._make_room()
        try:
            self._start()
        except BaseException:
            self._stop_all()
            raise
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._watcher.join()
        self._stop_all()

    def add_device(self, name: str, arguments: Sequence[str], *, password: str) -> Service:
        """Run ``noctis-device`` with more ``arguments``; it is watched like a service."""
        environment = {**inherited(), "NOCTIS_DEVICE_PASSWORD": password}
        address = ["--host", LOOPBACK, "--port", str(self.broker.port)]
        service = Service(
            [device_program(), *address, *arguments],
            environment=environment,
            log=self._log(name),
            finite="--once" in arguments,
        )
        service.restart()
        self._children[name] = Watched(service, service.restart)
        self._write_run_file()
        return service

    @property
    def broker_address(self) -> tuple[str, int]:
        """Host and port of the broker."""
        return LOOPBACK, self.broker.port

    @property
    def folders(self) -> list[Path]:
        """Every folder with files of this platform; the servers' may lie elsewhere."""
        return [self.var, self.postgres.folder, self.broker.folder]

    def _make_room(self) -> None:
        self.var.mkdir(parents=True, exist_ok=True)
        (self.var / "log").mkdir(exist_ok=True)
        free = shutil.disk_usage(self.var).free
        if free < LEAST_FREE_BYTES:
            message = f"only {free // 2**20} MiB are free at {self.var}"
            raise ProcessError(message, hint="make room, or name another folder with --var")
        self._lock = FileLock(self.var / "up.lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            message = f"a platform runs on {self.var} already"
            raise ProcessError(message, hint="stop it first, or use another --var") from None
        run_file(self.var).unlink(missing_ok=True)  # of a platform that was killed

    def _start(self) -> None:
        end_leftovers(self.var / "log")
        check_free(self.api_port, "--api-port")
        if self._asked_internal_port:
            check_free(self._asked_internal_port, "--internal-port")
        self.internal_port = self._asked_internal_port or self._ports.of("internal")
        if self._asked_broker_port:
            check_free(self._asked_broker_port, "--broker-port")
        self._tell("starting the database")
        self.postgres = PostgresServer(self.var / "postgres")
        port = self._ports.of("postgres")
        self._children["postgres"] = Watched(self.postgres, lambda: self.postgres.start(port))
        self.postgres.start(port)
        upgrade(self.postgres.url)
        self.engine = storage_engine.create(self.postgres.url, application="noctis-up")
        self._connections.callback(self.engine.dispose)
        self.authority = authority_of(self.var)
        passwords = self._renew_service_accounts()
        self._start_broker()
        self._retire(passwords)
        for part in self._parts:
            self._tell(f"starting {part.name}")
            service = self._service(part, passwords.get(part.account, ""))
            self._children[part.name] = Watched(service, service.restart)
            service.restart()
        self._wait_until_ready()
        self._write_run_file()

    def _start_broker(self) -> None:
        self._tell("starting the broker")
        self.broker = MosquittoServer(self.var / "broker", persistence=self._persistence)
        if self.outside is not None:
            self.outside.open(self.broker, self.authority)
        self._children["broker"] = Watched(self.broker, self.broker.restart)
        self.broker.start(self._asked_broker_port or self._ports.of("broker"), *self._access)
        watch = BrokerWatch(self.broker, self.engine, self._access, self.var, self._tell)
        if self.outside is not None:
            watch.renew = partial(self.outside.renew, self.broker, self.authority)
        self._connections.callback(watch.stop)
        self._ready_ports["broker"] = watch.start()
        self.follow_accounts = watch.follow

    def _renew_service_accounts(self) -> dict[str, str]:
        """Give each service a new password at each start: none is kept in a file."""
        with transaction(self.engine, seconds=10) as connection:
            known = {it.username for it in accounts.active(connection)}
            names = {part.account for part in self._parts if part.account}
            names |= set(filter(is_replica, known))
            passwords = {name: accounts.set_service(connection, name) for name in names}
            refresh(connection, self.authority)
            self._access = access(connection)
        return passwords

    def _retire(self, passwords: Mapping[str, str]) -> None:
        """End the accounts of replicas that are no more, and the broker's queues for them."""
        kept = {part.account for part in self._parts}
        for name in sorted(set(passwords) - kept):
            link = Link(LOOPBACK, self.broker.port, name, passwords[name])
            asyncio.run(drop_session(link))
            with transaction(self.engine, seconds=10) as connection:
                accounts.revoke_service(connection, name)

    def _service(self, part: Part, password: str) -> Service:
        listens = {"api": self.api_port, "api.internal": self.internal_port}
        port = self._ready_ports[part.name] = listens.get(part.module) or free_port()
        settings = {
            "NOCTIS_VAR": str(self.var),
            "NOCTIS_DATABASE_URL": self.postgres.url,
            "NOCTIS_BROKER_PORT": str(self.broker.port),
            "NOCTIS_BROKER_PASSWORD": password,
            "NOCTIS_API_PORT": str(self.api_port),
            "NOCTIS_INTERNAL_PORT": str(self.internal_port),
            "NOCTIS_METRICS_PORT": "0" if part.module in listens else str(port),
        }
        if part.module == "api" and self.outside is not None:
            settings |= self.outside.settings()
        return service(part, settings, log=self._log(part.name))

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_S
        for name, port in self._ready_ports.items():
            service = self._children[name].server
            while not is_ready(port):
                if service.exit_code is not None or time.monotonic() > deadline:
                    message = f"{name} does not come up"
                    tail = service.tail() if isinstance(service, Service) else ""
                    raise ProcessError(message, hint=f"its log ends: {tail}")
                time.sleep(WATCH_S)

    def _watch(self) -> None:
        next_accounts = 0.0
        while not self._stopping.wait(WATCH_S):
            for name, child in list(self._children.items()):
                if child.died:
                    self._revive(name, child)
            if time.monotonic() >= next_accounts:
                self.follow_accounts()
                next_accounts = time.monotonic() + ACCOUNTS_S

    def _revive(self, name: str, child: Watched) -> None:
        """Start a dead child again: at once the first time, ever later when it keeps dying."""
        now = time.monotonic()
        last, delay = self._backoff.get(name, (-CALM_S, 0.0))
        if now - last > CALM_S:
            delay = 0.0
        if now - last < delay:
            return
        times = self._ends.get(name, {}).get("times", 0) + 1
        self._ends[name] = {"times": times, "code": child.server.exit_code or 0}
        self._backoff[name] = (now, min(max(2 * delay, 0.2), LONGEST_BACKOFF_S))
        self._tell(f"{name} ended with {child.server.exit_code}; starting it again")
        try:
            child.restart()
        except NoctisError as error:
            self._tell(f"{name} does not start: {error}")
        else:
            self._write_run_file()

    def _log(self, name: str) -> Path:
        return self.var / "log" / f"{name}.log"

    def _write_run_file(self) -> None:
        content = {
            "api": f"http://{LOOPBACK}:{self.api_port}",
            "internal": f"http://{LOOPBACK}:{self.internal_port}",
            "broker": {"host": LOOPBACK, "port": self.broker.port},
            "outside": self.outside and self.outside.told(self.authority, self.var),
            "database_url": self.postgres.url,
            "credentials": str(self.var / "credentials.json"),
            "metrics": {
                name: f"http://{LOOPBACK}:{port}/metrics"
                for name, port in self._ready_ports.items()
            },
            "ends": self._ends,
            "processes": {
                "noctis": os.getpid(),
                **{name: child.pid for name, child in self._children.items()},
            },
        }
        write_private(run_file(self.var), json.dumps(content, indent=2) + "\n")

    def _stop_all(self) -> None:
        self._connections.close()
        for name in reversed(list(self._children)):
            self._tell(f"stopping {name}")
            try:
                self._children[name].server.stop()
            except NoctisError as error:
                self._tell(f"{name}: {error}")
        run_file(self.var).unlink(missing_ok=True)
        self._lock.release()
