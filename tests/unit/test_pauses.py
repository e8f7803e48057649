from hypothesis import given
from hypothesis import strategies as st

from noctis.pauses import jittered


@given(st.integers(0, 10_000), st.floats(0.01, 1), st.floats(2, 900))
def test_a_pause_is_never_zero_and_never_beyond_its_cap(
    attempt: int, first_s: float, last_s: float
) -> None:
    assert 0 < first_s / 2 <= jittered(attempt, first_s=first_s, last_s=last_s) <= last_s


def test_pauses_double_up_to_the_cap_and_spread() -> None:
    longest = [max(jittered(n, first_s=1, last_s=8) for _ in range(300)) for n in range(6)]
    assert [round(it) for it in longest] == [1, 2, 4, 8, 8, 8]
    assert len({jittered(0, first_s=1, last_s=8) for _ in range(50)}) > 40
