"""The breaker against a model of it, and what it is in the small."""

import threading

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from prometheus_client import REGISTRY

from noctis.breaker import Breaker, BreakerOpenError, State, Ticket

FAILURES, FIRST_S, LAST_S, PROBE_S = 3, 1.0, 8.0, 20.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def breaker(clock: Clock, name: str = "test") -> Breaker:
    return Breaker(
        name,
        failures=FAILURES,
        first_s=FIRST_S,
        last_s=LAST_S,
        probe_s=PROBE_S,
        clock=clock,
        share=lambda: 1.0,
    )


class Against(RuleBasedStateMachine):
    """Calls that overlap, succeed, fail or are never heard of again, and time that passes."""

    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = breaker(self.clock)
        self.since = 0  # how many times the state has changed: older calls have no say
        self.ages: dict[int, int] = {}
        self.tickets: list[Ticket] = []
        self.probing: Ticket | None = None
        self.open_until: float | None = None  # None: closed
        self.probe_until = 0.0
        self.failed_in_a_row = 0
        self.opened_in_a_row = 0

    @rule(target=calls)
    def call(self) -> Ticket | None:
        if not self._lets_through():
            with pytest.raises(BreakerOpenError) as caught:
                self.breaker.enter()
            assert 0.0 < caught.value.retry_after_s <= LAST_S
            return None
        ticket = self.breaker.enter()
        assert ticket.probe == (self.open_until is not None)
        if ticket.probe:
            self.probing = ticket
            self.probe_until = self.clock.now + PROBE_S
            self.since += 1
        self.ages[id(ticket)] = self.since
        self.tickets.append(ticket)  # so that no id comes twice
        return ticket

    @rule(ticket=consumes(calls))
    def answered(self, ticket: Ticket | None) -> None:
        if ticket is None:
            return
        self.breaker.succeed(ticket)
        if self._counts(ticket):
            self.failed_in_a_row = self.opened_in_a_row = 0
            if ticket.probe:
                self.open_until = self.probing = None
                self.since += 1

    @rule(ticket=consumes(calls))
    def unanswered(self, ticket: Ticket | None) -> None:
        if ticket is None:
            return
        self.breaker.fail(ticket)
        if not self._counts(ticket):
            return
        self.failed_in_a_row += 1
        if ticket.probe or self.failed_in_a_row == FAILURES:
            pause = min(LAST_S, FIRST_S * 2.0**self.opened_in_a_row)
            self.open_until = self.clock.now + pause
            self.opened_in_a_row += 1
            self.failed_in_a_row = 0
            self.probing = None
            self.since += 1

    @rule(seconds=st.sampled_from([0.25, 1.0, 2.0, 9.0, 21.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def what_it_says_is_what_it_does(self) -> None:
        if self._lets_through():
            self.breaker.check()
        else:
            with pytest.raises(BreakerOpenError, match="next try"):
                self.breaker.check()

    @invariant()
    def the_state_is_the_models(self) -> None:
        closed = State.OPEN if self.open_until is not None else State.CLOSED
        state = closed if self.probing is None else State.HALF_OPEN
        assert self.breaker.state is state
        assert REGISTRY.get_sample_value("noctis_breaker_state", {"breaker": "test"}) == state

    def _lets_through(self) -> bool:
        if self.probing is not None:
            return self.clock.now >= self.probe_until
        return self.open_until is None or self.clock.now >= self.open_until

    def _counts(self, ticket: Ticket) -> bool:
        return self.ages[id(ticket)] == self.since


TestAgainstAModel = Against.TestCase


def test_of_many_threads_one_probes() -> None:
    clock = Clock()
    guarded = breaker(clock, "threads")
    for _ in range(FAILURES):
        guarded.fail(guarded.enter())
    clock.now += FIRST_S
    let_through: list[Ticket] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait(10)
        try:
            let_through.append(guarded.enter())
        except BreakerOpenError:
            pass

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [ticket.probe for ticket in let_through] == [True]


def test_pauses_are_spread_between_half_and_all_of_their_length() -> None:
    clock = Clock()
    pauses = []
    for _ in range(200):
        guarded = Breaker("spread", failures=1, first_s=1.0, clock=clock)
        guarded.fail(guarded.enter())
        with pytest.raises(BreakerOpenError) as caught:
            guarded.check()
        pauses.append(caught.value.retry_after_s)
    assert 0.5 <= min(pauses) < 0.6
    assert 0.9 < max(pauses) <= 1.0


def test_an_answer_from_before_it_opened_shortens_no_pause_and_closes_nothing() -> None:
    clock = Clock()
    guarded = breaker(clock, "late")
    early = guarded.enter()
    for _ in range(FAILURES):
        guarded.fail(guarded.enter())
    clock.now += FIRST_S
    guarded.fail(guarded.enter())
    guarded.succeed(early)
    clock.now += 2 * FIRST_S
    guarded.fail(guarded.enter())
    with pytest.raises(BreakerOpenError) as caught:
        guarded.check()
    assert caught.value.retry_after_s == 4 * FIRST_S
