"""The checker finds each kind of wrong, and nothing where nothing is wrong."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from noctis.epoch import Frame, encode_frame
from noctis.features import COUNT
from noctis.slot import Run, encode_slots
from tests.chaos.checker import (
    Heard,
    check_answers,
    check_apps,
    check_predictions,
    check_stored,
    check_wire,
)
from tests.chaos.evidence import Made, Stored
from tests.chaos.reader import Answer

DEVICE = "house-0/bed-0001"
STREAM = 7
MADE = [Made((DEVICE, STREAM, seq), 1, f"{seq:028x}", 30 * seq) for seq in range(1, 5)]
STORED = [Stored(it.key, it.record, 30.0 * it.key[2]) for it in MADE]
OWNERS = {STREAM: DEVICE, 8: "house-1/bed-0001"}
Rows = Sequence[Stored]


@pytest.mark.parametrize(
    ("kind", "tamper"),
    [
        ("lost", lambda rows: rows[1:]),
        ("phantom", lambda rows: [*rows, Stored((DEVICE, STREAM, 9), "00", None)]),
        ("duplicates", lambda rows: [*rows, rows[0]]),
        ("altered", lambda rows: [*rows[1:], replace(rows[0], record="00")]),
        ("misplaced", lambda rows: [*rows[1:], replace(rows[0], start=3630.0)]),
        (
            "crossed",
            lambda rows: [
                *rows[1:],
                replace(rows[0], key=("house-1/bed-0001", STREAM, 1)),
            ],
        ),
    ],
)
def test_what_is_wrong_with_an_export_is_found(
    kind: str, tamper: Callable[[Rows], Rows]
) -> None:
    assert not check_stored("house-0", MADE, STORED).counts
    assert check_stored("house-0", MADE, tamper(STORED)).counts[kind] == 1


def test_a_seq_that_a_device_used_again_is_found() -> None:
    again = [*MADE, replace(MADE[0], record="00")]
    assert check_stored("house-0", again, STORED).counts["duplicates"] == 1


def test_predictions_are_held_to_one_of_each_version() -> None:
    once = Counter((it.key, model) for it in MADE for model in ("stager@one", "stager@other"))
    assert not check_predictions(MADE, once).counts
    twice = once + Counter({(MADE[0].key, "stager@one"): 1})
    assert check_predictions(MADE, twice).counts == {"predictions_doubled": 1}
    missing = Counter({it: 1 for it in once if it[0] != MADE[2].key})
    assert check_predictions(MADE, missing).counts == {"predictions_missing": 1}
    assert check_predictions(MADE[1:], once).counts == {"phantom": 2 - 1}


def stage(seq: int, *, stream: int = STREAM, said: str = "deep", device: str = DEVICE) -> Heard:
    told = {"stream": f"{stream:016x}", "seq": seq, "stage": said, "model": "stager@one"}
    return (1.0, f"noctis/v1/app/{device}/stage", False, json.dumps(told).encode())


@pytest.mark.parametrize(
    ("kind", "heard"),
    [
        ("crossed", [stage(1, device="house-1/bed-0001")]),
        ("crossed", [stage(1, stream=8)]),
        ("phantom", [stage(9)]),
        ("predictions_doubled", [stage(1), stage(1, said="light")]),
        ("disordered", [stage(2), stage(1), stage(2)]),
        ("disordered", [stage(1), stage(2), stage(1)]),
    ],
)
def test_what_an_app_must_not_hear_is_found(kind: str, heard: list[Heard]) -> None:
    keys = [it.key for it in MADE]
    assert check_apps("house-0", OWNERS, keys, heard).counts == {kind: 1}


def test_the_same_stage_delivered_again_is_no_double() -> None:
    keys = [it.key for it in MADE]
    heard = [stage(1), stage(2), stage(1), stage(2), (2.0, stage(1)[1], True, stage(1)[3])]
    assert not check_apps("house-0", OWNERS, keys, heard).counts


def sent(first: int, *, device: str = DEVICE, codes: int = 0, channel: str = "epochs") -> Heard:
    run = Run(reason=0, voids=0, boot=1, tick_s=0, utc_s=0)
    rows = np.full((2, COUNT), codes, np.int16)
    frame = Frame(STREAM, first, 0, run, rows, np.zeros(2, np.bool_))
    return (1.0, f"noctis/v1/up/3/{device}/{channel}", False, encode_frame(frame))


def on_the_wire() -> dict[tuple[str, int, int], Made]:
    record = bytes(encode_slots(np.zeros((1, COUNT), np.int16), np.zeros(1, np.bool_))[0]).hex()
    return {it.key: replace(it, record=record) for it in MADE}


@pytest.mark.parametrize(
    ("kinds", "heard"),
    [
        ({}, [sent(1), sent(3), sent(1, channel="backlog")]),
        ({"phantom": 1}, [sent(4)]),
        ({"altered": 2}, [sent(1, codes=1)]),
        ({"disordered": 2}, [sent(3), sent(1)]),
        ({}, [sent(1), sent(3), sent(1)]),
        ({"crossed": 1, "phantom": 2}, [sent(1, device="house-1/bed-0001")]),
    ],
)
def test_what_a_device_must_not_send_is_found(
    kinds: dict[str, int], heard: list[Heard]
) -> None:
    assert check_wire(on_the_wire(), heard).counts == kinds


def answer(*seqs: int, status: int = 200, stream: int = STREAM, what: str = "epochs") -> Answer:
    keys = [(stream, seq) for seq in seqs]
    return Answer("house-0", "bed-0001", what, status, whole=status == 200, keys=keys)


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ({}, [answer(), answer(1, 2), answer(status=503), answer(1, 2, 3, 4)]),
        ({}, [answer(status=401), answer(status=504), answer(status=429)]),
        ({}, [answer(1, 2), answer(1, what="predictions"), answer(1, 2, 3)]),
        ({"misanswered": 1}, [answer(status=500)]),
        ({"misanswered": 1}, [answer(status=404)]),
        ({"misanswered": 1}, [answer(status=401, what="token")]),
        ({"crossed": 2}, [answer(1, 2, stream=8)]),
        ({"phantom": 1}, [answer(9)]),
        ({"duplicates": 1}, [answer(1, 1)]),
        ({"vanished": 2}, [answer(1, 2, 3), answer(1), answer(1, 2, 3)]),
    ],
)
def test_what_the_facade_must_not_answer_is_found(
    kinds: dict[str, int], told: list[Answer]
) -> None:
    assert check_answers(OWNERS, [it.key for it in MADE], told).counts == kinds


def test_a_page_that_is_not_all_there_is_may_lack_what_was_shown() -> None:
    part = replace(answer(3, 4), whole=False)
    keys = [it.key for it in MADE]
    assert not check_answers(OWNERS, keys, [answer(1, 2), part, answer(1, 2, 3)]).counts
