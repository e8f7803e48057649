"""Slots: the 14 bytes that an epoch or a time base takes in flash and on the wire alike.

13 bytes whose 104 bits, read as one little-endian integer, hold the fields, and a CRC-8. Bit 0
tells an EPOCH slot (15 feature codes and a flag) from a RUN slot (the time base of the epochs
behind it).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noctis.errors import FrameError
from noctis.features import COUNT, FEATURES

__all__ = [
    "RUN",
    "SLOT",
    "Run",
    "decode_run",
    "decode_runs",
    "decode_slots",
    "encode_run",
    "encode_slots",
    "faults",
]

SLOT, PAYLOAD, BITS = 14, 13, 104
_RUN_FIELDS = (("reason", 3), ("voids", 8), ("boot", 32), ("tick_s", 28), ("utc_s", 32))
RUN = np.dtype([(name, np.int64) for name, _ in _RUN_FIELDS])
"""The fields of a run, as arrays of runs have them."""


class _Layout:
    """Reads bit fields that follow each other behind bit 0, of many slots at once.

    A slot is two words of 64 bits; a field lies in one of them or across both.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        half = 64
        begins = [1 + sum(widths[:index]) for index in range(len(widths))]
        fields = list(zip(begins, widths, strict=True))
        self._low_right = _words(min(at, half - 1) for at in begins)
        self._low_mask = _words((1 << width) - 1 if at < half else 0 for at, width in fields)
        self._high_right = _words(max(at - half, 0) for at in begins)
        self._high_left = _words(half - at if 0 < half - at < half else 0 for at in begins)
        self._high_mask = _words(
            (1 << width) - 1 if at + width > half else 0 for at, width in fields
        )

    def read(self, slots: NDArray[np.uint8]) -> NDArray[np.uint64]:
        """Return the fields, shape (n, fields), of slots (n, 14)."""
        padded = np.zeros((len(slots), 16), np.uint8)
        padded[:, :PAYLOAD] = slots[:, :PAYLOAD]
        words = padded.view("<u8")
        low = words[:, :1] >> self._low_right & self._low_mask
        high = words[:, 1:] >> self._high_right << self._high_left & self._high_mask
        fields: NDArray[np.uint64] = low | high
        return fields


def _words(values: Iterable[int]) -> NDArray[np.uint64]:
    return np.array(list(values), np.uint64)


_EPOCH_LAYOUT = _Layout([*(feature.bits for feature in FEATURES), 1])
_RUN_LAYOUT = _Layout([width for _, width in _RUN_FIELDS])


def _crc8_table() -> bytes:
    table = bytearray(256)
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
        table[byte] = crc
    return bytes(table)


_TABLE = _crc8_table()
_CRC8 = np.frombuffer(_TABLE, np.uint8)


def crc8(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the CRC-8 (polynomial 0x07, init 0xA5) of each row; rows: (n, length)."""
    crc = np.full(len(rows), 0xA5, np.uint8)
    for column in range(rows.shape[1]):
        crc = _CRC8[crc ^ rows[:, column]]
    return crc


@dataclass(frozen=True, slots=True)
class Run:
    """The time base of the epochs that follow a RUN slot.

    ``utc_s`` is the start, in unix seconds, of the epoch right behind the RUN, or 0 when the
    clock was unknown; ``tick_s`` is the same moment in seconds since boot; ``voids`` counts
    the empty sequence numbers just before. Reasons: 0 boot, 1 sector, 2 break of the grid,
    3 clock learnt, 4 clock step.
    """

    reason: int
    voids: int
    boot: int
    tick_s: int
    utc_s: int


def encode_slots(codes: NDArray[np.int16], in_bed: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return EPOCH slots, shape (n, 14), of codes (n, 15) and flags (n,)."""
    count = len(codes)
    bits = np.zeros((count, BITS), np.uint8)
    offset = 1
    for column, feature in enumerate(FEATURES):
        shifts = np.arange(feature.bits)
        bits[:, offset : offset + feature.bits] = codes[:, column, None] >> shifts & 1
        offset += feature.bits
    bits[:, offset] = in_bed
    payload = np.packbits(bits, axis=1, bitorder="little")
    return np.concatenate([payload, crc8(payload)[:, None]], axis=1)


def decode_slots(slots: NDArray[np.uint8]) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Return codes (n, 15) and in_bed flags (n,) of EPOCH slots (n, 14).

    Neither kind nor CRC-8 is looked at; ``decode_frames`` checks both.
    """
    fields = _EPOCH_LAYOUT.read(slots)
    return fields[:, :COUNT].astype(np.int16), fields[:, COUNT].astype(np.bool_)


def decode_runs(slots: NDArray[np.uint8]) -> NDArray[np.void]:
    """Return the fields (n,) of RUN slots (n, 14); neither kind nor CRC-8 is looked at."""
    fields = _RUN_LAYOUT.read(slots).astype(np.int64)
    return np.ascontiguousarray(fields).view(RUN)[:, 0]


def encode_run(run: Run) -> bytes:
    """Return the 14 bytes of a RUN slot."""
    value, offset = 1, 1
    for name, width in _RUN_FIELDS:
        number: int = getattr(run, name)
        if not 0 <= number < 1 << width:
            reason, detail = "run", f"{name}={number} does not fit in {width} bits"
            raise FrameError(reason, detail)
        value |= number << offset
        offset += width
    payload = value.to_bytes(PAYLOAD, "little")
    return payload + bytes([_crc8_of(payload)])


def decode_run(slot: bytes) -> Run:
    """Return the run that a RUN slot (14 bytes) holds; raise FrameError when it is none."""
    if len(slot) != SLOT or _crc8_of(slot[:PAYLOAD]) != slot[PAYLOAD]:
        reason, detail = "run", "the RUN slot's CRC-8 is wrong"
        raise FrameError(reason, detail)
    value = int.from_bytes(slot[:PAYLOAD], "little")
    if not value & 1:
        reason, detail = "run", "the slot in the RUN's place is an EPOCH"
        raise FrameError(reason, detail)
    fields, offset = {}, 1
    for name, width in _RUN_FIELDS:
        fields[name] = value >> offset & (1 << width) - 1
        offset += width
    return Run(**fields)


def faults(slots: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return for slots (n, 14) which have a wrong CRC-8 (n,) and which are RUNs (n,)."""
    crc_wrong = crc8(slots[:, :PAYLOAD]) != slots[:, PAYLOAD]
    return crc_wrong, (slots[:, 0] & 1).astype(np.bool_)


def _crc8_of(payload: bytes) -> int:
    """Return the CRC-8 of one slot: without numpy, whose calls cost more than the 13 bytes."""
    crc = 0xA5
    for byte in payload:
        crc = _TABLE[crc ^ byte]
    return crc
