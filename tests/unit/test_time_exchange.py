import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor import clock, metrics
from noctis import topics
from noctis.errors import FrameError
from noctis.identity import DeviceId
from noctis.time_exchange import (
    TimeReply,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
)

VECTORS = Path(__file__).parent.parent / "vectors" / "times.json"
DEVICE = DeviceId("t1", "d1")
numbers = st.integers(0, (1 << 64) - 1)


def test_requests_and_replies_match_the_golden_bytes() -> None:
    rows = json.loads(VECTORS.read_text("utf-8"))
    assert rows
    for row in rows:
        reply = TimeReply(int(row["sent"], 16), int(row["utc_ms"], 16))
        request = bytes.fromhex(row["request"])
        assert encode_request(reply.sent) == request
        assert decode_request(request) == reply.sent
        assert encode_reply(reply) == bytes.fromhex(row["reply"])
        assert decode_reply(bytes.fromhex(row["reply"])) == reply


@given(numbers, numbers)
def test_decoding_undoes_encoding(sent: int, utc_ms: int) -> None:
    assert decode_request(encode_request(sent)) == sent
    assert decode_reply(encode_reply(TimeReply(sent, utc_ms))) == TimeReply(sent, utc_ms)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "length"),
        (encode_request(7)[:-1], "length"),
        (encode_request(7) + b"\0", "length"),
        (encode_reply(TimeReply(7, 8)), "length"),
        (b"\2" + encode_request(7)[1:], "version"),
        (encode_request(7)[:-1] + b"\0", "crc"),
        (encode_request(7)[:5] + b"\1" + encode_request(7)[6:], "crc"),
    ],
)
def test_what_is_no_request_says_why(payload: bytes, reason: str) -> None:
    with pytest.raises(FrameError) as caught:
        decode_request(payload)
    assert caught.value.reason == reason


@given(st.binary(max_size=40))
def test_any_bytes_raise_nothing_but_a_frame_error(payload: bytes) -> None:
    for decode in (decode_request, decode_reply):
        try:
            decode(payload)
        except FrameError:
            pass


def test_a_device_that_asks_is_told_the_time_on_its_own_topic() -> None:
    topic = topics.up(DEVICE, "time")
    assert clock.asks(topic)
    told = clock.answer(topic, encode_request(42), now_ns=lambda: 1_800_000_000_123_456_789)
    assert told is not None
    reply_topic, payload = told
    assert reply_topic == "noctis/v1/down/t1/d1/time"
    assert decode_reply(payload) == TimeReply(42, 1_800_000_000_123)


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        (topics.up(DEVICE, "time"), b"what time is it?", "version"),
        (topics.up(DEVICE, "time"), b"", "length"),
        ("noctis/v1/up/64/t1/d1/time", encode_request(1), "topic"),
        ("time/time", encode_request(1), "topic"),
    ],
)
def test_garbage_is_counted_and_not_answered(topic: str, payload: bytes, reason: str) -> None:
    counter = metrics.TIME_REJECTED.labels(reason)
    before = counter._value.get()
    assert clock.answer(topic, payload) is None
    assert counter._value.get() == before + 1


def test_frames_are_not_taken_for_requests() -> None:
    assert not clock.asks(topics.up(DEVICE, "epochs"))
    assert not clock.asks(topics.up(DEVICE, "status"))
