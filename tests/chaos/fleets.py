"""Devices of the firmware's own core, a process for each tenant, that play nights for ever."""

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cli.service import device_program

__all__ = ["PASSWORD", "TEMPERS", "Fleet", "device_names", "tenant_name"]

PASSWORD: Final = "one for all of them"
FILL_S: Final = 300
LAST: Final = ("--speed", "600", "--hours", "0.0085", "--once")
"""The shortest night there is: one epoch. With it a fleet brings what is left, and ends."""

TEMPERS: Final[tuple[tuple[str, ...], ...]] = (
    (),
    ("--clock-after", "1800"),
    ("--clock-faults",),
    ("--drop-link", "2", "--power-cuts", "1"),
    ("--drop-link", "6"),
)
"""What befalls the devices of each tenant besides, in turns; all drawn from their seed."""


def tenant_name(number: int) -> str:
    return f"house-{number}"


def device_names(devices: int) -> list[str]:
    """Return what ``noctis-device`` calls so many: a lone one has no number."""
    return [f"bed-{number:04d}" for number in range(1, devices + 1)] if devices > 1 else ["bed"]


class Fleet:
    """The devices of one tenant; ``port`` is where they find the broker.

    ``full_of`` fills the flash of its single device with so many epochs, as after months
    without a network.
    """

    def __init__(
        self,
        number: int,
        folder: Path,
        *,
        devices: int,
        port: int,
        seed: int,
        stem: str = "bed",
        full_of: int = 0,
    ) -> None:
        self.number = number
        self.tenant = tenant_name(number)
        self.folder = folder
        self.devices = devices
        self._port = port
        self._seed = 1000 * seed + 50 * number
        self._process: subprocess.Popen[bytes] | None = None
        self._options: tuple[str, ...] = ()
        self._environment: Mapping[str, str] = {}
        self._whose = ["--tenant", self.tenant, "--device", stem]
        self._nor = ["--nor", str(folder / "nor")]
        folder.mkdir(parents=True)
        if full_of:
            fill = [device_program(), "fill", *self._whose, *self._nor]
            subprocess.run([*fill, "--epochs", str(full_of)], check=True, timeout=FILL_S)

    @property
    def exit_code(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    def start(self, *options: str, environment: Mapping[str, str]) -> None:
        """Start with these options, or, without, as before: the night goes on."""
        self._options = options or self._options
        self._environment = environment
        names = [*self._whose, "--devices", str(self.devices)]
        files = [*self._nor, "--log", str(self.folder / "log")]
        address = ["--port", str(self._port), "--seed", str(self._seed)]
        with (self.folder / "told").open("a") as told:
            self._process = subprocess.Popen(
                [device_program(), *names, *files, *address, *self._options],
                stderr=told,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "NOCTIS_DEVICE_PASSWORD": PASSWORD, **environment},
                process_group=0,
            )

    def sleep(self, hours: float, speed: float, environment: Mapping[str, str]) -> None:
        """Play a night of so many hours, ``speed`` times as fast as the clock."""
        temper = TEMPERS[self.number % len(TEMPERS)]
        pace = ("--hours", f"{hours:.3f}", "--speed", f"{speed:g}")
        self.start(*pace, *temper, environment=environment)

    def bring(self) -> None:
        """Start anew, to bring what is left in the flash, and to end."""
        self.end()
        self.start(*LAST, environment={})

    def again(self) -> None:
        """Start once more after a kill, as before."""
        self.start(environment=self._environment)

    def send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """Cut the power of all its devices."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def end(self) -> None:
        """Let it end in order; its links close."""
        if self._process is None:
            return
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def told(self) -> str:
        return (self.folder / "told").read_text()[-1500:]
