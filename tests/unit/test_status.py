import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noctis.errors import FrameError
from noctis.status import (
    ConfigReport,
    LogLines,
    decode_config,
    decode_log,
    decode_result,
    decode_status,
)

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
    "certificate": "21a60de5",
    "boots": 12,
    "reset": "brownout",
    "uptime_s": 86400,
    "free_heap": 181000,
    "least_free_heap": 164000,
    "stack_left": 3100,
    "laps": 2,
    "bad_slots": 1,
    "rssi": -61,
    "reconnects": 4,
    "puback_ms": 35,
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
        {"rssi": -129},
        {"free_heap": -1},
        {"boots": None},
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


CONFIG = {
    "version": 2,
    "settings": {"report_s": 60, "led": False, "log_level": "info"},
    "refusals": 1,
    "refused": {"volume": "unknown"},
}
LINE = {"n": 1, "at_ms": 1500, "level": "warning", "text": "the radar is silent"}
LOG = {"boot": 7, "now_ms": 11500, "dropped": 0, "lines": [LINE]}
PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126))
NUMBERS = st.integers(0, (1 << 32) - 1)


def test_what_a_device_is_set_to_is_read_with_the_kinds_of_its_values() -> None:
    report = decode_config(encoded(CONFIG))
    assert report.model_dump() == CONFIG
    assert report.settings["led"] is False
    assert report.settings["report_s"] == 60


@given(
    version=NUMBERS,
    settings=st.dictionaries(
        st.text("abcdefghij_", min_size=1, max_size=32),
        st.booleans() | NUMBERS | PRINTABLE.filter(lambda it: len(it) <= 64),
        max_size=4,
    ),
    refused=st.dictionaries(
        st.text("abcdefghij_", min_size=1, max_size=32),
        st.sampled_from(["unknown", "type", "range"]),
        max_size=8,
    ),
)
def test_whatever_a_device_reports_of_its_settings_comes_out_as_it_was(
    version: int, settings: dict[str, bool | int | str], refused: dict[str, str]
) -> None:
    said = {
        "version": version,
        "settings": settings,
        "refusals": len(refused),
        "refused": refused,
    }
    assert decode_config(encoded(said)) == ConfigReport.model_validate(said)


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 1 << 32},
        {"version": -1},
        {"version": "2"},
        {"version": 2.5},
        {"settings": []},
        {"settings": {"led": None}},
        {"settings": {"led": [True]}},
        {"settings": {"name": "x" * 65}},
        {"settings": {f"a{number}": number for number in range(17)}},
        {"refused": {"a" * 33: "range"}},
        {"refused": {f"a{number}": "range" for number in range(9)}},
        {"why": "x" * 1000},
    ],
)
def test_a_report_of_settings_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(FrameError):
        decode_config(encoded(CONFIG | wrong))


@given(
    boot=NUMBERS,
    lines=st.lists(
        st.fixed_dictionaries(
            {
                "n": st.integers(1, (1 << 32) - 1),
                "at_ms": st.integers(0, (1 << 63) - 1),
                "level": st.sampled_from(["error", "warning", "info", "debug"]),
                "text": PRINTABLE.filter(lambda it: len(it) <= 96),
            },
            optional={"times": st.integers(1, (1 << 32) - 1)},
        ),
        max_size=4,
    ),
)
def test_whatever_lines_a_device_sends_come_out_as_they_were(
    boot: int, lines: list[dict[str, object]]
) -> None:
    said = {"boot": boot, "now_ms": 5, "dropped": 0, "lines": lines}
    assert decode_log(encoded(said)) == LogLines.model_validate_json(encoded(said))


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 0},
        {"at_ms": -1},
        {"at_ms": 1 << 63},
        {"level": "off"},
        {"text": "x" * 97},
        {"text": "two\nlines"},
        {"text": "\u001b[31m"},
        {"times": 0},
    ],
)
def test_a_line_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(FrameError):
        decode_log(encoded(LOG | {"lines": [LINE | wrong]}))
    with pytest.raises(FrameError):
        decode_log(encoded(LOG | {"lines": [LINE] * 9}))
