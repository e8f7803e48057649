"""A private PostgreSQL as a child process: the embedded platform's database.

It listens on loopback TCP alone, asks for a generated password, and needs no preparation: the
first start makes its files. As root it runs under an unprivileged user.
"""

import os
import shutil
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psycopg
import structlog
from filelock import FileLock, Timeout
from sqlalchemy import text

from noctis.childproc import Child, User, child_user, free_port, reachable_folder
from noctis.errors import ConfigurationError, ProcessError
from noctis.storage import engine
from noctis.storage.binaries import Binaries, find
from noctis.storage.cluster import ROLE, Cluster
from noctis.storage.leftovers import end_leftover, send, workers

__all__ = ["PostgresServer"]

ADDRESS: Final = "127.0.0.1"
DATABASE: Final = "noctis"
NEEDED_BYTES: Final = 256 << 20
LOG_BYTES: Final = 16 << 20
# A backend of a vanished client gives its locks back within five seconds.
DEFAULTS: Final = {
    "listen_addresses": ADDRESS,
    "unix_socket_directories": "",
    "synchronous_commit": "on",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "client_connection_check_interval": "5s",
}
# What PostgreSQL says while the shared memory of a killed predecessor is still in use.
_STILL_IN_USE: Final = ("pre-existing shared memory block", 'lock file "postmaster.pid"')

log = structlog.get_logger(__name__)


class PostgresServer:
    """PostgreSQL with its files in ``state_dir``, started and stopped at will.

    ``folder`` is where the files are: ``state_dir``, or ``/var/lib/noctis/<id>/...`` where
    the unprivileged user cannot reach it (then ``relocated`` is true). ``settings`` are
    added to PostgreSQL's configuration.
    """

    def __init__(self, state_dir: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.user: User | None = child_user("postgres")
        self.folder = reachable_folder(state_dir, self.user)
        self.relocated = self.folder != state_dir.absolute()
        self.port = 0
        self._cluster = Cluster(self.folder, self.user)
        self._settings = {**DEFAULTS, **(settings or {})}
        self._child: Child | None = None
        self._lock = FileLock(self.folder / "lock", timeout=0, thread_local=False)
        if self.relocated:
            log.info("database_folder", folder=str(self.folder), asked=str(state_dir))

    @property
    def url(self) -> str:
        """The database's URL, its password included; valid once started."""
        return self._url(DATABASE)

    @property
    def pid(self) -> int:
        """The process id of the running server; raise ProcessError when there is none."""
        return self._running().pid

    @property
    def exit_code(self) -> int | None:
        """None while the server runs, else the code that it ended with."""
        return None if self._child is None else self._child.exit_code

    @property
    def log_file(self) -> Path:
        """What the server writes about itself."""
        return self.folder / "postgres.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, port: int = 0, *, within_s: float = 60.0) -> str:
        """Start the server on ``port`` (0: a free one) and return the database's URL.

        Files are made at the first start; a server left behind by a killed parent is ended
        first. Return once the database answers. Raise ConfigurationError when PostgreSQL is
        missing, the port or the folder is in use or the disk is full, ProcessError with the
        log's last lines when the server ends or is not ready in time.
        """
        if self.exit_code is None and self._child is not None:
            return self.url
        deadline = time.monotonic() + within_s
        self._acquire()
        try:
            binaries = find(major=self._cluster.major, copies=self.folder, user=self.user)
            self._check_disk()
            end_leftover(self._cluster.data, within_s=within_s / 2)
            self._cluster.make(binaries)
            self.port = port or free_port(ADDRESS)
            _check_port(self.port)
            self._rotate_log()
            self._launch(binaries, deadline)
            self._create_database()
        except BaseException:
            self.stop()
            raise
        log.info("database_started", port=self.port, version=binaries.major, pid=self.pid)
        return self.url

    def stop(self, *, within_s: float = 30.0) -> None:
        """Stop the server (clients are cut off, everything committed is kept); idempotent."""
        if self._child is not None and self._child.exit_code is None:
            self.thaw()
            # PostgreSQL's fast shutdown; with SIGTERM alone it would wait for its clients.
            self._child.send(signal.SIGINT)
            self._child.stop(within_s=within_s)
        self._lock.release()

    def kill(self) -> None:
        """End the server at once (SIGKILL), for tests of what follows; ``start`` recovers."""
        if self._child is not None:
            self._child.kill()
        self._lock.release()

    def freeze(self) -> None:
        """Stop the server and all its workers where they are (SIGSTOP, Linux), for tests."""
        os.kill(self.pid, signal.SIGSTOP)  # it first: then no worker is added
        for pid in workers(self._cluster.data):
            send(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server and its workers go on."""
        for pid in workers(self._cluster.data):
            send(pid, signal.SIGCONT)

    def _running(self) -> Child:
        if self._child is None or self._child.exit_code is not None:
            message = f"PostgreSQL of {self.folder} does not run"
            raise ProcessError(message, hint=f"see {self.log_file}")
        return self._child

    def _acquire(self) -> None:
        if self._lock.is_locked:  # ours: the server died by itself
            return
        try:
            self._lock.acquire()
        except Timeout as error:
            message = f"{self.folder} is in use by another process of Noctis"
            raise ConfigurationError(message, hint="stop it, or use another folder") from error

    def _check_disk(self) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < NEEDED_BYTES:
            message = f"the disk of {self.folder} has {free >> 20} MiB left"
            hint = f"PostgreSQL needs at least {NEEDED_BYTES >> 20} MiB to start"
            raise ConfigurationError(message, hint=hint)

    def _url(self, database: str) -> str:
        return f"postgresql://{ROLE}:{self._cluster.password}@{ADDRESS}:{self.port}/{database}"

    def _rotate_log(self) -> None:
        with suppress(FileNotFoundError):
            if self.log_file.stat().st_size > LOG_BYTES:
                self.log_file.replace(self.log_file.with_suffix(".log.1"))

    def _launch(self, binaries: Binaries, deadline: float) -> None:
        arguments = [
            binaries.program("postgres"),
            "-D",
            str(self._cluster.data),
            "-p",
            str(self.port),
        ]
        for name, value in self._settings.items():
            arguments += ["-c", f"{name}={value}"]
        while True:
            self._child = Child(arguments, log=self.log_file, user=self.user)
            if self._ready(self._child, deadline):
                return
            tail = self._child.tail()
            if time.monotonic() > deadline or not any(word in tail for word in _STILL_IN_USE):
                message = f"PostgreSQL did not start on port {self.port}: {tail}"
                raise ProcessError(message, hint=f"see {self.log_file}")
            time.sleep(0.2)

    def _ready(self, child: Child, deadline: float) -> bool:
        """Wait until the server answers; False when it ended or the time is over."""
        while child.exit_code is None and time.monotonic() < deadline:
            try:
                psycopg.connect(self._url("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return True
        return False

    def _create_database(self) -> None:
        made = engine.create(self._url("postgres"), connections=1)
        outside = made.execution_options(isolation_level="AUTOCOMMIT")
        try:
            with engine.transaction(outside, seconds=60) as it:
                query = text("SELECT 1 FROM pg_database WHERE datname = :name")
                if it.execute(query, {"name": DATABASE}).first() is None:
                    it.execute(text(f'CREATE DATABASE "{DATABASE}"'))
        finally:
            made.dispose()


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            message = f"port {port} of {ADDRESS} cannot be used: {error.strerror}"
            raise ConfigurationError(
                message, hint="end who uses it, or choose another"
            ) from error
