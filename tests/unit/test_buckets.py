from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.buckets import Buckets, Rate
from api.guesses import FROM_ANYWHERE, FROM_ONE, Guesses, network

RATE = Rate(burst=3, per_second=0.5)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Iterator[Clock]:
    return Clock()


def test_a_burst_goes_at_once_and_then_one_by_one(clock: Clock) -> None:
    buckets = Buckets(clock=clock)
    assert [buckets.spend("a", RATE).left for _ in range(3)] == [2, 1, 0]
    refused = buckets.spend("a", RATE)
    assert (refused.left, refused.wait_s) == (0, pytest.approx(2))
    clock.now += 2.001
    assert buckets.spend("a", RATE).wait_s == 0
    assert buckets.spend("a", RATE).wait_s == pytest.approx(2, abs=0.01)
    assert buckets.spend("b", RATE).wait_s == 0


def test_what_costs_more_than_a_bucket_holds_waits_for_a_full_one_and_leaves_a_debt(
    clock: Clock,
) -> None:
    buckets = Buckets(clock=clock)
    buckets.spend("a", RATE)
    assert buckets.spend("a", RATE, 5).wait_s == pytest.approx(2)
    clock.now += 2.001
    assert buckets.spend("a", RATE, 5).wait_s == 0
    assert buckets.spend("a", RATE).wait_s == pytest.approx((1 + 2) * 2, abs=0.01)


def test_the_keys_unused_longest_are_forgotten(clock: Clock) -> None:
    buckets = Buckets(most=2, clock=clock)
    for key in ("a", "b", "a", "c"):
        for _ in range(3):
            buckets.spend(key, RATE)
    assert buckets.spend("a", RATE).wait_s > 0
    assert buckets.spend("b", RATE).wait_s == 0


@given(
    gaps=st.lists(st.floats(0, 5), min_size=1, max_size=60),
    burst=st.integers(1, 9),
    per_second=st.floats(0.1, 20),
)
def test_no_more_is_let_through_than_a_burst_and_the_rate(
    gaps: list[float], burst: int, per_second: float
) -> None:
    clock = Clock()
    rate = Rate(burst, per_second)
    buckets = Buckets(clock=clock)
    began, let_through = clock.now, 0
    for gap in gaps:
        clock.now += gap
        spent = buckets.spend("a", rate)
        let_through += spent.wait_s == 0
        assert let_through <= burst + (clock.now - began) * per_second + 1e-6
        if spent.wait_s:
            clock.now += spent.wait_s + 1e-6
            assert buckets.spend("a", rate).wait_s == 0
            let_through += 1


def test_a_stranger_closes_a_login_for_his_address_alone(clock: Clock) -> None:
    guesses = Guesses(clock)
    for _ in range(FROM_ONE.burst):
        assert guesses.begin("ann@home", "192.0.2.1") == 0
    assert guesses.begin("ann@home", "192.0.2.1") == 60
    assert guesses.begin("ann@home", "192.0.2.2") == 0
    assert guesses.begin("bob@home", "192.0.2.1") == 0
    clock.now += 61
    assert guesses.begin("ann@home", "192.0.2.1") == 0


def test_a_crowd_cannot_lock_out_who_logged_in_from_there_before(clock: Clock) -> None:
    guesses = Guesses(clock)
    assert guesses.begin("ann@home", "198.51.100.7") == 0
    guesses.right("ann@home", "198.51.100.7")
    tried = [guesses.begin("ann@home", f"192.0.2.{each}") for each in range(250)]
    assert tried.count(0) == FROM_ANYWHERE.burst
    assert guesses.begin("ann@home", "203.0.113.9") > 0
    assert guesses.begin("ann@home", "198.51.100.7") == 0


def test_right_passwords_cost_nothing(clock: Clock) -> None:
    guesses = Guesses(clock)
    for _ in range(1000):
        assert guesses.begin("ann@home", "192.0.2.1") == 0
        guesses.right("ann@home", "192.0.2.1")


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
        ("a socket", "a socket"),
    ],
)
def test_a_stranger_has_one_ipv4_address_or_64_bits_of_ipv6(address: str, counted: str) -> None:
    assert network(address) == counted
