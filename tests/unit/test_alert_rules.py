"""The life of an alert, whatever a device does and whenever whoever watches it is cut off."""

from collections.abc import Sequence
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noctis.alert_words import HONEST, message
from noctis.alerts import DEFAULTS, LIMITS, RULES, Rule, Sight, Watch, event_type, step

BEGIN = datetime(2026, 11, 21, 22, tzinfo=UTC)
Event = tuple[str, datetime]

rules = st.builds(
    Rule,
    raise_after=st.integers(1, 4),
    clear_after=st.integers(1, 4),
    cooldown_s=st.sampled_from([0, 60, 600]),
)
USUAL = (*(Sight.BAD, Sight.GOOD) * 3, Sight.UNKNOWN, Sight.OFF)
looks = st.lists(
    st.tuples(st.sampled_from(USUAL), st.integers(1, 120)), min_size=16, max_size=40
)
"""What is seen, and how many seconds after the look before."""

at_once = Rule(raise_after=1, clear_after=1)


def play(
    rule: Rule, seen: Sequence[tuple[Sight, int]], *, ends: frozenset[int] = frozenset()
) -> list[Event]:
    """Return the transitions; at ``ends`` all is forgotten but what is stored of a watch."""
    watch, at = Watch(), BEGIN
    events: list[Event] = []
    for number, (sight, after_s) in enumerate(seen):
        at += timedelta(seconds=after_s)
        watch, change = step(rule, watch, sight, at)
        if change is not None:
            events.append((change, at))
        if number in ends:
            watch = Watch() if watch.is_at_rest(rule, at) else Watch(*astuple(watch))
    return events


def at(seen: Sequence[tuple[Sight, int]], number: int) -> datetime:
    return BEGIN + timedelta(seconds=sum(after_s for _, after_s in seen[: number + 1]))


@given(rules, looks)
def test_no_alert_is_raised_while_one_is_open_and_none_is_cleared_that_is_not(
    rule: Rule, seen: list[tuple[Sight, int]]
) -> None:
    changes = [change for change, _ in play(rule, seen)]
    assert changes == ["raised", "cleared"] * (len(changes) // 2) + ["raised"] * (
        len(changes) % 2
    )


@given(rules, looks)
def test_no_alert_is_raised_within_the_cooldown_of_the_last_one(
    rule: Rule, seen: list[tuple[Sight, int]]
) -> None:
    for (_, before), (change, after) in pairwise(play(rule, seen)):
        if change == "raised":
            assert after >= before + timedelta(seconds=rule.cooldown_s)


@given(rules, looks)
def test_an_alert_is_raised_and_cleared_only_after_looks_enough(
    rule: Rule, seen: list[tuple[Sight, int]]
) -> None:
    moments = {at(seen, n): n for n in range(len(seen))}
    for change, moment in play(rule, seen):
        last = moments[moment]
        if seen[last][0] is Sight.OFF:
            continue
        for_it, against, least = (
            (Sight.BAD, Sight.GOOD, rule.raise_after)
            if change == "raised"
            else (Sight.GOOD, Sight.BAD, rule.clear_after)
        )
        told = [sight for sight, _ in seen[: last + 1] if sight is not Sight.UNKNOWN]
        run = told[-least:]
        assert run == [for_it] * least
        assert against not in run


@given(rules, looks, st.frozensets(st.integers(0, 39)))
def test_whoever_is_cut_off_anywhere_goes_on_as_if_he_had_never_stopped(
    rule: Rule, seen: list[tuple[Sight, int]], ends: frozenset[int]
) -> None:
    assert play(rule, seen, ends=ends) == play(rule, seen)


@given(rules, looks)
def test_what_nobody_can_tell_changes_nothing(
    rule: Rule, seen: list[tuple[Sight, int]]
) -> None:
    told = [
        (sight, int((at(seen, n) - BEGIN).total_seconds()))
        for n, (sight, _) in enumerate(seen)
        if sight is not Sight.UNKNOWN
    ]
    moments = [0, *(moment for _, moment in told)]
    without = [
        (sight, after - before)
        for (sight, _), (before, after) in zip(told, pairwise(moments), strict=True)
    ]
    assert play(rule, without) == play(rule, seen)


def test_an_alert_that_keeps_being_bad_is_raised_once_and_again_after_the_cooldown() -> None:
    rule = Rule(raise_after=2, clear_after=2, cooldown_s=100)
    seen = [(Sight.BAD, 10)] * 4 + [(Sight.GOOD, 10)] * 2 + [(Sight.BAD, 10)] * 20
    told = [
        (change, int((moment - BEGIN).total_seconds())) for change, moment in play(rule, seen)
    ]
    assert told == [("raised", 20), ("cleared", 60), ("raised", 160)]


def test_a_rule_that_is_switched_off_clears_at_once() -> None:
    rule = Rule(clear_after=9)
    assert [it for it, _ in play(rule, [(Sight.BAD, 1), (Sight.OFF, 1), (Sight.OFF, 1)])] == [
        "raised",
        "cleared",
    ]


@pytest.mark.parametrize("name", RULES)
def test_every_rule_has_a_default_within_its_limits_and_words_for_both_ends(name: str) -> None:
    known = next(it for it in RULES if it == name)
    rule = DEFAULTS[known]
    assert LIMITS[known][0] <= rule.threshold <= LIMITS[known][1]
    raised = message(known, "raised", rule, "bedroom", rule.threshold)
    cleared = message(known, "cleared", rule, "bedroom", 0)
    assert raised != cleared
    assert "bedroom" in raised
    assert "bedroom" in cleared
    assert "{" not in raised + cleared
    assert event_type(known, "raised") == known
    assert event_type(known, "cleared") == f"{known}_cleared"


def test_what_is_said_of_breathing_always_says_what_it_is_not() -> None:
    rule = DEFAULTS["no_breathing"]
    for change in ("raised", "cleared"):
        for why in ("", "off", "absent"):
            said = message("no_breathing", change, rule, "cot", 300, why=why)
            assert said.endswith(HONEST)
    assert "not a medical device" in HONEST
    assert "for 5 minutes" in message("no_breathing", "raised", rule, "cot", 300)
