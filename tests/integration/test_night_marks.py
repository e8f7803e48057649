from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, text

from companion.keeper import Kept, keep
from noctis.storage import (
    marks,
)
from noctis.storage.engine import transaction
from noctis.storage.marks import StaleDevice
from tests.integration.broker_fixtures import eventually
from tests.integration.night_lives import RECEIVED
from tests.integration.night_turns import (
    ZONE,
    arrive,
    asleep,
    home,
    nights_of,
    of,
    settle_down,
    turn,
)

__all__ = ["home"]

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(600)]


def test_an_anchor_that_the_settler_did_not_see_is_looked_at_again(home: Engine) -> None:
    unknown = asleep(0, 100, minutes=0, known=False)
    anchor = asleep(101, 100, minutes=50)
    life = of(home, unknown, anchor)
    with transaction(home, 60) as connection:
        life.store(connection, unknown.frames(life.stream, 64))
    now = datetime.now(UTC)
    with transaction(home, 60) as settler:
        life.judge(settler, life.waiting(), 1)
        arrive(home, life, anchor)
        turn(home, life, now)
    turn(home, life, now)
    [night] = nights_of(home, life)
    assert night.unstaged > 50
    turn(home, life, now + 2 * marks.RIPE)
    [night] = nights_of(home, life)
    assert night.unstaged < 50
    assert not turn(home, life, now + 3 * marks.RIPE)


def test_a_mark_that_changes_while_a_night_is_found_stays(home: Engine) -> None:
    first, later = asleep(0, 60, minutes=0), asleep(61, 60, minutes=40)
    life = of(home, first, later)
    arrive(home, life, first)
    with transaction(home, 60) as companion:
        seen = marks.of_device(companion, life.key)
        arrive(home, life, later)
        marks.clear(companion, life.key, seen)
    with transaction(home, 60) as companion:
        [left] = marks.of_device(companion, life.key)
        marks.clear(companion, life.key, [left])
        assert marks.of_device(companion, life.key) == []
    assert left.until > seen[0].until


def test_a_mark_that_is_being_changed_while_it_is_cleared_stays(home: Engine) -> None:
    only = asleep(0, 60, minutes=0)
    life = of(home, only)
    arrive(home, life, only)
    with transaction(home, 60) as companion:
        seen = marks.of_device(companion, life.key)

    def forget() -> None:
        with transaction(home, 60) as companion:
            marks.clear(companion, life.key, seen)

    with ThreadPoolExecutor(1) as thread:
        with transaction(home, 60) as settler:
            life.judge(settler, sorted(life.stored)[:1], 2)
            forgetting = thread.submit(forget)
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            assert eventually(lambda: settler.scalar(text(waiting)) > 0)
        forgetting.result(timeout=30)
    with transaction(home, 60) as companion:
        assert len(marks.of_device(companion, life.key)) == 1


@pytest.mark.parametrize("order", [1, -1])
def test_a_mark_spans_all_that_changed_on_a_day(home: Engine, order: int) -> None:
    naps = [asleep(61 * index, 60, minutes=100 * index) for index in range(3)]
    life = of(home, *naps)
    for nap in naps[::order]:
        arrive(home, life, nap)
    settle_down(home, life)
    assert len(nights_of(home, life)) == 3


def test_a_mark_is_left_for_new_predictions_alone(home: Engine) -> None:
    only = asleep(0, 60, minutes=0)
    life = of(home, only)
    arrive(home, life, only)
    turn(home, life, RECEIVED)
    with transaction(home, 60) as connection:
        life.judge(connection, sorted(life.stored), 1)
        assert marks.of_device(connection, life.key) == []
        life.judge(connection, sorted(life.stored)[:1], 2)
        assert len(marks.of_device(connection, life.key)) == 1


def test_a_device_that_drains_for_days_is_worked_off_in_steps(home: Engine) -> None:
    days = [asleep(61 * day, 60, minutes=1440 * day) for day in range(10)]
    life = of(home, *days)
    arrive(home, life, *days)
    device, steps = StaleDevice(life.key, life.device, ZONE), []
    while not steps or steps[-1].is_more:
        with transaction(home, 60) as connection:
            steps.append(keep(connection, device, RECEIVED))
    assert [step.changes for step in steps] == [("made",)] * 10
    assert len(nights_of(home, life)) == 10
    with transaction(home, 60) as connection:
        assert keep(connection, device, RECEIVED) == Kept()
