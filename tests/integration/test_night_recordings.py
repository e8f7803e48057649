"""Nights from marks: whatever the order of arrival, the same nights with the same figures."""

import random
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from companion.nights import find
from noctis.figures import figures
from noctis.storage import (
    devices,
    recording_changes,
    recordings,
    tenants,
    timeline,
)
from noctis.storage.engine import transaction
from noctis.storage.errors import NotFoundError
from tests.integration.night_lives import EVENING, RECEIVED
from tests.integration.night_turns import (
    LATER,
    ZONE,
    all_of,
    arrive,
    asleep,
    born,
    finish,
    home,
    nights_of,
    of,
    play,
    settle_down,
    turn,
)

__all__ = ["home"]

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(600)]


@settings(max_examples=20, deadline=None, database=None)
@given(seed=st.integers(0, 1 << 32))
def test_any_order_of_arrival_ends_in_the_nights_of_the_pure_function(
    home: Engine, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 - test data
    life = born(home, draw)
    play(home, life, draw)
    kept = finish(home, life)
    expected = find(life.timeline(), ZoneInfo(ZONE), LATER)
    assert [it.night for it in kept] == expected
    assert [it.figures for it in kept] == [figures(it.codes) for it in expected]


def test_late_epochs_that_bridge_two_nights_make_them_one(home: Engine) -> None:
    first = asleep(0, 100, minutes=0)
    bridge = asleep(101, 100, minutes=50)
    second = asleep(202, 100, minutes=100)
    life = of(home, first, bridge, second)
    arrive(home, life, first, second)
    turn(home, life, RECEIVED)
    early, late = nights_of(home, life)
    arrive(home, life, bridge)
    turn(home, life, RECEIVED)
    [whole] = nights_of(home, life)
    assert (whole.id, whole.revision, whole.missing) == (early.id, early.revision + 1, 0)
    assert whole.figures.tib_min == 150
    with transaction(home) as connection:
        gone = recordings.get("home", connection, late.id)
    assert (gone.night.state, gone.replaced_by) == ("withdrawn", early.id)
    assert gone.revision == late.revision + 1


def test_a_deleted_night_stays_hidden_as_it_grows(home: Engine) -> None:
    first, more = asleep(0, 100, minutes=0), asleep(101, 100, minutes=50)
    life = of(home, first, more)
    arrive(home, life, first)
    turn(home, life, RECEIVED)
    [night] = nights_of(home, life)
    with transaction(home) as connection:
        recording_changes.delete("home", connection, night.id)
    arrive(home, life, more)
    turn(home, life, RECEIVED)
    assert nights_of(home, life) == []
    with transaction(home) as connection:
        [hidden] = all_of(connection, life).values()
    assert (hidden.id, hidden.night.ended_at > night.night.ended_at) == (night.id, True)


@pytest.mark.parametrize("deleted", [0, 1])
def test_a_night_that_takes_another_in_is_seen_where_that_one_was(
    home: Engine, deleted: int
) -> None:
    parts = asleep(0, 100, minutes=0), asleep(202, 100, minutes=100)
    bridge = asleep(101, 100, minutes=50)
    life = of(home, *parts, bridge)
    arrive(home, life, *parts)
    turn(home, life, RECEIVED)
    nights = nights_of(home, life)
    told = {"note": "a storm", "tags": ["thunder"], "excluded": False}
    with transaction(home) as connection:
        recording_changes.change("home", connection, nights[1 - deleted].id, **told)
        recording_changes.delete("home", connection, nights[deleted].id)
    arrive(home, life, bridge)
    turn(home, life, RECEIVED)
    [whole] = nights_of(home, life)
    assert whole.id == nights[0].id
    assert (whole.note, whole.tags, whole.excluded) == ("a storm", ("thunder",), False)


def test_a_corrected_clock_takes_epochs_out_of_a_night_which_then_are_two(home: Engine) -> None:
    runs = [asleep(101 * index, 100, minutes=50 * index) for index in range(3)]
    life = of(home, *runs)
    arrive(home, life, *runs)
    settle_down(home, life)
    [whole] = nights_of(home, life)
    with transaction(home) as connection:
        life.shift(connection, runs[1], timedelta(days=-2))
    settle_down(home, life)
    moved, first, second = nights_of(home, life)
    assert moved.night.started_at == runs[1].utc - timedelta(days=2)
    assert (first.id, first.revision) == (whole.id, 2)
    assert [it.figures.tib_min for it in (moved, first, second)] == [50, 50, 50]
    with transaction(home) as connection:
        life.shift(connection, runs[1], timedelta(0))
    settle_down(home, life)
    [again] = nights_of(home, life)
    assert (again.id, again.night) == (whole.id, whole.night)
    with transaction(home) as connection:
        gone = [recordings.get("home", connection, it.id) for it in (moved, second)]
    assert [it.replaced_by for it in gone] == [None, whole.id]


def test_a_night_closes_by_time_alone_and_is_reopened_by_a_sleeper_who_goes_on(
    home: Engine,
) -> None:
    first, later = asleep(0, 100, minutes=0), asleep(101, 100, minutes=60)
    life = of(home, first, later)
    arrive(home, life, first)
    states = []
    for minutes in (0, 14, 16):
        turn(home, life, RECEIVED + timedelta(minutes=minutes))
        states.append(nights_of(home, life)[0].night.state)
    assert states == ["open", "open", "closed"]
    again = RECEIVED + timedelta(hours=5)
    arrive(home, life, later, now=again)
    turn(home, life, again)
    [night] = nights_of(home, life)
    assert (night.night.state, night.revision) == ("open", 3)
    turn(home, life, again + timedelta(minutes=15))
    [night] = nights_of(home, life)
    assert (night.night.state, night.revision) == ("closed", 4)


@pytest.mark.parametrize("is_later", [True, False])
@pytest.mark.parametrize("is_first", [True, False])
def test_epochs_whose_time_nobody_knows_are_of_no_night_until_an_anchor_tells_it(
    home: Engine, *, is_later: bool, is_first: bool
) -> None:
    runs = [
        asleep(0, 100, minutes=0, known=not is_later),
        asleep(101, 100, minutes=2000, known=is_later),
    ]
    unknown, anchor = runs if is_later else runs[::-1]
    life = of(home, *runs)
    counts = []
    for run in (anchor, unknown) if is_first else (unknown, anchor):
        arrive(home, life, run)
        settle_down(home, life)
        counts.append(len(nights_of(home, life)))
    assert counts == ([1, 2] if is_first else [0, 2])
    nights = nights_of(home, life)
    starts = [EVENING, EVENING + timedelta(minutes=2000)]
    assert [it.night.started_at for it in nights] == starts
    assert [it.night.moved for it in nights] == ([100, 0] if is_later else [0, 100])


def test_epochs_that_are_judged_after_their_clock_was_corrected_are_found(
    home: Engine,
) -> None:
    only = asleep(0, 100, minutes=0)
    life = of(home, only)
    with transaction(home, 60) as connection:
        life.store(connection, only.frames(life.stream, 64))
    with transaction(home, 60) as connection:
        life.shift(connection, only, timedelta(days=5))
    settle_down(home, life)
    assert [it.unstaged for it in nights_of(home, life)] == [100]
    with transaction(home, 60) as connection:
        life.judge(connection, life.waiting(), 1)
    settle_down(home, life)
    [night] = nights_of(home, life)
    assert night.night.started_at == EVENING + timedelta(days=5)
    assert night.unstaged < 50


def test_a_night_shows_what_the_newest_model_made_of_it(home: Engine) -> None:
    only = asleep(0, 100, minutes=0)
    life = of(home, only)
    arrive(home, life, only)
    settle_down(home, life)
    [before] = nights_of(home, life)
    with transaction(home, 60) as connection:
        life.judge(connection, sorted(life.stored), 2)
    settle_down(home, life)
    [after] = nights_of(home, life)
    assert (before.model, after.model) == ("model@1", "model@2")
    assert after.revision == before.revision + 1


def test_nobody_sees_another_tenants_nights(home: Engine) -> None:
    only = asleep(0, 60, minutes=0)
    life = of(home, only)
    arrive(home, life, only)
    turn(home, life, RECEIVED)
    [night] = nights_of(home, life)
    with transaction(home) as connection:
        tenants.add(connection, "hotel")
        devices.add("hotel", connection, life.device.device)
        assert recordings.list_of("hotel", connection, life.device.device) == []
        with pytest.raises(NotFoundError, match="night list"):
            recordings.get("hotel", connection, night.id)
        assert recordings.get("home", connection, night.id) == night


def test_epochs_stand_where_the_view_of_the_time_line_puts_them(home: Engine) -> None:
    compared = 0
    for seed in range(8):
        draw = random.Random(seed)  # noqa: S311 - test data
        life = born(home, draw)
        with transaction(home, 60) as connection:
            life.store(connection, life.frames())
            for run in draw.sample(life.stretches, len(life.stretches) // 2):
                life.shift(connection, run, timedelta(minutes=draw.choice((-90, 7, 600))))
            since = EVENING + timedelta(hours=draw.choice((-99, 0, 5)), seconds=17)
            until = since + timedelta(hours=draw.choice((3, 200)))
            query = (
                "SELECT epoch_start, in_bed FROM epoch_timeline WHERE device_id = :device "
                "AND placement <> 'estimated' AND epoch_start >= :since "
                "AND epoch_start < :until ORDER BY epoch_start, stream, seq"
            )
            span = {"device": life.key, "since": since, "until": until}
            expected = [tuple(row) for row in connection.execute(text(query), span)]
            found = timeline.read(connection, life.key, since, until)
        starts = [timeline.moment(it) for it in found.start.tolist()]
        assert list(zip(starts, found.in_bed.tolist(), strict=True)) == expected
        compared += len(expected)
    assert compared > 1000
