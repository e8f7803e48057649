"""The time for devices whose network blocks SNTP: a request, and at once the reply."""

import struct
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from noctis.errors import FrameError

__all__ = ["TimeReply", "decode_reply", "decode_request", "encode_reply", "encode_request"]

VERSION: Final = 1
_REQUEST, _REPLY = struct.Struct("<B3xQ"), struct.Struct("<B3xQQ")
_CRC32 = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class TimeReply:
    """What the platform answers: the request's ``sent``, and milliseconds since 1970."""

    sent: int
    utc_ms: int


def encode_request(sent: int) -> bytes:
    """Return the 16 bytes of a request; ``sent`` means something to the device alone."""
    return _sealed(_REQUEST.pack(VERSION, sent))


def decode_request(payload: bytes) -> int:
    """Return the request's ``sent``; raise FrameError when the payload is no request."""
    sent: int
    _, sent = _REQUEST.unpack(_checked(payload, _REQUEST.size))
    return sent


def encode_reply(reply: TimeReply) -> bytes:
    """Return the 24 bytes of a reply."""
    return _sealed(_REPLY.pack(VERSION, reply.sent, reply.utc_ms))


def decode_reply(payload: bytes) -> TimeReply:
    """Return the reply that a payload holds; raise FrameError when it is none."""
    _, sent, utc_ms = _REPLY.unpack(_checked(payload, _REPLY.size))
    return TimeReply(sent, utc_ms)


def _sealed(body: bytes) -> bytes:
    return body + _CRC32.pack(crc32(body))


def _checked(payload: bytes, size: int) -> bytes:
    """Return the body of a message whose version, length and CRC-32 are right."""
    if len(payload) != size + _CRC32.size:
        reason, detail = "length", f"{len(payload)} bytes; {size + _CRC32.size} are right"
        raise FrameError(reason, detail)
    if payload[0] != VERSION:
        reason, detail = "version", f"version {payload[0]} is unknown; this side reads 1"
        raise FrameError(reason, detail)
    body, seal = payload[:size], payload[size:]
    if _CRC32.unpack(seal)[0] != crc32(body):
        reason, detail = "crc", "the CRC-32 is wrong"
        raise FrameError(reason, detail)
    return body
