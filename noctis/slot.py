"""Slots: the 14 bytes that an epoch or a time base takes in flash and on the wire alike.

13 bytes whose 104 bits, read as one little-endian integer, hold the fields, and a CRC-8. Bit 0
tells an EPOCH slot (15 feature codes and a flag) from a RUN slot (the time base of the epochs
behind it).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noctis.errors import FrameError
from noctis.features import COUNT, FEATURES

__all__ = ["SLOT", "Run", "decode_run", "decode_slots", "encode_run", "encode_slots", "faults"]

SLOT, PAYLOAD, BITS = 14, 13, 104
_RUN_FIELDS = (("reason", 3), ("voids", 8), ("boot", 32), ("tick_s", 28), ("utc_s", 32))


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
    bits = np.unpackbits(slots[:, :PAYLOAD], axis=1, bitorder="little")
    codes = np.empty((len(slots), COUNT), np.int16)
    offset = 1
    for column, feature in enumerate(FEATURES):
        weights = 1 << np.arange(feature.bits, dtype=np.int16)
        codes[:, column] = bits[:, offset : offset + feature.bits] @ weights
        offset += feature.bits
    return codes, bits[:, offset].astype(np.bool_)


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
