from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noctis.mqtt import Message
from noctis.mqtt_packets import PacketError, Reader, pubacks, publishes

MESSAGES = st.lists(st.tuples(st.text(min_size=1, max_size=40), st.binary(max_size=300)))


def sent(topic: str, payload: bytes, *, version: int, mid: int, properties: bytes) -> bytes:
    """A PUBLISH with QoS 1, as a broker sends it."""
    body = len(topic.encode()).to_bytes(2, "big") + topic.encode() + mid.to_bytes(2, "big")
    body += (bytes([len(properties)]) + properties if version == 5 else b"") + payload
    size, length = len(body), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return b"\x32" + length + bytes([size]) + body


@pytest.mark.parametrize("version", [4, 5])
@settings(deadline=None)
@given(messages=MESSAGES, cuts=st.lists(st.integers(0, 5000)), expiry=st.booleans())
def test_messages_come_whole_however_the_socket_cuts_them(
    version: int, messages: list[tuple[str, bytes]], cuts: list[int], *, expiry: bool
) -> None:
    properties = b"\x02\x00\x00\x00\x78" if expiry else b""
    data = b"\x90\x03\x00\x01\x01" + b"".join(
        sent(topic, payload, version=version, mid=n + 1, properties=properties)
        for n, (topic, payload) in enumerate(messages)
    )
    reader = Reader(version=version, generation=3)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    read, others = [], []
    for begin, end in pairwise(edges):
        some, rest = reader.read(data[begin:end], 1.5)
        read += some
        others += rest
    assert others == [(0x90, b"\x00\x01\x01")]
    assert read == [
        Message(topic, payload, 1, retain=False, generation=3, mid=n + 1, at=1.5)
        for n, (topic, payload) in enumerate(messages)
    ]


@pytest.mark.parametrize("version", [4, 5])
@settings(deadline=None)
@given(messages=MESSAGES)
def test_what_is_published_is_read_again(
    version: int, messages: list[tuple[str, bytes]]
) -> None:
    data = publishes(messages, version=version)
    read, others = Reader(version=version, generation=1).read(data, 0.0)
    assert others == []
    assert [(it.topic, it.payload, it.qos, it.mid) for it in read] == [
        (*message, 0, 0) for message in messages
    ]


def test_pubacks_are_four_bytes_each() -> None:
    assert pubacks([1, 0xABCD]) == b"\x40\x02\x00\x01\x40\x02\xab\xcd"


@pytest.mark.parametrize(
    "data",
    [b"\x32\xff\xff\xff\xff\x01", b"\x32\x04\x00\x09ab", b"\x32\x05\x00\x01a\x00\x01\x7f"],
)
def test_what_is_no_packet_is_refused(data: bytes) -> None:
    with pytest.raises((PacketError, IndexError)):
        Reader(version=5, generation=1).read(data, 0.0)


def test_a_retained_message_says_so_and_a_name_that_is_no_text_does_no_harm() -> None:
    [message], _ = Reader(version=4, generation=1).read(b"\x31\x05\x00\x02a\xffx", 0.0)
    assert message.retain
    assert (message.topic, message.payload) == ("a\N{REPLACEMENT CHARACTER}", b"x")
