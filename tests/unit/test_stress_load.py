import time
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, Histogram

from noctis.ages import AGES, observe
from noctis.epoch import decode_frame
from noctis.storage.stress import Stored
from runner.stress.plan import Plan
from runner.stress.tally import Tally

PLAN = Plan.now(7, devices=3, rate=4.0, seconds=5)


def test_devices_take_turns_and_each_counts_its_own_epochs_from_one() -> None:
    sent = [PLAN.frame(epoch) for epoch in range(PLAN.epochs)]
    assert len(sent) == 20
    for place in range(3):
        frames = [decode_frame(it) for at, _, it in sent if at == place]
        assert [it.first for it in frames] == list(range(1, len(frames) + 1))
        assert {it.stream for it in frames} == {PLAN.stream(place)}
    assert len({PLAN.stream(place) for place in range(3)}) == 3


def test_the_epochs_of_a_load_are_too_old_for_every_measure_of_how_fast_the_line_is() -> None:
    registry = CollectorRegistry()
    ages_seen = Histogram("ages", "Ages.", registry=registry, buckets=AGES)
    frames = [decode_frame(PLAN.frame(epoch)[2]) for epoch in range(PLAN.epochs)]
    ends = [it.run.utc_s + int(it.offsets_s[0]) + 30 for it in frames]
    observe(ages_seen, ends)
    assert registry.get_sample_value("ages_count") == 0
    assert max(ends) > time.time() - 86_400
    observe(ages_seen, [time.time()])
    assert registry.get_sample_value("ages_count") == 1


def test_epochs_are_due_at_an_even_pace_whatever_became_of_those_before() -> None:
    assert [PLAN.due_s(it) for it in (0, 1, 19)] == [0.0, 0.25, 4.75]


def test_two_loads_share_no_stream() -> None:
    other = Plan.now(8, devices=3, rate=4.0, seconds=5)
    assert not {PLAN.stream(it) for it in range(3)} & {other.stream(it) for it in range(3)}


def answered(tally: Tally, *, staged: bool = True) -> None:
    """Let all epochs be sent when they are due, and answered 10 and 20 ms later."""
    for epoch in range(PLAN.epochs):
        place, seq, _ = PLAN.frame(epoch)
        due = PLAN.due_s(epoch)
        tally.begin((place, seq), due, due)
        tally.sent += 1
        tally.hear("acknowledged", (place, seq), due + 0.01)
        if staged:
            tally.hear("staged", (place, seq), due + 0.02)


def test_a_load_that_held_says_so_with_times_from_when_epochs_were_due() -> None:
    tally = Tally(PLAN)
    answered(tally)
    report = tally.report(Stored(20, 0), 5.0)
    assert report["verdict"] == {"held": True, "reasons": []}
    assert report["to_acknowledgement"]["p50_ms"] == pytest.approx(10, rel=0.002)
    assert report["to_stage"]["max_ms"] == pytest.approx(20, rel=0.002)
    assert (report["lost"], report["doubled"], report["sent_per_second"]) == (0, 0, 4.0)


def test_the_wait_of_an_epoch_that_was_sent_late_counts() -> None:
    tally = Tally(PLAN)
    tally.begin((0, 1), 1.0, 3.0)
    tally.hear("acknowledged", (0, 1), 3.01)
    report = tally.report(Stored(0, 0), 5.0)
    assert report["to_acknowledgement"]["max_ms"] == pytest.approx(2010, rel=0.002)
    assert any("could not keep up" in it for it in report["verdict"]["reasons"])


def nothing(_tally: Tally) -> None:
    """Let all be as it was."""


@pytest.mark.parametrize(
    ("stored", "harm", "reason"),
    [
        (Stored(18, 0), nothing, "2 epochs that were sent are not stored"),
        (Stored(20, 1), nothing, "1 epochs are stored twice"),
        (Stored(21, 0), nothing, "1 more epochs are stored than were sent"),
        (
            Stored(20, 0),
            lambda it: it.begin((0, 99), 0.0, 0.0),
            "1 epochs were not acknowledged",
        ),
        (Stored(20, 0), lambda it: it.fail((0, 99), "gone"), "1 epochs were not taken"),
    ],
)
def test_what_did_not_hold_is_named(
    stored: Stored, harm: Callable[[Tally], None], reason: str
) -> None:
    tally = Tally(PLAN)
    answered(tally)
    harm(tally)
    verdict = tally.report(stored, 5.0)["verdict"]
    assert not verdict["held"]
    assert any(it.startswith(reason) for it in verdict["reasons"])


def test_an_answer_that_repeats_is_counted_apart() -> None:
    tally = Tally(PLAN)
    answered(tally)
    tally.hear("acknowledged", (0, 1), 9.0)
    tally.hear("acknowledged", (0, 4711), 9.0)
    report = tally.report(Stored(20, 0), 5.0)
    assert (report["acknowledged"], report["heard_again"]) == (20, 1)
