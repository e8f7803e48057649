"""Devices in their boxes, for tests: a serial line, and the firmware's core at its far end."""

import json
import os
import pty
import select
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from cli.serial_line import DeviceLine, opened_line
from cli.service import device_program

__all__ = ["NETWORK", "WIFI_PASSWORD", "Box", "Cable", "box", "plugged"]

NETWORK: Final = "Home"
WIFI_PASSWORD: Final = "right password"
BOOT_S: Final = 20.0


class Cable:
    """A serial line between two ends, which can count what it carries to the device."""

    def __init__(self) -> None:
        self._near, self._near_end = pty.openpty()
        self._far, self._far_end = pty.openpty()
        self.near = Path(os.ttyname(self._near_end))
        self.far = Path(os.ttyname(self._far_end))
        self._unplugged = threading.Event()
        self._carrier = threading.Thread(target=self._carry)
        self._left: int | None = None
        self._at_end: Callable[[], None] | None = None

    def after(self, count: int, at_end: Callable[[], None]) -> None:
        """Do something once so many more bytes have come to the device, and carry no more."""
        self._at_end, self._left = at_end, count

    def empty(self) -> None:
        """Forget what is on the way: a board without power hears nothing."""
        self._left = None
        for descriptor in (self._near_end, self._far_end):
            termios.tcflush(descriptor, termios.TCIOFLUSH)

    def _carry(self) -> None:
        while not self._unplugged.is_set():
            for one in select.select([self._near, self._far], [], [], 0.05)[0]:
                data = os.read(one, 4096)
                if one == self._far:
                    os.write(self._near, data)
                elif self._left is None:
                    os.write(self._far, data)
                else:
                    self._carry_counted(data)

    def _carry_counted(self, data: bytes) -> None:
        assert self._left is not None
        os.write(self._far, data[: self._left])
        self._left = max(0, self._left - len(data))
        if self._left == 0 and self._at_end:
            at_end, self._at_end = self._at_end, None
            at_end()

    def __enter__(self) -> Self:
        self._carrier.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._unplugged.set()
        self._carrier.join(10)
        for one in (self._near, self._near_end, self._far, self._far_end):
            os.close(one)


@dataclass
class Box:
    """A board: its flash, what it keeps, what it says, and the process that it is."""

    folder: Path
    cable: Cable
    more: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text()

    @property
    def kept(self) -> bytes:
        return self.store.read_bytes() if self.store.exists() else b""

    def made(self) -> list[dict[str, Any]]:
        """Return the lines of its log: every epoch that it made."""
        log = self.folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def power_on(self, *more: str) -> None:
        """Start it, knowing nothing but what it keeps."""
        place = {"store": self.store, "line": self.cable.far, "network": NETWORK}
        files = {"nor": self.folder / "nor", "log": self.folder / "log"}
        room = {"network-password": WIFI_PASSWORD, "clock-rate": 10}
        options = {**place, **files, **room}
        names = [word for key, it in options.items() for word in (f"--{key}", str(it))]
        with (self.folder / "said").open("a") as said:
            self.process = subprocess.Popen(
                [device_program(), *names, *self.more, *more],
                stdout=said,
                stderr=said,
                env={},
            )
        self._await_raw()

    def _await_raw(self) -> None:
        """Wait until the line is raw: what comes before would be echoed."""
        descriptor = os.open(self.cable.far, os.O_RDWR | os.O_NOCTTY)
        try:
            deadline = time.monotonic() + BOOT_S
            while termios.tcgetattr(descriptor)[3] & termios.ECHO:
                assert self.process is not None
                assert self.process.poll() is None, self.said
                assert time.monotonic() < deadline
                time.sleep(0.01)
        finally:
            os.close(descriptor)

    def power_off(self) -> None:
        """Cut its power."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait(10)

    def stop(self) -> None:
        """Have it leave in good order."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            code = self.process.wait(20)
            self.process = None
            assert code == 0, self.said

    def finish(self, *more: str, within_s: float = 60) -> None:
        """Start it, and wait until it leaves by itself."""
        self.power_on(*more)
        assert self.process is not None
        code, self.process = self.process.wait(within_s), None
        assert code == 0, self.said

    @contextmanager
    def line(self) -> Iterator[DeviceLine]:
        with opened_line(self.cable.near) as line:
            yield line


@contextmanager
def box(folder: Path, *more: str) -> Iterator[Box]:
    """Yield a board of its own folder at a cable, without power; end it whatever happens."""
    folder.mkdir(exist_ok=True)
    with Cable() as cable:
        made = Box(folder, cable, more)
        try:
            yield made
        finally:
            made.power_off()


@contextmanager
def plugged(folder: Path, *more: str) -> Iterator[Box]:
    """Yield a board with power; it leaves in good order."""
    with box(folder, *more) as made:
        made.power_on()
        yield made
        made.stop()
