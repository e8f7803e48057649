"""Mosquitto as a child process on its own state folder."""

import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from broker.acl import MONITOR, Account, render_acl, render_passwords
from broker.config import Limits, Listener, render_config
from broker.evictions import Guest, newly_revoked
from noctis.childproc import Child, child_user, end_leftover, reachable_folder
from noctis.errors import ProcessError
from noctis.revocation_lists import listed
from noctis.storage.revocations import NONE, Revocations

__all__ = ["REVOKED", "MosquittoServer"]

_CONNECT: Final = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00"
"""A nameless MQTT 3.1.1 client; its refusal is the proof that a broker answers."""

_CONNACK: Final = 0x20
REVOKED: Final = "revoked.crl"
_POLL_S: Final = 0.02


class MosquittoServer:
    """A private broker: rendered config and accounts, start, reload, stop, start again.

    ``state_dir`` keeps config, accounts, log and (with ``persistence``) sessions between
    starts. Where we are root, it moves to where Mosquitto's own user can reach it; ``folder``
    says where. All methods block, each with a deadline, and raise ProcessError.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        persistence: bool = True,
        limits: Limits | None = None,
        extra_listeners: Sequence[Listener] = (),
    ) -> None:
        self._user = child_user("mosquitto")
        self.folder = reachable_folder(state_dir, self._user)
        self.port = 0
        self._persistence = persistence
        self._limits = limits
        self._extra_listeners = tuple(extra_listeners)
        self._revocations = NONE
        self._child: Child | None = None
        self.monitor = Guest(MONITOR)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id of the running broker."""
        return self._running().pid

    @property
    def exit_code(self) -> int | None:
        """None while the broker runs, or before its first start."""
        return None if self._child is None else self._child.exit_code

    @property
    def running(self) -> bool:
        """Whether the broker was started and has not ended."""
        return self._child is not None and self._child.exit_code is None

    @property
    def has_files(self) -> bool:
        """Whether accounts of an earlier start are there."""
        return (self.folder / "accounts").exists() and (self.folder / "acl").exists()

    @property
    def certificates(self) -> Sequence[tuple[str, Path]]:
        """What the broker and its devices are trusted by: ``server``, ``ca``, ``revoked``."""
        tls = [it.tls for it in self._extra_listeners if it.tls is not None]
        found = [("server", it.certificate) for it in tls]
        found += [("ca", it.authority) for it in tls if it.authority is not None]
        return [*dict.fromkeys(found), *([("revoked", self.folder / REVOKED)] if tls else [])]

    @property
    def renewals(self) -> tuple[int, ...]:
        """When the files of certificates and keys last changed; another value: reload them."""
        listeners = [it.tls for it in self._extra_listeners if it.tls is not None]
        paths = [path for tls in listeners for path in (tls.certificate, tls.key)]
        return tuple(path.stat().st_mtime_ns for path in paths if path.exists())

    def tail(self) -> str:
        """Return the last lines of the broker's log."""
        return "" if self._child is None else self._child.tail()

    def install(self, name: str, text: str) -> Path:
        """Write a file that the broker's user alone can read into its folder."""
        self._write(name, text)
        return self.folder / name

    def listen(self, *listeners: Listener) -> None:
        """Open more listeners from the next start on."""
        self._extra_listeners += listeners

    def start(
        self,
        port: int,
        accounts: Sequence[Account] | None,
        revocations: Revocations = NONE,
        *,
        within_s: float = 10.0,
    ) -> None:
        """Write config and accounts and start Mosquitto on loopback; return when it answers.

        Without ``accounts`` those of the last start hold, and what was revoked then.
        """
        self.stop()
        self.port = port
        self._begin_list()
        if accounts is not None:
            self._write_accounts(accounts, revocations)
        else:
            self._admit_monitor()
        self._revocations = revocations
        self._write(
            "mosquitto.conf",
            render_config(
                (Listener(port), *self._extra_listeners),
                passwords=self.folder / "accounts",
                acl=self.folder / "acl",
                persistence=self.folder if self._persistence else None,
                revoked=self.folder / REVOKED,
                limits=self._limits,
            ),
        )
        self._launch(within_s)

    def restart(self, *, within_s: float = 10.0) -> None:
        """Start again with the same files and port, whether it still runs or was killed."""
        self.stop()
        self._launch(within_s)

    def reload(
        self,
        accounts: Sequence[Account],
        revocations: Revocations = NONE,
        *,
        within_s: float = 10.0,
    ) -> None:
        """Replace the accounts while the broker runs; return when they are in force.

        Connected clients stay, but for those whose account is gone or has another password,
        or whose certificate is revoked.
        """
        asks = any(it.tls and it.tls.authority for it in self._extra_listeners)
        gone = newly_revoked(self._revocations, revocations) if asks else frozenset()
        guests = [Guest(username) for username in sorted(gone)]
        others = [it for it in accounts if it.username not in gone]
        try:
            self._reload([*others, *guests], revocations, within_s)
            for guest in guests:
                guest.end_session(self.port, within_s=within_s)
        finally:
            if guests:
                self._reload(accounts, revocations, within_s)
        self._revocations = revocations

    def stop(self, *, within_s: float = 10.0) -> None:
        """End the broker, if it runs; it saves its sessions."""
        if self._child is not None:
            self._child.stop(within_s=within_s)
            self._pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """End the broker at once, as a power cut would."""
        self._running().kill()

    @property
    def _pid_file(self) -> Path:
        return self.folder / "mosquitto.pid"

    def _running(self) -> Child:
        if self._child is None or self._child.exit_code is not None:
            message = "the broker does not run"
            raise ProcessError(message, hint="start it first")
        return self._child

    def _launch(self, within_s: float) -> None:
        config = self.folder / "mosquitto.conf"
        end_leftover(self._pid_file, argument=str(config))
        for listener in (Listener(self.port), *self._extra_listeners):
            _check_free(listener)
        arguments = [_program(), "-c", str(config)]
        self._child = Child(arguments, log=self.folder / "mosquitto.log", user=self._user)
        self._write(self._pid_file.name, f"{self._child.pid}\n")
        try:
            self._wait_until_it_answers(within_s)
        except ProcessError:
            self.stop()
            raise

    def _wait_until_it_answers(self, within_s: float) -> None:
        child = self._running()
        deadline = time.monotonic() + within_s
        while child.exit_code is None:
            if _answers(self.port):
                return
            if time.monotonic() > deadline:
                message = f"mosquitto does not answer on port {self.port} within {within_s:g} s"
                raise ProcessError(message, hint=f"its log ends: {child.tail()}")
            time.sleep(_POLL_S)
        message = f"mosquitto ended at once with code {child.exit_code}"
        raise ProcessError(message, hint=f"its log ends: {child.tail()}")

    def _reload(
        self, accounts: Sequence[Account], revocations: Revocations, within_s: float
    ) -> None:
        child = self._running()
        self._write_accounts(accounts, revocations)
        child.send(signal.SIGHUP)
        self._wait_until_it_answers(within_s)

    def _write_accounts(self, accounts: Sequence[Account], revocations: Revocations) -> None:
        known = [*accounts, self.monitor]
        passwords, acl = render_passwords(known), render_acl(known, revocations.denied)
        if revocations.pem:
            listed(revocations.pem)  # with a broken one Mosquitto would let everybody in
            self._write(REVOKED, revocations.pem)
        self._write("accounts", passwords)
        self._write("acl", acl)

    def _admit_monitor(self) -> None:
        """Give whom monitors ask for today's password among the accounts of the last start."""
        lines = (self.folder / "accounts").read_text("utf-8").splitlines(keepends=True)
        others = [it for it in lines if not it.startswith(f"{MONITOR}:")]
        self._write("accounts", "".join([*others, render_passwords([self.monitor])]))

    def _begin_list(self) -> None:
        """Put the first list of revoked certificates where there is none yet."""
        firsts = (it.tls.revoked for it in self._extra_listeners if it.tls)
        first = next((path for path in firsts if path is not None), None)
        if first is not None and not (self.folder / REVOKED).exists():
            self._write(REVOKED, first.read_text("ascii"))

    def _write(self, name: str, text: str) -> None:
        """Replace a file in one step; only the broker's user (and root) can read it."""
        descriptor, temporary = tempfile.mkstemp(dir=self.folder, prefix=f".{name}-")
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        if self._user is not None:
            os.chown(temporary, self._user.uid, self._user.gid)
        Path(temporary).replace(self.folder / name)


def _program() -> str:
    asked = os.environ.get("NOCTIS_MOSQUITTO", "mosquitto")
    found = shutil.which(asked, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        message = f"the MQTT broker {asked} is not there"
        raise ProcessError(message, hint="apt-get install mosquitto, or brew install mosquitto")
    return found


def _check_free(listener: Listener) -> None:
    """Refuse a port that another server has: its answers would pass for our broker's."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listener.address, listener.port))
        except OSError as error:
            message = f"cannot listen on {listener.address}:{listener.port}: {error.strerror}"
            raise ProcessError(
                message, hint="another server has it; choose another port"
            ) from error


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0) as link:
        link.settimeout(1.0)
        link.sendall(_CONNECT)
        return link.recv(4)[:1] == bytes([_CONNACK])
    return False
