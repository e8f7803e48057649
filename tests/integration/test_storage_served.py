from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine

from noctis.stages import Stage
from noctis.storage import (
    census,
    devices,
    export,
    marks,
    predictions,
    timeline,
)
from noctis.storage.engine import transaction
from noctis.storage.predictions import Origin, Prediction, Stretch
from tests.integration.settling_fixtures import (
    COT,
    STREAM,
    frame,
    home,
    look,
    model,
    send,
    settle,
    start,
)

__all__ = ["home", "start"]

pytestmark = pytest.mark.postgres


def test_stages_are_read_in_order_with_the_newest_model_first(
    home: Engine, start: datetime
) -> None:
    send(home, frame(1, 3, utc=start))
    found = look(home, model(home))
    settle(home, model(home), found)
    newer = [Prediction(found[0].device_id, STREAM, 2, found[0].epoch_start[1], None, None)]
    until = start + timedelta(hours=1)
    with transaction(home) as connection:
        predictions.store(connection, predictions.model_id(connection, "tcn", "2"), newer)
        rows = predictions.read("home", connection, "bed", start, until)
        old = predictions.read("home", connection, "bed", start, until, model="tcn@1")
        part = predictions.read("home", connection, "bed", start + timedelta(seconds=30), until)
    assert [row.seq for row in rows] == [1, 2, 3]
    assert [row.model for row in rows] == ["tcn@1", "tcn@2", "tcn@1"]
    assert [row.stage for row in rows] == [Stage.REM, None, Stage.REM]
    assert rows[1].probabilities is None
    assert rows[0].probabilities == pytest.approx((0.1, 0.2, 0.3, 0.4))
    assert (rows[0].epoch_start, rows[0].stream) == (start, STREAM)
    assert [row.model for row in old] == ["tcn@1"] * 3
    assert [row.seq for row in part] == [2, 3]


def say(
    engine: Engine, version: str, stage: Stage, found: Stretch, origin: Origin = Origin.SERVED
) -> int:
    """Store a version's judgement of every epoch of a stretch; return how many are new."""
    rows = [
        Prediction(found.device_id, found.stream, int(seq), begin, stage, (0.4, 0.3, 0.2, 0.1))
        for seq, begin in zip(found.seq, found.epoch_start, strict=True)
    ]
    key = model(engine, version)
    with transaction(engine) as connection:
        return predictions.store(connection, key, rows, origin=origin)


def shown(engine: Engine, start: datetime) -> list[tuple[str, Stage | None]]:
    """Return what people see of the hour since ``start``, wherever they look."""
    span = start, start + timedelta(hours=1)
    with transaction(engine) as connection:
        key = devices.get("home", connection, "bed").id
        rows = predictions.read("home", connection, "bed", *span)
        line = timeline.read(connection, key, *span)
        counted = census.count("home", connection, "bed").stages
    judged = [page.judged for page in export.pages("home", engine, "bed", stages=True)]
    seen = [(row.model, row.stage) for row in rows]
    exported = [
        (name, Stage(stage))
        for it in judged
        if it is not None
        for name, stage in zip(it.model, it.stage.tolist(), strict=True)
        if name
    ]
    assert exported == seen
    drawn = line.stage[line.stage != timeline.NO_STAGE].tolist()
    assert drawn == [stage for _, stage in seen]
    assert len(counted) >= len(seen)
    return seen


@pytest.mark.parametrize("origin", [Origin.SHADOW, Origin.REPLAY])
def test_what_was_not_served_is_seen_nowhere_and_marks_no_night(
    home: Engine, start: datetime, origin: Origin
) -> None:
    send(home, frame(1, 3, utc=start))
    [found] = look(home, model(home, "1"))
    assert say(home, "2", Stage.REM, found, origin) == 3
    assert shown(home, start) == []
    with transaction(home) as connection:
        assert marks.of_device(connection, found.device_id) == []
        assert census.count("home", connection, "bed").stages == []
    assert say(home, "1", Stage.WAKE, found) == 3
    assert say(home, "3", Stage.REM, found, origin) == 3
    assert shown(home, start) == [("tcn@1", Stage.WAKE)] * 3
    with transaction(home) as connection:
        unseen = predictions.read(
            "home", connection, "bed", start, start + timedelta(hours=1), model="tcn@3"
        )
    assert [row.stage for row in unseen] == [Stage.REM] * 3


