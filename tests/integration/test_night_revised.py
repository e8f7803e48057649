"""Closed nights are the night-stager's: a pure function of their epochs and of the model."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import randbits
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sqlalchemy import Engine, text

from companion.keeper import RECENT, keep
from companion.nights import find, rows_of
from companion.revision import NightStager
from inference.night import NIGHT_FOLDER, NIGHT_NAME, NightModel, stage_whole_night
from noctis.epoch import Frame, Run
from noctis.features import COUNT
from noctis.hypnogram import MISSING, OUT_OF_BED, UNSTAGED
from noctis.identity import DeviceId
from noctis.stages import Stage
from noctis.storage import (
    devices,
    marks,
    night_histograms,
    predictions,
    recordings,
    tenants,
    timeline,
)
from noctis.storage.engine import create, transaction
from noctis.storage.ingest import Received, ingest
from noctis.storage.predictions import Prediction
from noctis.storage.recordings import Recording
from noctis.storage.runs import signed
from noctis.vitals import vitals
from registry.store import Registry
from tests.integration.conftest import fresh_database
from tests.models import write_night_model
from tests.nights import made_up_rows

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(120)]

EVENING = datetime(2026, 3, 27, 22, tzinfo=UTC)
LATER = EVENING + timedelta(days=2)
EPOCHS = 300


class Bed:
    """A device with a made-up night, and what becomes of it."""

    def __init__(self, engine: Engine, *, seed: int = 1) -> None:
        self.engine = engine
        self.name = DeviceId("home", f"bed-{randbits(64):016x}")
        self.stream = randbits(64)
        self.rows = made_up_rows(EPOCHS, seed=seed)
        with transaction(engine) as connection:
            self.key = devices.add("home", connection, self.name.device).id

    def arrive(self, begin: int = 0, end: int = EPOCHS) -> None:
        """Let epochs be stored and judged light, live."""
        run = Run(0, 0, 1, 5, int(EVENING.timestamp()))
        rows = self.rows[begin:end]
        parts = [
            Frame(self.stream, 1 + begin + at, 0, run, it[:, :COUNT], it[:, COUNT] == 1)
            for at, it in ((at, rows[at : at + 64]) for at in range(0, len(rows), 64))
        ]
        judged = [
            Prediction(
                self.key,
                self.stream,
                1 + at,
                EVENING + timedelta(seconds=30 * at),
                Stage.LIGHT,
                (0.1, 0.7, 0.1, 0.1),
            )
            for at in range(begin, end)
        ]
        with transaction(self.engine, 60) as connection:
            letters = [Received(self.name, it, backlog=True) for it in parts]
            assert {it.code for it in ingest(connection, letters, now=LATER)} == {0}
            live = predictions.model_id(connection, "stager", "1")
            predictions.store(connection, live, judged)

    def turn(self, model: NightModel | None, now: datetime = LATER + timedelta(days=1)) -> None:
        with transaction(self.engine, 60) as connection:
            marks.note_closing(connection, now)
            stale = marks.stale_devices(connection, range(64))
            for device in stale:
                keep(connection, device, now, model)

    def night(self) -> Recording:
        with transaction(self.engine) as connection:
            [only] = recordings.list_of("home", connection, self.name.device)
        return only

    def live(self) -> list[tuple[Any, ...]]:
        with transaction(self.engine) as connection:
            query = "SELECT * FROM predictions WHERE stream = :stream ORDER BY seq, model_id"
            found = connection.execute(text(query), {"stream": signed(self.stream)})
            return [tuple(row) for row in found]


@pytest.fixture(scope="module")
def home(postgres: str, migrated: str) -> Iterator[Engine]:
    with fresh_database(postgres, migrated) as url:
        engine = create(url, application="noctis-test")
        with transaction(engine) as connection:
            tenants.add(connection, "home")
        yield engine
        engine.dispose()


@pytest.fixture(scope="module")
def model() -> NightModel:
    return NightModel.load(NIGHT_FOLDER)


def test_a_closed_night_is_what_the_night_stager_makes_of_its_epochs(
    home: Engine, model: NightModel
) -> None:
    bed = Bed(home)
    bed.arrive()
    live = bed.live()
    bed.turn(model, LATER)
    opened = bed.night()
    assert (opened.night.state, opened.night.staged_by, opened.model) == (
        "open",
        "live",
        "stager@1",
    )
    bed.turn(model)
    closed = bed.night()
    occupied = np.flatnonzero(bed.rows[:, COUNT])
    rows = bed.rows[occupied[0] : occupied[-1] + 1]
    stages = stage_whole_night(model, rows).stages
    meant = np.where(stages < 0, UNSTAGED, stages)
    meant[rows[:, COUNT] == 0] = OUT_OF_BED
    assert closed.night.codes.tolist() == meant.tolist()
    assert len(set(meant.tolist())) > 3
    assert (closed.night.state, closed.night.staged_by) == ("closed", "night")
    assert closed.model == model.full_name
    assert closed.revision == opened.revision + 1
    assert closed.figures != opened.figures
    assert bed.live() == live


def test_a_night_is_staged_again_only_where_something_came(
    home: Engine, model: NightModel
) -> None:
    bed = Bed(home, seed=2)
    bed.arrive(0, 100)
    bed.arrive(140, EPOCHS)
    bed.turn(model)
    first = bed.night()
    assert (first.night.codes == MISSING).sum() == 40
    bed.arrive(0, 100)
    bed.turn(model)
    assert bed.night() == first
    bed.arrive(100, 140)
    bed.turn(model)
    second = bed.night()
    assert second.revision == first.revision + 1
    assert (second.night.codes == MISSING).sum() == 0
    before, after = first.night.codes, second.night.codes
    outside = np.r_[0:90, 150 : len(before)]
    assert (before[outside] != after[outside]).any(), "epochs beside the gap are seen anew"


def test_without_a_night_stager_a_night_keeps_its_live_stages(home: Engine) -> None:
    bed = Bed(home, seed=3)
    bed.arrive()
    bed.turn(None)
    night = bed.night()
    assert (night.night.state, night.night.staged_by, night.model) == (
        "closed",
        "live",
        "stager@1",
    )
    with transaction(home) as connection:
        epochs = timeline.read(connection, bed.key, EVENING, LATER)
        ends = night.night.started_at, night.night.ended_at
        rows = timeline.codes(connection, bed.key, *ends)
    [live] = find(epochs, ZoneInfo("UTC"), LATER + timedelta(days=1))
    measured = vitals(live.codes, rows_of(live, rows))
    assert measured.heart_rate_bpm is not None
    assert night.night == replace(live, **asdict(measured))


def test_a_model_that_fails_on_a_night_leaves_it_live(
    home: Engine, model: NightModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed = Bed(home, seed=4)
    bed.arrive()
    with monkeypatch.context() as patch:
        patch.setattr(NightModel, "predict", lambda *_: 1 / 0)
        bed.turn(model)
    assert bed.night().night.staged_by == "live"


def test_nights_that_closed_without_a_night_stager_are_staged_once_there_is_one(
    home: Engine, model: NightModel
) -> None:
    bed = Bed(home, seed=5)
    bed.arrive()
    bed.turn(None)
    bed.turn(model)
    assert bed.night().night.staged_by == "live", "nothing has marked it"
    with transaction(home) as connection:
        marks.note_unrevised(connection, LATER)
    bed.turn(model)
    assert bed.night().night.staged_by == "live", "it is over for too long"
    with transaction(home) as connection:
        marks.note_unrevised(connection, LATER - RECENT)
    bed.turn(model)
    assert bed.night().night.staged_by == "night"
    with transaction(home) as connection:
        marks.note_unrevised(connection, LATER - RECENT)
        assert bed.key not in [it.id for it in marks.stale_devices(connection, range(64))]


def test_drift_sees_what_was_told_live_and_not_the_revision(
    home: Engine, model: NightModel
) -> None:
    bed = Bed(home, seed=6)
    bed.arrive()
    bed.turn(model)
    evening = bed.night().night.evening
    with transaction(home) as connection:
        since, until = evening, evening + timedelta(days=1)
        tenant, device = bed.name.tenant, bed.name.device
        for it in night_histograms.waiting_of(
            tenant, connection, device, since, until, limit=9
        ):
            night_histograms.make(connection, it)
        [summary] = night_histograms.read(
            tenant, connection, device, since, until, model="stager@1"
        )
        [stranger] = night_histograms.read(
            tenant, connection, device, since, until, model=model.full_name
        )
    in_bed = int((bed.rows[:, COUNT] == 1).sum())
    assert summary.stages.tolist() == [0, in_bed, 0, 0]
    assert summary.confidence == pytest.approx(0.7)
    assert stranger.stages.tolist() == [0, 0, 0, 0]


def test_the_champion_of_its_name_stages_and_a_broken_one_leaves_the_former(
    tmp_path: Path,
) -> None:
    stager = NightStager(tmp_path)
    shipped = stager.look()
    assert shipped is not None
    assert shipped is stager.look()
    registry = Registry(tmp_path, NIGHT_NAME)
    for version in ("v1", "v2"):
        write_night_model(tmp_path / version, version)
        registry.publish(tmp_path / version)
    registry.promote("champion", "v1")
    mine = stager.look()
    assert mine is not None
    assert mine.full_name == "night-stager@v1"
    registry.promote("champion", "v2")
    (registry.version_folder("v2") / "model.onnx").write_bytes(b"no graph")
    assert stager.look() is mine
    stand_in = NightStager(tmp_path).look()
    assert stand_in is not None
    assert stand_in.version == "v1"
