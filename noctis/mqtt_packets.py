"""MQTT packets by the hundred: reads taken apart into messages, answers put into one piece.

Only what is many: PUBLISH with QoS 0 and 1, and PUBACK. Source: MQTT 3.1.1 and 5.0, chapters
2 and 3.
"""

import struct
from collections.abc import Iterable
from typing import Final

from noctis.errors import NoctisError
from noctis.mqtt_link import Message

__all__ = ["PacketError", "Reader", "pubacks", "publishes"]

_PUBLISH: Final = 0x30
_SHORT: Final = struct.Struct(">BBH")
_PUBACK: Final = struct.Struct(">HH")
_PUBACK_HEAD: Final = 0x4002  # the same in MQTT 5, where no reason code says success
_HEADER_BYTES: Final = 2
_MORE: Final = 0x80
_LONGEST_LENGTH: Final = 4


class PacketError(NoctisError):
    """The broker sent what is no MQTT packet."""


def pubacks(mids: Iterable[int]) -> bytes:
    """Return a PUBACK for each packet id, in one piece."""
    return b"".join([_PUBACK.pack(_PUBACK_HEAD, mid) for mid in mids])


def publishes(messages: Iterable[tuple[str, bytes]], *, version: int) -> bytes:
    """Return a PUBLISH with QoS 0 for each topic and payload, in one piece."""
    properties = b"\0" if version == 5 else b""  # noqa: PLR2004 - MQTT's own name
    parts = []
    for topic, payload in messages:
        name = topic.encode()
        length = 2 + len(name) + len(properties) + len(payload)
        parts += [_head(length, len(name)), name, properties, payload]
    return b"".join(parts)


class Reader:
    """Takes apart what one connection receives; ``generation`` is written on its messages."""

    def __init__(self, *, version: int, generation: int) -> None:
        self._has_properties = version == 5  # noqa: PLR2004 - MQTT's own name
        self._generation = generation
        self._rest = b""

    def read(self, data: bytes, at: float) -> tuple[list[Message], list[tuple[int, bytes]]]:
        """Return the messages and the other packets, as (first byte, rest), that are whole now.

        ``at`` is the time that the messages tell. Raises PacketError for what is no packet.
        """
        data = self._rest + data
        messages: list[Message] = []
        others: list[tuple[int, bytes]] = []
        begin, end = 0, len(data)
        while end - begin >= _HEADER_BYTES:
            length, start = data[begin + 1], begin + 2
            if length & _MORE:
                length, start = _read_variable(data, begin + 1)
            stop = start + length
            if not start or stop > end:
                break
            if data[begin] & 0xF0 == _PUBLISH:
                messages.append(self._message(data, begin, start, stop, at))
            else:
                others.append((data[begin], data[start:stop]))
            begin = stop
        self._rest = data[begin:]
        return messages, others

    def _message(self, data: bytes, begin: int, start: int, stop: int, at: float) -> Message:
        rest = start + 2 + (data[start] << 8 | data[start + 1])
        topic = data[start + 2 : rest].decode(errors="replace")
        qos, mid = data[begin] >> 1 & 3, 0
        if qos:
            mid = data[rest] << 8 | data[rest + 1]
            rest += 2
        if self._has_properties:
            size, rest = _read_variable(data, rest) if data[rest] else (0, rest + 1)
            rest += size
        if rest > stop:
            message = f"a PUBLISH of {stop - start} bytes ends inside its own head"
            raise PacketError(message)
        retain = bool(data[begin] & 1)
        return Message(topic, data[rest:stop], qos, retain, self._generation, mid, at)


def _read_variable(data: bytes, start: int) -> tuple[int, int]:
    """Return a variable byte integer and where it ends; 0 for an end that is not there yet."""
    value = 0
    for index in range(_LONGEST_LENGTH):
        if start + index >= len(data):
            return 0, 0
        byte = data[start + index]
        value |= (byte & 0x7F) << 7 * index
        if not byte & _MORE:
            return value, start + index + 1
    message = "a packet's length takes more than four bytes"
    raise PacketError(message)


def _head(length: int, name: int) -> bytes:
    if length < _MORE:
        return _SHORT.pack(_PUBLISH, length, name)
    return bytes([_PUBLISH, *_variable(length), *name.to_bytes(2, "big")])


def _variable(value: int) -> Iterable[int]:
    while value >= _MORE:
        yield value & 0x7F | _MORE
        value >>= 7
    yield value
