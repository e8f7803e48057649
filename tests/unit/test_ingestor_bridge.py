import struct
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.acks import acknowledgements
from ingestor.batch import Outcome
from ingestor.bridge import Rejection, epochs_in, open_messages, shortened
from noctis import topics
from noctis.ack import AckRange, decode_ack
from noctis.epoch import Frame, Run, encode_frame
from noctis.identity import DeviceId
from noctis.mqtt import Message

DEVICE = DeviceId("t1", "d1")
RUN = Run(reason=0, voids=0, boot=1, tick_s=30, utc_s=1_800_000_000)


def frame(first: int = 2, count: int = 3) -> Frame:
    codes = np.arange(15 * count, dtype=np.int16).reshape(count, 15) % 16
    return Frame(7, first, first - 1, RUN, codes, np.ones(count, np.bool_))


def patched(payload: bytes, at: int, value: int) -> bytes:
    """Change a byte and make the CRC-32 right again."""
    changed = bytearray(payload[:-4])
    changed[at] = value
    return bytes(changed) + struct.pack("<I", crc32(bytes(changed)))


def message(topic: str, payload: bytes) -> Message:
    return Message(topic, payload, 1, retain=False, generation=1)


def rejection_of(topic: str, payload: bytes) -> Rejection:
    opened = open_messages([message(topic, payload)])
    assert not len(opened.batch)
    assert not opened.places
    return opened.rejections[0]


def test_a_good_frame_of_each_channel_comes_through() -> None:
    payload = encode_frame(frame())
    channels = ("epochs", "backlog")
    opened = open_messages([message(topics.up(DEVICE, it), payload) for it in channels])
    assert opened.places == [0, 1]
    assert opened.rejections == {}
    assert opened.batch.devices == [DEVICE, DEVICE]
    assert opened.batch.backlog.tolist() == [False, True]
    assert opened.batch.frames.first.tolist() == [2, 2]
    assert opened.batch.frames.seq.tolist() == [2, 3, 4] * 2
    assert epochs_in(payload) == 3


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "length"),
        (patched(encode_frame(frame()), 0, 0x4F), "magic"),
        (patched(encode_frame(frame()), 1, 2), "version"),
        (patched(encode_frame(frame()), 3, 0), "count"),
        (patched(encode_frame(frame()), 3, 4), "length"),
        (encode_frame(frame())[:-1] + b"\0", "crc"),
        (bytes(5000), "length"),
    ],
)
def test_a_payload_that_is_no_frame_says_why(payload: bytes, reason: str) -> None:
    assert rejection_of(topics.up(DEVICE, "epochs"), payload).reason == reason


def test_a_topic_of_a_wrong_shape_or_shard_says_which() -> None:
    payload = encode_frame(frame())
    own = topics.shard_of(DEVICE)
    assert rejection_of(f"noctis/v1/up/{own + 1}/t1/d1/epochs", payload).reason == "shard"
    assert rejection_of(f"noctis/v1/up/{own}/t1/d1/epochs/more", payload).reason == "topic"
    assert rejection_of(f"noctis/v1/up/{own}/t1/d1/status", payload).reason == "topic"
    assert rejection_of("noctis/v1/up/0/svc-live-0/d1/epochs", payload).reason == "topic"
    assert rejection_of("somewhere/else", payload).reason == "topic"


def test_a_payload_beyond_any_frame_is_cut_before_it_fills_the_memory() -> None:
    cut = shortened(message(topics.up(DEVICE, "epochs"), bytes(60_000)))
    assert len(cut.payload) == 1024
    assert rejection_of(cut.topic, cut.payload).reason == "length"
    whole = message(topics.up(DEVICE, "epochs"), encode_frame(frame(count=64)))
    assert shortened(whole) is whole


@given(st.lists(st.tuples(st.text(max_size=60), st.binary(max_size=200)), max_size=8))
def test_whatever_is_sent_it_is_read_without_an_error(sent: list[tuple[str, bytes]]) -> None:
    good = message(topics.up(DEVICE, "epochs"), encode_frame(frame()))
    opened = open_messages([good, *(message(*it) for it in sent), good])
    assert opened.places == [0, len(sent) + 1]
    assert sorted(opened.rejections) == list(range(1, len(sent) + 1))
    assert opened.batch.frames.first.tolist() == [2, 2]


def test_each_good_frame_keeps_its_place_among_bad_ones() -> None:
    topic = topics.up(DEVICE, "epochs")
    slot_wrong = patched(encode_frame(frame(5)), 40, 0xFF)
    payloads = [b"", encode_frame(frame(2)), slot_wrong, encode_frame(frame(8)), bytes(2000)]
    opened = open_messages([message(topic, it) for it in payloads])
    assert opened.places == [1, 3]
    assert opened.batch.frames.first.tolist() == [2, 8]
    np.testing.assert_array_equal(opened.batch.frames.codes[3:], frame(8).codes)
    reasons = {place: it.reason for place, it in opened.rejections.items()}
    assert reasons == {0: "length", 2: "slot_crc", 4: "length"}


def test_one_message_acknowledges_all_frames_of_a_stream_and_no_others() -> None:
    other = DeviceId("t2", "d1")
    outcomes = [
        Outcome(DEVICE, 7, 2, 3, 0),
        Outcome(other, 7, 2, 3, 1),
        Outcome(DEVICE, 8, 2, 3, 0),
        Outcome(DEVICE, 7, 5, 64, 2),
    ]
    told = [(topic, decode_ack(payload)) for topic, payload in acknowledgements(outcomes)]
    assert [(topic, ack.stream, ack.ranges) for topic, ack in told] == [
        ("noctis/v1/down/t1/d1/ack", 7, (AckRange(2, 3, 0), AckRange(5, 64, 2))),
        ("noctis/v1/down/t2/d1/ack", 7, (AckRange(2, 3, 1),)),
        ("noctis/v1/down/t1/d1/ack", 8, (AckRange(2, 3, 0),)),
    ]


def test_more_ranges_than_a_message_holds_go_into_several() -> None:
    outcomes = [Outcome(DEVICE, 7, seq, 1, 0) for seq in range(2, 602)]
    acks = [decode_ack(payload) for _, payload in acknowledgements(outcomes)]
    assert [len(ack.ranges) for ack in acks] == [255, 255, 90]
    assert [it.first for ack in acks for it in ack.ranges] == list(range(2, 602))
