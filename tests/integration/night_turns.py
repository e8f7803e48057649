"""The companion finds the nights of a made-up life, turn by turn."""

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from secrets import randbits

import pytest
from sqlalchemy import Connection, Engine

from companion.keeper import keep
from inference.night import NightModel
from noctis.identity import DeviceId
from noctis.storage import (
    devices,
    marks,
    predictions,
    recordings,
    tenants,
)
from noctis.storage.engine import create, transaction
from noctis.storage.recording_rows import Recording, recording_of, selected
from tests.integration.conftest import fresh_database
from tests.integration.night_lives import EVENING, RECEIVED, Life, Stretch, stretches

ZONE = "Europe/Berlin"
LATER = datetime(2030, 1, 1, tzinfo=UTC)


class KilledError(Exception):
    """The companion ends between its work and its commit."""


@pytest.fixture(scope="module")
def home(postgres: str, migrated: str) -> Iterator[Engine]:
    with fresh_database(postgres, migrated) as url:
        engine = create(url, application="noctis-test")
        with transaction(engine) as connection:
            tenants.add(connection, "home")
            for version in ("1", "2"):
                predictions.model_id(connection, "model", version)
        yield engine
        engine.dispose()


def born(engine: Engine, draw: random.Random) -> Life:
    name = DeviceId("home", f"bed-{randbits(64):016x}")
    with transaction(engine) as connection:
        key = devices.add("home", connection, name.device, time_zone=ZONE).id
    return Life(name, key, stretches(draw), randbits(64), (1, 2))


def all_of(connection: Connection, life: Life) -> dict[object, Recording]:
    """Return a device's recordings, the withdrawn ones too."""
    rows = connection.execute(selected().where(recordings.recordings.c.device_id == life.key))
    found = [recording_of(row) for row in rows]
    return {it.id: it for it in found}


@contextmanager
def watched(connection: Connection, life: Life) -> Iterator[None]:
    """Check that each revision rises by one exactly where something visible changed."""
    before = all_of(connection, life)
    yield
    after = all_of(connection, life)
    assert set(before) <= set(after)
    for key, now in after.items():
        if key not in before:
            assert now.revision == 1
            continue
        was = before[key]
        changed = (was.night, was.replaced_by) != (now.night, now.replaced_by)
        assert now.revision - was.revision == int(changed)


def turn(
    engine: Engine,
    life: Life,
    now: datetime,
    *,
    killed: bool = False,
    model: NightModel | None = None,
) -> bool:
    """Do one turn of the companion for a device; tell whether marks were left before it."""
    with suppress(KilledError), transaction(engine, 60) as connection:
        while marks.note_moved(connection, now):
            pass
        marks.note_closing(connection, now)
        stale = [it for it in marks.stale_devices(connection, range(64)) if it.id == life.key]
        with watched(connection, life):
            for device in stale:
                keep(connection, device, now, model)
        if killed:
            raise KilledError
        return bool(stale)
    return True


def play(engine: Engine, life: Life, draw: random.Random) -> None:
    """Let frames, predictions, corrections and turns come in any order, some twice."""
    frames = life.frames(draw.choice((16, 64)))
    due = frames + [frame for frame in frames if draw.random() < 0.2]
    draw.shuffle(due)
    while due:
        batch = [due.pop() for _ in range(min(len(due), draw.randint(1, 8)))]
        with transaction(engine, 60) as connection:
            life.store(connection, batch)
            what = draw.random()
            if what < 0.6:
                life.judge(connection, life.waiting(), life.models[0])
            elif what < 0.8 and life.judged:
                life.judge(connection, draw.sample(sorted(life.judged), 1), life.models[1])
        if draw.random() < 0.5:
            turn(engine, life, RECEIVED, killed=draw.random() < 0.3)
        if draw.random() < 0.15:
            run, hours = life.run_of(batch[0]), draw.choice((-30, -1, 0, 1, 5))
            with transaction(engine) as connection:
                life.shift(connection, run, timedelta(hours=hours))


def finish(engine: Engine, life: Life) -> list[Recording]:
    """Let everything be judged and every mark be worked off, long after the last epoch."""
    with transaction(engine, 60) as connection:
        life.judge(connection, life.waiting(), life.models[0])
    while turn(engine, life, LATER):
        pass
    return nights_of(engine, life)


def of(engine: Engine, *made: Stretch) -> Life:
    """Return a device of its own that makes these runs."""
    life = born(engine, random.Random(0))  # noqa: S311 - test data
    life.stretches = list(made)
    return life


def asleep(run_seq: int, epochs: int, *, minutes: float, known: bool = True) -> Stretch:
    """Return a run of epochs in bed that begins so many minutes after the evening."""
    behind = timedelta(minutes=minutes)
    utc = EVENING + behind if known else None
    return Stretch(run_seq, 1, int(behind.total_seconds()), utc, [True] * epochs)


def arrive(engine: Engine, life: Life, *runs: Stretch, now: datetime = RECEIVED) -> None:
    """Let all frames of these runs be stored and judged."""
    with transaction(engine, 60) as connection:
        frames = [frame for run in runs for frame in run.frames(life.stream, 64)]
        life.store(connection, frames, now)
        life.judge(connection, life.waiting(), 1)


def settle_down(engine: Engine, life: Life) -> None:
    """Let turns work off every mark."""
    while turn(engine, life, RECEIVED):
        pass


def nights_of(engine: Engine, life: Life) -> list[Recording]:
    with transaction(engine) as connection:
        return recordings.list_of("home", connection, life.device.device)[::-1]
