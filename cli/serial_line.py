"""A serial line to a device, as Linux and macOS have it."""

import os
import select
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cli.improv import Improv, ImprovError, Kind, Packet, Reader, command, strings
from noctis.errors import ConfigurationError, NoctisError

__all__ = ["DeviceLine", "LineError", "opened_line"]

CHUNK: Final = 4096
ANSWER_S: Final = 5.0
RETRY_S: Final = 1.0


class LineError(NoctisError):
    """The device at the other end does not do what it was asked."""


@contextmanager
def opened_line(path: Path) -> Iterator["DeviceLine"]:
    """Yield a device's line at 115200 baud; raise ConfigurationError where there is none."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        message = f"{path} cannot be opened: {error.strerror}"
        hint = "plug the device in; on Linux, be in the group 'dialout'"
        raise ConfigurationError(message, hint=hint) from error
    try:
        tty.setraw(descriptor)
        attributes = termios.tcgetattr(descriptor)
        attributes[2] |= termios.CLOCAL | termios.CREAD
        attributes[2] &= ~termios.HUPCL  # to close the line does not restart the board
        attributes[4] = attributes[5] = termios.B115200
        termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
        yield DeviceLine(descriptor)
    except termios.error as error:
        message = f"{path} is no serial line"
        raise ConfigurationError(message, hint="name it as in /dev/ttyUSB0") from error
    finally:
        os.close(descriptor)


class DeviceLine:
    """Asks a device and waits for what it answers."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._reader = Reader()

    def ask(self, what: Improv, data: bytes = b"", *, seconds: float = ANSWER_S) -> list[str]:
        """Return the strings of the result; raise LineError for an error, or for none in time.

        What changes nothing is asked every second: a board may be busy booting.
        """
        again = data == b"" and what != Improv.IDENTITY_END
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            self._write(command(what, data))
            answer = self._await(what, min(left, RETRY_S) if again else left)
            if answer is not None:
                return answer
            if time.monotonic() >= deadline:
                message = f"the device does not answer ({what.name.lower()})"
                hint = "is it a Noctis device, and does no other program use the line?"
                raise LineError(message, hint=hint)

    def _await(self, what: Improv, seconds: float) -> list[str] | None:
        for packet in self._packets(seconds):
            if packet.kind == Kind.ERROR and packet.data != b"\0":
                raise _refused(what, packet)
            if packet.kind == Kind.RESULT and packet.data[:1] == bytes([what]):
                return strings(packet.data)
        return None

    def _packets(self, seconds: float) -> Iterator[Packet]:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            readable, _, _ = select.select([self._descriptor], [], [], left)
            if readable:
                yield from self._reader.feed(self._read())

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, CHUNK)
        except BlockingIOError:
            return b""
        except OSError as error:
            message = f"the line to the device broke: {error.strerror}"
            raise LineError(message, hint="plug it in again and repeat the command") from error

    def _write(self, data: bytes) -> None:
        while data:
            _, writable, _ = select.select([], [self._descriptor], [], ANSWER_S)
            if not writable:
                message = "the line to the device takes nothing"
                raise LineError(message, hint="unplug the device and plug it in again")
            data = data[os.write(self._descriptor, data) :]


def _refused(what: Improv, packet: Packet) -> LineError:
    code = packet.data[0] if packet.data else ImprovError.UNKNOWN
    name = next((it.name for it in ImprovError if it == code), f"error {code}")
    if code == ImprovError.UNABLE_TO_CONNECT:
        message = "the device cannot join the Wi-Fi network"
        hint = "check name and password; an ESP32 knows 2.4 GHz alone"
        return LineError(message, hint=hint)
    message = f"the device refuses {what.name.lower()}: {name.lower().replace('_', ' ')}"
    return LineError(message, hint="is its firmware as new as this program?")
