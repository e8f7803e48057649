"""Recordings that a person declares: whatever comes when, they show what is stored."""

import random
from dataclasses import fields
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from companion import declared
from companion.declared import OverlapError, Span
from companion.nights import find
from inference.night import NIGHT_FOLDER, NightModel
from noctis.figures import figures
from noctis.hypnogram import LABELS
from noctis.storage import recording_changes, recordings
from noctis.storage.engine import transaction
from noctis.storage.errors import NotFoundError
from noctis.storage.recordings import FOUND, Recording
from noctis.storage.timeline import Timeline
from tests.integration.night_lives import EVENING, RECEIVED, Life
from tests.integration.night_turns import (
    LATER,
    ZONE,
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
HOUR = timedelta(hours=1)


def span(begin: float, end: float, kind: str = "study") -> Span:
    """Return what is declared from so many minutes after the evening to so many."""
    return Span(kind, EVENING + begin * HOUR / 60, EVENING + end * HOUR / 60)


def declare(engine: Engine, life: Life, wanted: Span, now: datetime = RECEIVED) -> Recording:
    with transaction(engine, 60) as connection:
        made, is_new = declared.declare(
            "home", connection, life.device.device, wanted, by="user:ann@home", now=now
        )
    assert is_new
    return made


def get(engine: Engine, key: UUID) -> Recording:
    with transaction(engine) as connection:
        return recordings.get("home", connection, key)


def part(line: Timeline, wanted: Span) -> Timeline:
    """Return the epochs of a span."""
    bounds = (wanted.started_at, wanted.ended_at)
    begin, end = (round(it.timestamp() * 1e6) for it in bounds)
    inside = (line.start >= begin) & (line.start < end)
    return Timeline(*(getattr(line, it.name)[inside] for it in fields(Timeline)))


def stages(recording: Recording) -> list[str]:
    return [LABELS[code] for code in recording.night.codes.tolist()]


@settings(max_examples=12, deadline=None, database=None)
@given(seed=st.integers(0, 1 << 32))
def test_any_order_of_arrival_ends_in_what_is_stored_of_the_span(
    home: Engine, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 - test data
    life = born(home, draw)
    begins = sorted(draw.sample(range(-600, 4000), 4))
    off = draw.choice((0, 7 / 60))
    wanted = [span(one + off, other + off, "nap") for one, other in pairwise(begins)]
    wanted += [span(begins[0], begins[0] + 2880)]
    early = [declare(home, life, it) for it in wanted[:2]]
    play(home, life, draw)
    kept = early + [declare(home, life, it) for it in wanted[2:]]
    nights = [it for it in finish(home, life) if it.kind == FOUND]
    zone, line = ZoneInfo(ZONE), life.timeline()
    assert [it.night for it in nights] == find(line, zone, LATER)
    for one, told in zip(wanted, kept, strict=True):
        now = get(home, told.id)
        inside = part(line, one)
        assert now.night == declared.shown(inside, [], one, zone, LATER)
        assert now.figures == figures(now.night.codes)


def test_late_epochs_raise_its_revision_and_no_repeat_does(home: Engine) -> None:
    first, more = asleep(0, 100, minutes=0), asleep(101, 100, minutes=50)
    life = of(home, first, more)
    made = declare(home, life, span(-10, 110))
    assert (made.revision, made.missing, made.night.state) == (1, 240, "closed")
    revisions = []
    for run in (first, first, more):
        arrive(home, life, run)
        settle_down(home, life)
        now = get(home, made.id)
        revisions.append((now.revision, now.missing))
    assert revisions == [(2, 140), (2, 140), (3, 40)]
    assert stages(now)[:20] == ["missing"] * 20
    assert now.kind == "study"
    assert now.declared_by == "user:ann@home"


def test_nights_are_found_as_if_nobody_had_declared_anything(home: Engine) -> None:
    only = asleep(0, 100, minutes=0)
    life = of(home, only)
    declare(home, life, span(0, 50, "night"))
    declare(home, life, span(10, 30, "nap"))
    arrive(home, life, only)
    settle_down(home, life)
    [found] = [it for it in nights_of(home, life) if it.kind == FOUND]
    assert (found.night.started_at, found.figures.tib_min) == (EVENING, 50)
    assert len(nights_of(home, life)) == 3


def test_it_is_open_until_its_end_and_while_more_may_come(home: Engine) -> None:
    only = asleep(0, 100, minutes=0)
    life = of(home, only)
    at = {minutes: EVENING + minutes * HOUR / 60 for minutes in (20, 59, 60, 70, 80)}
    made = declare(home, life, span(0, 60), at[20])
    states = [made.night.state]
    for minutes, moment in at.items():
        if minutes == 70:
            arrive(home, life, only, now=moment)
        turn(home, life, moment)
        states.append(get(home, made.id).night.state)
    assert states == ["open", "open", "open", "closed", "open", "open"]
    turn(home, life, at[70] + timedelta(minutes=15))
    assert get(home, made.id).night.state == "closed"


def test_an_epoch_shows_the_stage_that_its_night_shows(home: Engine) -> None:
    only = asleep(0, 240, minutes=0)
    life = of(home, only)
    made = declare(home, life, span(30, 150))
    arrive(home, life, only)
    assert get(home, made.id).night.staged_by == "live"
    turn(home, life, LATER, model=NightModel.load(NIGHT_FOLDER))
    [night] = [it for it in nights_of(home, life) if it.kind == FOUND]
    now = get(home, made.id)
    assert night.night.staged_by == now.night.staged_by == "night"
    assert stages(now) == stages(night)[60:] + ["missing"] * 60
    assert now.model == night.model


def test_what_was_declared_already_stays_as_it_is(home: Engine) -> None:
    life = of(home, asleep(0, 10, minutes=0))
    made = declare(home, life, span(0, 60))
    with transaction(home) as connection:
        again, is_new = declared.declare(
            "home", connection, life.device.device, span(0, 60), by="user:bob@home", now=LATER
        )
    assert (again, is_new) == (made, False)


@pytest.mark.parametrize("wanted", [(0, 60.5), (-30, 10), (10, 20), (59.5, 90), (-10, 90)])
def test_two_of_a_kind_do_not_overlap(home: Engine, wanted: tuple[float, float]) -> None:
    life = of(home, asleep(0, 10, minutes=0))
    made = declare(home, life, span(0, 60))
    other = declare(home, life, span(100, 160))
    with pytest.raises(OverlapError, match=str(made.id)):
        declare(home, life, span(*wanted))
    with pytest.raises(OverlapError, match=str(made.id)), transaction(home) as connection:
        declared.move("home", connection, other.id, span(*wanted), now=LATER)
    declare(home, life, span(*wanted, "nap"))
    declare(home, life, span(60, 90))


def test_other_bounds_show_other_epochs_under_a_higher_revision(home: Engine) -> None:
    only = asleep(0, 100, minutes=0)
    life = of(home, only)
    arrive(home, life, only)
    made = declare(home, life, span(0, 20))
    with transaction(home) as connection:
        declared.move("home", connection, made.id, span(10, 60), now=LATER)
    now = get(home, made.id)
    assert (now.revision, now.missing, len(now.night.codes)) == (2, 20, 100)
    assert stages(now)[:20] == stages(made)[20:]


def test_one_that_is_deleted_is_gone_and_may_be_declared_anew(home: Engine) -> None:
    life = of(home, asleep(0, 10, minutes=0))
    made = declare(home, life, span(0, 60))
    with transaction(home) as connection:
        recording_changes.delete("home", connection, made.id)
    with pytest.raises(NotFoundError):
        get(home, made.id)
    assert declare(home, life, span(0, 60)).id != made.id
