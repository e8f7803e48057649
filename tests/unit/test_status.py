import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noctis.errors import FrameError
from noctis.status import decode_result, decode_status

STATUS = {
    "state": "online",
    "stream": "9f0c1d2e3a4b5c6d",
    "oldest_seq": 0,
    "next_seq": 41,
    "backlog": 3,
    "overwritten": 0,
    "damaged": 0,
    "firmware": "noctis-device 0.1.0",
    "clock": "sntp",
    "radar": "ok",
    "radar_family": "mr60bha2",
    "accelerometer": "ok",
    "accelerometer_id": 152,
    "config": 3,
}
ID = "0b7e4a3c-19d2-4f6a-8c55-a1b2c3d4e5f6"


def encoded(document: object) -> bytes:
    return json.dumps(document).encode()


def test_a_status_is_read_with_all_it_says() -> None:
    assert decode_status(encoded(STATUS)).model_dump() == STATUS


def test_a_status_of_an_earlier_or_later_firmware_is_read_too() -> None:
    old = {name: STATUS[name] for name in ("state", "stream", "oldest_seq", "next_seq")}
    status = decode_status(encoded(old | {"backlog": 7, "mood": "good"}))
    assert (status.backlog, status.accelerometer_id) == (7, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "asleep"},
        {"stream": "9F0C1D2E3A4B5C6D"},
        {"stream": "9f0c1d2e3a4b5c6d0"},
        {"next_seq": -1},
        {"next_seq": 1 << 32},
        {"next_seq": "41"},
        {"backlog": None},
        {"firmware": "x" * 65},
        {"mood": "x" * 1000},
    ],
)
def test_a_status_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(FrameError):
        decode_status(encoded(STATUS | wrong))


def test_an_answer_is_read_done_or_refused() -> None:
    detail = {"stored": 962, "refused": 0, "overwritten": 280}
    done = decode_result(encoded({"id": ID, "state": "done", "detail": detail}))
    assert (done.id, done.state, done.detail) == (UUID(ID), "done", detail)
    reason = {"reason": "foreign_stream"}
    assert (
        decode_result(encoded({"id": ID, "state": "refused", "detail": reason})).detail
        == reason
    )


@pytest.mark.parametrize(
    "wrong",
    [{"id": "7"}, {"state": "maybe"}, {"detail": [1]}, {"detail": {"reason": {"nested": 1}}}],
)
def test_an_answer_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(FrameError):
        decode_result(encoded({"id": ID, "state": "done", "detail": {}} | wrong))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_a_reason(payload: bytes) -> None:
    for decode in (decode_status, decode_result):
        with pytest.raises(FrameError):
            decode(payload)
