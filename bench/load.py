"""What the devices of a bench send, as ready-made packets; and rows of the kind for COPY."""

import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from noctis import topics
from noctis.epoch import Run
from noctis.features import COUNT
from noctis.frames import CRC32, HEAD, MAGIC, VERSION
from noctis.identity import DeviceId
from noctis.slot import SLOT, encode_run, encode_slots
from noctis.storage.packing import ROW

__all__ = ["TENANT", "Fleet", "Load", "connect_packet", "device"]

TENANT: Final = "bench"
CONNECTIONS: Final = 500
_FILTERS: Final = 100
"""Of one SUBSCRIBE."""


def device(number: int) -> DeviceId:
    """Return a device of the bench; the first is 1, as its key in the database is."""
    return DeviceId(TENANT, f"d{number}")


@dataclass(frozen=True, slots=True)
class Load:
    """A file of packets for the publisher, and what it holds."""

    path: Path
    messages: int
    epochs: int


@dataclass(slots=True)
class Fleet:
    """Devices whose epochs nobody has stored yet; each load goes on where the last ended.

    ``channel`` is ``epochs`` (one epoch a message) or ``backlog`` (64). The clock of the
    devices began ``ago`` before now.
    """

    devices: int
    channel: str
    ago: timedelta
    folder: Path
    password: str
    first_stream: int = 1
    next_seq: int = 1
    run: Run = field(init=False)

    def __post_init__(self) -> None:
        start = datetime.now(UTC).replace(microsecond=0) - self.ago
        self.run = Run(0, 0, 1, 0, int(start.timestamp()))

    def load(self, messages: int) -> Load:
        """Write a load of so many messages, the same number from each device."""
        each = 1 if self.channel == "epochs" else 64
        share = max(1, messages // self.devices)
        payloads = self._payloads(share, each)
        links = min(CONNECTIONS, self.devices)
        path = self.folder / f"{self.channel}-{self.first_stream}-{self.next_seq}.load"
        with path.open("wb") as file:
            for link in range(links):
                mine = range(link, self.devices, links)
                file.write(self._connection(link, mine, payloads))
        self.next_seq += share * each
        return Load(path, share * self.devices, share * self.devices * each)

    def table(self, count: int, parts: int) -> list[NDArray[np.void]]:
        """Return so many rows in parts as the ingestor batches them: of all devices, sorted."""
        share = count // self.devices // parts
        made = []
        for _ in range(parts):
            rows = np.zeros(share * self.devices, ROW)
            number, index = np.divmod(np.arange(len(rows)), share)
            rows["tenant_id"], rows["device_id"] = 1, number + 1
            rows["stream"], rows["seq"] = number + self.first_stream, self.next_seq + index
            rows["epoch_start"] = 1_000_000 * (self.run.utc_s + 30 * (rows["seq"] - 1))
            rows["codes"], rows["in_bed"] = _codes(self.next_seq, len(rows)), True
            rows["received_at"] = 1_000_000 * int(datetime.now(UTC).timestamp())
            made.append(rows)
            self.next_seq += share
        return made

    def _payloads(self, share: int, each: int) -> list[list[bytes]]:
        """Return the frames of each device, in their order."""
        codes = _codes(self.next_seq, self.devices * share * each)
        slots = encode_slots(codes, np.ones(len(codes), np.bool_)).tobytes()
        run, size = encode_run(self.run), SLOT * each
        frames = []
        for number in range(self.devices):
            mine = []
            for index in range(share):
                head = HEAD.pack(
                    MAGIC,
                    VERSION,
                    0,
                    each,
                    self.first_stream + number,
                    self.next_seq + each * index,
                    0,
                    run,
                )
                begin = size * (number * share + index)
                body = head + slots[begin : begin + size]
                mine.append(body + CRC32.pack(crc32(body)))
            frames.append(mine)
        return frames

    def _connection(self, link: int, mine: range, payloads: list[list[bytes]]) -> bytes:
        """Return what publish.c reads of one connection: its devices take turns."""
        names = [topics.up(device(number + 1), self.channel).encode() for number in mine]
        turns = zip(*(payloads[number] for number in mine), strict=True)
        sent = [(name, it) for turn in turns for name, it in zip(names, turn, strict=True)]
        body = b"".join(_publish(name, it, n + 1) for n, (name, it) in enumerate(sent))
        acks = [topics.ack(device(number + 1)).encode() for number in mine]
        parts = [acks[n : n + _FILTERS] for n in range(0, len(acks), _FILTERS)]
        prelude = connect_packet(f"svc-load-{link}", self.password)
        prelude += b"".join(_subscribe(part) for part in parts)
        return struct.pack("<4I", len(prelude), 1 + len(parts), len(sent), len(body)) + (
            prelude + body
        )


def _codes(seed: int, count: int) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(0, 30, (count, COUNT)).astype(np.int16)


def _packet(kind: int, body: bytes) -> bytes:
    length, size = bytearray(), len(body)
    while size > 0x7F:  # noqa: PLR2004 - seven bits a byte
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([kind, *length, size]) + body


def _text(text: bytes) -> bytes:
    return struct.pack("!H", len(text)) + text


def connect_packet(user: str, password: str) -> bytes:
    """Return CONNECT with a clean session."""
    head = b"\x00\x04MQTT\x04\xc2\x00\x3c"
    body = [_text(b""), _text(user.encode()), _text(password.encode())]
    return _packet(0x10, head + b"".join(body))


def _subscribe(filters: list[bytes]) -> bytes:
    return _packet(0x82, b"\x00\x01" + b"".join(_text(it) + b"\x00" for it in filters))


def _publish(topic: bytes, payload: bytes, mid: int) -> bytes:
    return _packet(0x32, _text(topic) + struct.pack("!H", mid % 65535 + 1) + payload)
