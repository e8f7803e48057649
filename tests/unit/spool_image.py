"""A reader of a spool's flash chip, written from firmware/SPOOL.md alone.

It shares no code with the device or the platform, so that the page, and not a common mistake,
is what both agree on.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

SECTOR, SLOTS, SLOT = 4096, 280, 14
HEADER, V, D, FIRST_SLOT = 46, 46, 81, 116
FEATURES = Path(__file__).parents[2] / "noctis" / "features.toml"
WIDTHS = [feature["bits"] for feature in tomllib.loads(FEATURES.read_text())["feature"]]


@dataclass(frozen=True, slots=True)
class Header:
    """The head of an intact sector."""

    stream: int
    owner: int
    number: int
    chip: int


@dataclass(frozen=True, slots=True)
class Run:
    """The time base of the epochs behind it; ``utc_s`` 0 is unknown."""

    seq: int
    reason: int
    voids: int
    boot: int
    tick_s: int
    utc_s: int


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch as the spool holds it, with the bytes of its slot."""

    stream: int
    seq: int
    run: Run
    slot: bytes
    done: bool

    @property
    def tick_s(self) -> int:
        """Seconds since boot at which it began."""
        return self.run.tick_s + 30 * (self.seq - self.run.seq - 1)

    @property
    def utc_s(self) -> int | None:
        """Unix seconds at which it began, where that is known."""
        behind = 30 * (self.seq - self.run.seq - 1)
        return self.run.utc_s + behind if self.run.utc_s else None

    @property
    def codes(self) -> list[int]:
        """The 15 feature codes; all ones: missing."""
        number, codes = int.from_bytes(self.slot[:13], "little") >> 1, []
        for width in WIDTHS:
            codes.append(number % (1 << width))
            number >>= width
        return codes

    @property
    def in_bed(self) -> bool:
        """Whether somebody was in bed."""
        return bool(self.slot[12] & 0x80)


def owner_of(device: str) -> int:
    """Return the owner number of ``tenant/device``."""
    return crc32(device.encode("ascii"))


def read_spool(chip: bytes, owner: int) -> list[Epoch]:
    """Return all epochs of that owner, oldest first; ``chip`` has the true bytes."""
    sectors = len(chip) // SECTOR
    headers = [_header(chip, place) for place in range(sectors)]
    numbers = [header.number for header in headers if header]
    if not numbers:
        return []
    head = max(numbers)
    epochs: list[Epoch] = []
    for number in range(max(0, head - sectors + 2), head + 1):
        place = number % sectors
        header = headers[place]
        if header and header.number == number and header.owner == owner:
            sector = chip[place * SECTOR : (place + 1) * SECTOR]
            epochs += _epochs(sector, header)
    return epochs


def _header(chip: bytes, place: int) -> Header | None:
    raw = chip[place * SECTOR : place * SECTOR + HEADER]
    if raw[:3] != b"NS\x01" or crc32(raw[:42]) != _number(raw[42:46]):
        return None
    number = _number(raw[16:20])
    if number % (len(chip) // SECTOR) != place:
        return None
    return Header(_number(raw[4:12]), _number(raw[12:16]), number, _number(raw[20:24]))


def _epochs(sector: bytes, header: Header) -> Iterator[Epoch]:
    run: Run | None = None
    for index in range(SLOTS):
        if _bit(sector, V, index):
            continue
        slot = sector[slot_offset(index) :][:SLOT]
        seq = SLOTS * header.number + index
        if _crc8(slot[:13]) != slot[13]:
            run = None if _rotten_kind(slot) else run
        elif slot[0] & 1:
            run = _run(seq, slot)
        elif run:
            yield Epoch(header.stream, seq, run, slot, not _bit(sector, D, index))


def _rotten_kind(slot: bytes) -> int:
    kind = slot[0] & 1
    other = bytes([slot[0] ^ 1]) + slot[1:13]
    return 1 - kind if _crc8(other) == slot[13] else kind


def _run(seq: int, slot: bytes) -> Run:
    number = int.from_bytes(slot[:13], "little")
    fields = ((1, 3), (4, 8), (12, 32), (44, 28), (72, 32))
    return Run(seq, *((number >> offset) % (1 << width) for offset, width in fields))


def slot_offset(index: int) -> int:
    if index < 10:
        return FIRST_SLOT + SLOT * index
    page, within = divmod(index - 10, 18)
    return 256 * (page + 1) + SLOT * within


def _bit(sector: bytes, bitmap: int, index: int) -> int:
    return sector[bitmap + index // 8] >> (index % 8) & 1


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def _crc8_table() -> list[int]:
    table = []
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = (crc << 1) ^ (0x07 if crc & 0x80 else 0)
        table.append(crc & 0xFF)
    return table


_CRC8 = _crc8_table()


def _crc8(body: bytes) -> int:
    crc = 0xA5
    for byte in body:
        crc = _CRC8[crc ^ byte]
    return crc
