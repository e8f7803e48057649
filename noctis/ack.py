"""Acknowledgements: what the platform tells a device of epochs, once they are committed."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from noctis.errors import FrameError

__all__ = [
    "DISPOSED",
    "REFUSED",
    "STORED",
    "Ack",
    "AckRange",
    "decode_ack",
    "encode_ack",
    "join_ranges",
    "pack_range",
]

VERSION = 1
STORED, REFUSED, DISPOSED = 0, 1, 2
_HEAD, _RANGE, _CRC32 = struct.Struct("<BBQ"), struct.Struct("<IBB"), struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class AckRange:
    """Consecutive epochs and what became of them: 0 stored, 1 refused, 2 disposed."""

    first: int
    count: int
    code: int


@dataclass(frozen=True, slots=True)
class Ack:
    """What the platform says of epochs of one stream, once they are committed."""

    stream: int
    ranges: tuple[AckRange, ...]


def encode_ack(ack: Ack) -> bytes:
    """Return the bytes of an acknowledgement of at most 255 ranges."""
    return join_ranges(
        ack.stream, [pack_range(it.first, it.count, it.code) for it in ack.ranges]
    )


pack_range: Final = _RANGE.pack
"""Returns the bytes of one range: (first, count, code)."""


def join_ranges(stream: int, ranges: Sequence[bytes]) -> bytes:
    """Return the bytes of an acknowledgement of at most 255 packed ranges."""
    body = _HEAD.pack(VERSION, len(ranges), stream) + b"".join(ranges)
    return body + _CRC32.pack(crc32(body))


def decode_ack(payload: bytes) -> Ack:
    """Return the acknowledgement that ``payload`` holds; raise FrameError when it is none."""
    if len(payload) < _HEAD.size + _CRC32.size:
        reason, detail = "length", f"{len(payload)} bytes are too few for an acknowledgement"
        raise FrameError(reason, detail)
    version, count, stream = _HEAD.unpack_from(payload)
    if version != VERSION:
        reason, detail = "version", f"version {version} is unknown; this side reads 1"
        raise FrameError(reason, detail)
    if len(payload) != _HEAD.size + count * _RANGE.size + _CRC32.size:
        reason, detail = "length", f"{len(payload)} bytes do not hold {count} ranges"
        raise FrameError(reason, detail)
    if _CRC32.unpack(payload[-_CRC32.size :])[0] != crc32(payload[: -_CRC32.size]):
        reason, detail = "crc", "the CRC-32 is wrong"
        raise FrameError(reason, detail)
    ranges = _RANGE.iter_unpack(payload[_HEAD.size : -_CRC32.size])
    return Ack(stream, tuple(AckRange(*fields) for fields in ranges))
