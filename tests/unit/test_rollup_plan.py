from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from noctis.storage.rollup_notes import HOUR, Note, Plan, plan

START = datetime(2026, 3, 1, tzinfo=UTC)

Hours = set[tuple[int, int]]


def hours_of(device: int, since: datetime, until: datetime) -> Hours:
    first, last = (since - START) // HOUR, (until - START) // HOUR
    return {(device, hour) for hour in range(first, last)}


def notes(*spans: tuple[int, int, int]) -> list[Note]:
    return [
        Note(key, device, START + since * HOUR, START + (since + length) * HOUR)
        for key, (device, since, length) in enumerate(spans)
    ]


SPANS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 40), st.integers(1, 30)), max_size=12
)


def planned(made: Plan) -> list[tuple[int, int]]:
    return [hour for span in made.spans for hour in sorted(hours_of(*span))]


@given(spans=SPANS, hours=st.integers(1, 60), by_device=st.booleans())
def test_a_step_is_bounded_and_does_no_hour_twice(
    spans: list[tuple[int, int, int]], hours: int, *, by_device: bool
) -> None:
    found = planned(plan(notes(*spans), hours=hours, by_device=by_device))
    assert len(found) == len(set(found)) <= hours
    assert found or not spans


@given(spans=SPANS, hours=st.integers(1, 60), by_device=st.booleans())
def test_no_noted_hour_is_lost_between_what_is_done_and_what_is_left(
    spans: list[tuple[int, int, int]], hours: int, *, by_device: bool
) -> None:
    given_notes = notes(*spans)
    made = plan(given_notes, hours=hours, by_device=by_device)
    done = set(planned(made))
    kept = [it for it in given_notes if it.id not in made.done] + made.rest
    left = {hour for it in kept for hour in hours_of(it.device_id, it.since, it.until)}
    for device, hour in (
        hour for it in given_notes for hour in hours_of(it.device_id, it.since, it.until)
    ):
        assert (device, hour) in left or (device if by_device else 0, hour) in done


@given(spans=SPANS, hours=st.integers(1, 60), by_device=st.booleans())
def test_steps_come_to_an_end(
    spans: list[tuple[int, int, int]], hours: int, *, by_device: bool
) -> None:
    waiting = notes(*spans)
    for _ in range(400):
        made = plan(waiting, hours=hours, by_device=by_device)
        waiting = [it for it in waiting if it.id not in made.done] + [
            Note(1000 + it.id, it.device_id, it.since, it.until) for it in made.rest
        ]
    assert not waiting


def test_notes_that_touch_are_rolled_up_as_one() -> None:
    made = plan(notes((1, 0, 5), (1, 5, 5), (1, 3, 1), (2, 4, 1)), hours=99, by_device=True)
    assert made.spans == [
        (1, START, START + 10 * HOUR),
        (2, START + 4 * HOUR, START + 5 * HOUR),
    ]
    assert sorted(made.done) == [0, 1, 2, 3]
