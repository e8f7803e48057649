"""The client's side of Improv Wi-Fi over a serial line, version 1, and of Noctis's commands."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

__all__ = ["Improv", "ImprovError", "Packet", "Reader", "State", "command", "strings"]

MARK: Final = b"IMPROV\x01"
HEAD: Final = len(MARK) + 2
COMMAND: Final = 3


class Improv(IntEnum):
    """What a client can ask; the last three are Noctis's own (docs/provisioning.md)."""

    WIFI = 1
    STATE = 2
    INFO = 3
    SCAN = 4
    IDENTITY_PART = 0xF0
    IDENTITY_END = 0xF1
    LINK = 0xF2


class State(IntEnum):
    """How far the device is with Wi-Fi."""

    READY = 2
    PROVISIONING = 3
    PROVISIONED = 4


class ImprovError(IntEnum):
    """What a device finds wrong."""

    NONE = 0
    INVALID = 1
    UNKNOWN_COMMAND = 2
    UNABLE_TO_CONNECT = 3
    UNKNOWN = 0xFF


class Kind(IntEnum):
    """What a packet is."""

    STATE = 1
    ERROR = 2
    COMMAND = 3
    RESULT = 4


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet whose sum is right."""

    kind: int
    data: bytes


def command(what: Improv, data: bytes = b"") -> bytes:
    """Return a command as it goes over the line."""
    packet = MARK + bytes([COMMAND, len(data) + 2, what, len(data)]) + data
    return packet + bytes([sum(packet) & 0xFF])


def strings(data: bytes) -> list[str]:
    """Return the strings of a result."""
    found: list[str] = []
    at, end = 2, 2 + data[1] if len(data) > 1 else 0
    while at < min(end, len(data)):
        size = data[at]
        found.append(data[at + 1 : at + 1 + size].decode("utf-8", "replace"))
        at += 1 + size
    return found


class Reader:
    """Finds packets in what a line brings: between lines of a log, cut anywhere."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Take what came; yield the packets that are whole now."""
        self._bytes += data
        while (at := self._bytes.find(MARK)) >= 0:
            del self._bytes[:at]
            if len(self._bytes) < HEAD or len(self._bytes) < HEAD + self._bytes[HEAD - 1] + 1:
                return
            end = HEAD + self._bytes[HEAD - 1]
            packet = bytes(self._bytes[:end])
            if sum(packet) & 0xFF == self._bytes[end]:
                del self._bytes[: end + 1]
                yield Packet(packet[HEAD - 2], packet[HEAD:])
            else:
                del self._bytes[: len(MARK)]
        del self._bytes[: -len(MARK)]
