"""Schedules of faults: the same for a seed, of every kind, some two at once."""

from collections import Counter

from tests.chaos.schedule import (
    EVERYONE,
    KINDS,
    MOMENTARY,
    TARGETS,
    Fault,
    as_text,
    draw,
    from_text,
)


def test_a_seed_gives_the_same_schedule_again_and_another_one_another() -> None:
    assert draw(7, 200) == draw(7, 200)
    assert draw(7, 200) != draw(8, 200)


def test_a_schedule_that_was_written_down_is_read_as_it_was() -> None:
    assert from_text(as_text(draw(7, 200))) == draw(7, 200)


def test_a_schedule_holds_as_many_faults_as_asked_for() -> None:
    for count in (1, 2, 50, 333):
        assert sum(len(event.faults) for event in draw(3, count)) == count


def test_every_kind_befalls_everyone_whom_it_may() -> None:
    drawn = [fault for event in draw(1, 3000) for fault in event.faults]
    met = {(fault.kind, fault.target) for fault in drawn}
    assert met == {(kind, target) for kind in KINDS for target in TARGETS[kind]}
    counts = Counter(fault.kind for fault in drawn)
    assert all(250 < counts[kind] < 420 for kind in KINDS), counts
    assert {fault.number for fault in drawn} == set(range(5))


def test_a_tenth_of_the_events_are_two_faults_of_different_parts() -> None:
    events = draw(2, 3000)
    pairs = [event.faults for event in events if len(event.faults) == 2]
    assert 0.07 < len(pairs) / len(events) < 0.13
    assert all(one.target != other.target for one, other in pairs)
    assert all(0 <= other.after_s <= one.lasts_s for one, other in pairs)
    assert not any({one.target, other.target} == {"log", "database"} for one, other in pairs)


def test_lengths_are_spread_evenly_over_their_magnitudes() -> None:
    drawn = [fault for event in draw(4, 3000) for fault in event.faults]
    lengths = [fault.lasts_s for fault in drawn if fault.kind not in MOMENTARY]
    assert min(lengths) >= 0.1
    assert max(lengths) <= 60
    for low, high in ((0.1, 0.64), (0.64, 8.43), (8.43, 60)):
        share = sum(low <= it < high for it in lengths) / len(lengths)
        assert abs(share - {0.1: 0.29, 0.64: 0.4, 8.43: 0.31}[low]) < 0.05


def test_what_is_over_as_it_comes_is_not_waited_for() -> None:
    drawn = draw(1, 200, kinds=("reset", "reload"))
    assert {fault.lasts_s for event in drawn for fault in event.faults} == {0.1}


def test_only_kinds_that_can_be_brought_about_are_drawn() -> None:
    drawn = [
        fault for event in draw(1, 200, kinds=("kill", "freeze")) for fault in event.faults
    ]
    assert {fault.kind for fault in drawn} == {"kill", "freeze"}
    assert {fault.target for fault in drawn} == set(EVERYONE)


def test_a_fault_is_told_in_words() -> None:
    assert str(Fault("kill", "device", 2.0, number=3)) == "kill device 3, 2.0 s"
    assert str(Fault("cut", "worker", 1.5)) == "cut worker from the broker, 1.5 s"
    assert str(Fault("cut", "broker", 1.5)) == "cut broker from all others, 1.5 s"
    reset = Fault("reset", "database", 0.1, link="database")
    assert str(reset) == "reset database of links to all others"
