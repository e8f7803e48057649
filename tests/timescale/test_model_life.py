"""What a model's life leaves in the database, over compressed chunks of a real TimescaleDB."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from companion.drift import Drift
from drift.acknowledged import acknowledge
from evaluation.stored import hold
from inference.model import DEFAULT_FOLDER
from noctis.settings import Settings
from noctis.stages import Stage
from noctis.storage import (
    drift_acknowledgements,
    drift_reports,
    experiments,
    labels,
    night_histograms,
    predictions,
    replays,
)
from noctis.storage.database import Database
from noctis.storage.engine import transaction
from noctis.storage.labels import Label
from noctis.storage.predictions import Prediction
from noctis.storage.timescale import Edition, edition
from registry import fingerprint
from registry.manifest import read_manifest
from tests.integration.fleets import ALL, EPOCHS, Fleet, settle

pytestmark = pytest.mark.postgres
NIGHTS = 12
FLEET = Fleet.of("home", (1,), NIGHTS)


@pytest.fixture
def home(engine: Engine) -> Engine:
    """A device's nights with their stages, all in compressed chunks where there are such."""
    manifest = read_manifest(DEFAULT_FOLDER)
    model = (manifest.name, manifest.version)
    settle(engine, FLEET, fingerprint.read(DEFAULT_FOLDER), model)
    with transaction(engine, 60) as connection:
        if edition(connection) is Edition.FULL:
            done = text("SELECT count(compress_chunk(c, true)) FROM show_chunks('epochs') c")
            assert connection.scalar(done)
    return engine


def within(url: str, work: Callable[[Database], Awaitable[object]]) -> None:
    """Run work on a database of one connection."""
    settings = Settings(database_url=SecretStr(url))
    database = Database(settings, application="noctis-test", connections=1)

    async def main() -> None:
        async with asyncio.timeout(120):
            await work(database)

    try:
        asyncio.run(main())
    finally:
        database.close()


def test_drift_is_reported_on_and_acknowledged(home: Engine, timescale_url: str) -> None:
    home.dispose()  # there is one connection

    async def report(database: Database) -> None:
        part = Drift(database, Path("nowhere"), ALL)
        while await part.turn():
            pass

    within(timescale_url, report)
    with transaction(home, 60) as connection:
        kept = drift_reports.newest("home", connection)
        assert {(it.device, it.body["nights"]) for it in kept} == {
            (None, NIGHTS),
            ("bed-0", NIGHTS),
        }
        assert not night_histograms.waiting(connection, FLEET.first_evening, ALL, limit=9)
        connection.execute(text("UPDATE drift_reports SET verdict = 'drift'"))
        acknowledge("home", connection, "bed-0", by="Ada", reason="a new bed")
    home.dispose()
    within(timescale_url, report)
    with transaction(home, 60) as connection:
        [known] = drift_acknowledgements.of("home", connection, "bed-0")
        [kept_one] = drift_reports.newest("home", connection, "bed-0")
        assert known.by == "Ada"
        assert [it["by"] for it in kept_one.body["acknowledged"]] == ["Ada"]


def test_labels_are_held_against_what_was_served(home: Engine) -> None:
    start = FLEET.first_evening.astimezone(UTC)
    told = [Label(start + timedelta(seconds=30 * n), Stage(n // 8 % 4)) for n in range(EPOCHS)]
    with transaction(home, 60) as connection:
        labels.put("home", connection, "bed-0", told, source="psg", by="Ada")
    found = hold("home", home, "bed-0", model=None, source="psg")
    assert found is not None
    assert found.unmatched == 0
    assert found.tally.matrix.sum() == found.tally.matrix.trace() == EPOCHS


def test_a_replay_stores_beside_what_was_served_and_an_experiment_begins_and_ends(
    home: Engine,
) -> None:
    until = FLEET.first_evening + timedelta(days=2)
    with transaction(home, 60) as connection:
        key = predictions.model_id(connection, "stager", "another")
        replay = replays.add(
            "home", connection, "bed-0", key, since=FLEET.first_evening, until=until
        )
        open_parts = replays.parts(connection, replay, is_open=True)
        for part in open_parts:
            rows = [
                Prediction(part.device_id, part.stream, seq, None, Stage.REM, (0, 0, 0, 1))
                for seq in replays.unjudged(connection, replay, part) or ()
            ]
            assert replays.finish(connection, replay, part, rows) == len(rows)
        done = replays.settle(connection, replay)
        assert (done.state, done.stored) == ("done", 2 * EPOCHS)
        span = FLEET.first_evening, until
        served = predictions.read("home", connection, "bed-0", *span, model=None)
        replayed = predictions.read("home", connection, "bed-0", *span, model="stager@another")
    assert len(served) == len(replayed) == 2 * EPOCHS
    assert {row.stage for row in replayed} == {Stage.REM}
    assert {row.stage for row in served} == set(Stage)
    with transaction(home, 60) as connection:
        experiments.start("home", connection, "eyes", "shadow", model_id=key, share=1.0)
        assert [it.name for it in experiments.running(connection)] == ["eyes"]
        experiments.stop(connection, "eyes")
        assert not experiments.running(connection)
