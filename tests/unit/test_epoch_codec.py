import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noctis.ack import Ack, AckRange, decode_ack, encode_ack
from noctis.epoch import Frame, decode_frame, decode_frames, encode_frame
from noctis.errors import FrameError
from noctis.features import FEATURES
from noctis.slot import Run, decode_run, decode_slots, encode_run, encode_slots

VECTORS = Path(__file__).parent.parent / "vectors"


def vectors(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((VECTORS / name).read_text("utf-8"))
    assert rows
    return rows


def run_of(row: dict[str, Any]) -> Run:
    return Run(row["reason"], row["voids"], row["boot"], row["tick_s"], row["utc_s"])


def frame_of(row: dict[str, Any]) -> Frame:
    return Frame(
        int(row["stream"], 16),
        row["first"],
        row["run_seq"],
        run_of(row["run"]),
        np.array(row["codes"], np.int16),
        np.array(row["in_bed"], np.bool_),
    )


def assert_same(left: Frame, right: Frame) -> None:
    assert (left.stream, left.first, left.run_seq) == (right.stream, right.first, right.run_seq)
    assert left.run == right.run
    assert left.flags == right.flags
    np.testing.assert_array_equal(left.codes, right.codes)
    np.testing.assert_array_equal(left.in_bed, right.in_bed)


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    count = draw(st.integers(1, 64))
    run_seq = draw(st.integers(0, 2**32 - 400))
    codes = [
        [draw(st.integers(0, (1 << f.bits) - 1)) for f in FEATURES]
        for _ in range(min(count, 3))
    ]
    repeated = [codes[i % len(codes)] for i in range(count)]
    flags = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    run = Run(
        draw(st.integers(0, 7)),
        draw(st.integers(0, 255)),
        draw(st.integers(0, 2**32 - 1)),
        draw(st.integers(0, 2**28 - 1)),
        draw(st.integers(0, 2**32 - 1)),
    )
    return Frame(
        draw(st.integers(0, 2**64 - 1)),
        run_seq + draw(st.integers(1, 300)),
        run_seq,
        run,
        np.array(repeated, np.int16),
        np.array(flags, np.bool_),
    )


def test_slots_match_the_golden_bytes() -> None:
    for row in vectors("slots.json"):
        golden = bytes.fromhex(row["hex"])
        if row["kind"] == "run":
            assert encode_run(run_of(row)) == golden
            assert decode_run(golden) == run_of(row)
        else:
            codes, in_bed = np.array([row["codes"]], np.int16), np.array([row["in_bed"]])
            assert encode_slots(codes, in_bed).tobytes() == golden
            read = decode_slots(np.frombuffer(golden, np.uint8).reshape(1, -1))
            np.testing.assert_array_equal(read[0], codes)
            np.testing.assert_array_equal(read[1], in_bed)


def test_frames_match_the_golden_bytes() -> None:
    for row in vectors("frames.json"):
        golden = bytes.fromhex(row["hex"])
        assert encode_frame(frame_of(row)) == golden
        assert_same(decode_frame(golden), frame_of(row))


def test_acknowledgements_match_the_golden_bytes() -> None:
    for row in vectors("acks.json"):
        ack = Ack(int(row["stream"], 16), tuple(AckRange(*r) for r in row["ranges"]))
        assert encode_ack(ack).hex() == row["hex"]
        assert decode_ack(bytes.fromhex(row["hex"])) == ack


def test_every_bad_frame_is_refused_with_its_reason() -> None:
    rows = vectors("bad_frames.json")
    for row in rows:
        with pytest.raises(FrameError) as caught:
            decode_frame(bytes.fromhex(row["hex"]))
        assert caught.value.reason == row["reason"]
    assert {"version", "crc", "count", "length", "magic"} <= {row["reason"] for row in rows}


def test_a_bad_frame_among_good_ones_does_not_disturb_them() -> None:
    good = [bytes.fromhex(row["hex"]) for row in vectors("frames.json")]
    bad = [bytes.fromhex(row["hex"]) for row in vectors("bad_frames.json")]
    mixed = [payload for pair in zip(bad, good * len(bad), strict=False) for payload in pair]
    results = decode_frames(mixed)
    for index, result in enumerate(results):
        if index % 2:
            assert isinstance(result, Frame)
            assert_same(result, decode_frame(mixed[index]))
        else:
            assert isinstance(result, FrameError)
            assert result.reason == vectors("bad_frames.json")[index // 2]["reason"]


@given(frames())
def test_decoding_undoes_encoding(frame: Frame) -> None:
    assert_same(decode_frame(encode_frame(frame)), frame)


@given(st.binary(max_size=200))
def test_any_bytes_raise_nothing_but_a_frame_error(payload: bytes) -> None:
    for decode in (decode_frame, decode_ack, decode_run):
        try:
            decode(payload)
        except FrameError:
            pass


@given(frames(), st.data())
def test_one_flipped_bit_is_always_noticed(frame: Frame, data: st.DataObject) -> None:
    payload = bytearray(encode_frame(frame))
    bit = data.draw(st.integers(0, 8 * len(payload) - 1))
    payload[bit // 8] ^= 1 << bit % 8
    with pytest.raises(FrameError):
        decode_frame(bytes(payload))


def test_a_run_that_does_not_fit_its_slot_is_refused() -> None:
    with pytest.raises(FrameError, match="tick_s"):
        encode_run(Run(0, 0, 0, 1 << 28, 0))
