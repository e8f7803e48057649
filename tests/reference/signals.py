"""What sensors say: the table that ``noctis-device --to signals`` prints, and reads."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

HEADER = "ms,sensor,signal"
LSB_PER_G = 16384
LISTENING_FRAMES = 4
LISTENING_AFTER_MS = 10_000


@dataclass(frozen=True)
class Reading:
    """One thing that a radar said: ``kind`` is presence, movement, heart, breath or wave.

    A wave holds one phase (MR60BHA2) or the five of the last second (``53 59``), in rad.
    """

    ms: int
    kind: str
    values: tuple[float, ...]


@dataclass
class Signals:
    """All that was fed: UART bytes with their times, and (ms, x, y, z) in LSB."""

    radar: list[tuple[int, bytes]] = field(default_factory=list)
    accel: list[tuple[int, int, int, int]] = field(default_factory=list)

    def table(self) -> str:
        """Return the table as text."""
        lines = [(ms, f"{ms},radar,{data.hex()}") for ms, data in self.radar]
        lines += [(ms, f"{ms},accel,{x},{y},{z}") for ms, x, y, z in self.accel]
        lines.sort(key=lambda line: line[0])
        return "\n".join([HEADER, *(text for _, text in lines)]) + "\n"

    def acceleration(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the samples' times (n,) in ms and the samples (n, 3) in g."""
        rows = np.array(self.accel, np.int64).reshape(-1, 4)
        return rows[:, 0], rows[:, 1:] / LSB_PER_G

    def readings(self) -> list[Reading]:
        """Return what the radar said, less what it said while the device still listened."""
        heard: list[Reading] = []
        ignored, last_ms = 0, None
        for ms, data in self.radar:
            for frame in _frames(data):
                if last_ms is None or ms - last_ms > LISTENING_AFTER_MS:
                    ignored = 0
                last_ms = ms
                if ignored < LISTENING_FRAMES:
                    ignored += 1
                    continue
                heard += [Reading(ms, kind, values) for kind, values in _meaning(frame)]
        return heard


def read(lines: Iterable[str], *, end_ms: int) -> Signals:
    """Return the signals before ``end_ms`` from the lines of a table."""
    signals = Signals()
    for line in lines:
        if line.strip() == HEADER:
            continue
        ms, sensor, *values = line.strip().split(",")
        if int(ms) >= end_ms:
            break
        if sensor == "radar":
            signals.radar.append((int(ms), bytes.fromhex(values[0])))
        else:
            x, y, z = map(int, values)
            signals.accel.append((int(ms), x, y, z))
    return signals


def mr60bha2(kind: int, data: bytes) -> bytes:
    """Return a frame of the MR60BHA2."""
    head = b"\x01" + struct.pack(">HHH", 7, len(data), kind)
    return head + bytes([_inverse_parity(head)]) + data + bytes([_inverse_parity(data)])


def r60abd1(kind: int, data: bytes) -> bytes:
    """Return a frame of the ``53 59`` family."""
    body = b"\x53\x59" + struct.pack(">HH", kind, len(data)) + data
    return body + bytes([sum(body) & 0xFF]) + b"\x54\x43"


def _inverse_parity(data: bytes) -> int:
    parity = 0xFF
    for byte in data:
        parity ^= byte
    return parity


def _frames(data: bytes) -> Iterable[bytes]:
    """Cut whole frames that follow each other."""
    while data:
        if data[0] == 0x01:
            size = 9 + int.from_bytes(data[3:5], "big")
        else:
            size = 9 + int.from_bytes(data[4:6], "big")
        yield data[:size]
        data = data[size:]


def _meaning(frame: bytes) -> list[tuple[str, tuple[float, ...]]]:
    if frame[0] == 0x01:
        return _meaning_mr60bha2(int.from_bytes(frame[5:7], "big"), frame[8:-1])
    return _meaning_r60abd1(int.from_bytes(frame[2:4], "big"), frame[6:-3])


def _meaning_mr60bha2(kind: int, data: bytes) -> list[tuple[str, tuple[float, ...]]]:
    match kind:
        case 0x0F09:
            return [("presence", (float(data[0]),))]
        case 0x0A15:
            return [("heart", struct.unpack("<f", data))]
        case 0x0A14:
            return [("breath", struct.unpack("<f", data))]
        case 0x0A13:
            return [("wave", (struct.unpack("<3f", data)[1],))]
        case _:
            return []


def _meaning_r60abd1(kind: int, data: bytes) -> list[tuple[str, tuple[float, ...]]]:
    match kind:
        case 0x8001:
            return [("presence", (float(data[0]),))]
        case 0x8003:
            return [("movement", (float(data[0]),))]
        case 0x8502:
            return [("heart", (float(data[0]),))]
        case 0x8102:
            return [("breath", (float(data[0]),))]
        case 0x8105:
            return [("wave", tuple((byte - 128) / 1000 for byte in data))]
        case _:
            return []