@pytest.mark.parametrize("origin", [Origin.SHADOW, Origin.REPLAY])
def test_a_version_that_serves_what_it_judged_unseen_keeps_its_judgement_and_shows_it_once(
    home: Engine, start: datetime, origin: Origin
) -> None:
    send(home, frame(1, 3, utc=start))
    [found] = look(home, model(home, "2"))
    assert say(home, "2", Stage.DEEP, found, origin) == 3
    say(home, "1", Stage.WAKE, found)
    [again] = look(home, model(home, "2"))
    assert again.seq.tolist() == found.seq.tolist()
    with transaction(home) as connection:
        noted = marks.of_device(connection, found.device_id)
        marks.clear(connection, found.device_id, noted)
    assert say(home, "2", Stage.REM, again) == 3
    assert shown(home, start) == [("tcn@2", Stage.DEEP)] * 3
    with transaction(home) as connection:
        assert len(marks.of_device(connection, found.device_id)) == len(noted)
        marks.clear(connection, found.device_id, marks.of_device(connection, found.device_id))
    assert say(home, "2", Stage.REM, again) == 0
    assert say(home, "2", Stage.REM, again, origin) == 0
    assert shown(home, start) == [("tcn@2", Stage.DEEP)] * 3
    with transaction(home) as connection:
        assert marks.of_device(connection, found.device_id) == []
    assert look(home, model(home, "2")) == []


def test_the_version_that_came_to_serve_an_epoch_last_is_seen_whichever_is_older(
    home: Engine, start: datetime
) -> None:
    older = model(home, "1")
    send(home, frame(1, 3, utc=start))
    [found] = look(home, older)
    say(home, "2", Stage.REM, found)
    say(home, "1", Stage.WAKE, found)
    assert shown(home, start) == [("tcn@1", Stage.WAKE)] * 3


@pytest.mark.parametrize("backlog", [False, True])
def test_whom_another_version_serves_gets_only_what_nobody_served(
    home: Engine, start: datetime, *, backlog: bool
) -> None:
    send(home, frame(1, 4, utc=start), backlog=backlog)
    send(home, frame(1, 4, utc=start, stream=9), device=COT, backlog=backlog)
    for found in look(home, model(home, "1")):
        served = replace(found, seq=found.seq[:2], epoch_start=found.epoch_start[:2])
        say(home, "1", Stage.WAKE, served)
    with transaction(home) as connection:
        found_now = predictions.unsettled(
            connection, model(home, "2"), others=lambda device: device == COT
        )
    assert {one.stream: one.seq.tolist() for one in found_now} == {
        STREAM: [1, 2, 3, 4],
        9: [3, 4],
    }


def test_two_who_serve_what_is_unseen_at_once_show_it_once(
    home: Engine, start: datetime
) -> None:
    send(home, frame(1, 3, utc=start))
    [found] = look(home, model(home, "1"))
    say(home, "1", Stage.LIGHT, found, Origin.SHADOW)
    with ThreadPoolExecutor(4) as pool:
        new = list(pool.map(lambda stage: say(home, "1", stage, found), list(Stage)))
    assert sorted(new) == [0, 0, 0, 3]
    assert shown(home, start) == [("tcn@1", Stage.LIGHT)] * 3


def test_stages_of_untimed_epochs_appear_once_the_clock_is_learnt(
    home: Engine, start: datetime
) -> None:
    send(home, frame(1, 2, utc=None, tick_s=40))
    settle(home, model(home), look(home, model(home)))
    send(home, frame(4, 1, run_seq=3, utc=start + timedelta(seconds=100), tick_s=140))
    with transaction(home) as connection:
        rows = predictions.read("home", connection, "bed", start, start + timedelta(hours=1))
    assert [row.epoch_start for row in rows] == [start, start + timedelta(seconds=30)]
