"""The live worker as a process: from a device's publish to the app's topic."""

from typing import Any

import numpy as np
import paho.mqtt.client as paho
import pytest
from sqlalchemy import Engine

from broker.server import MosquittoServer
from evaluation.figures import NO_STAGE
from evaluation.staging import stage_night
from inference.model import DEFAULT_FOLDER, Model
from noctis import topics
from noctis.epoch import Frame, encode_frame
from noctis.stages import LABELS
from noctis.storage.server import PostgresServer
from registry.presence import holders
from tests.integration.broker_fixtures import Client, eventually
from tests.integration.inference_fixtures import (
    D1,
    LiveDevice,
    Night,
    Phone,
    Settled,
    Worker,
    database,
    publish_model,
    seqs_of,
    shared_worker,
    store,
    wait_settled,
    worker,
)

__all__ = ["database", "shared_worker", "worker"]

pytestmark = [pytest.mark.broker, pytest.mark.postgres]


def play(broker: MosquittoServer, night: Night, frames: list[Frame]) -> list[dict[str, Any]]:
    """Publish frames one after the other; return the stage that follows each."""
    with LiveDevice(broker.port) as device, Phone(broker.port, night.stream) as phone:
        told = []
        for frame in frames:
            device.tell(frame)
            told.append(phone.stage())
    return told


def assert_agree(told: list[dict[str, Any]], stored: list[Settled]) -> None:
    assert [stage["seq"] for stage in told] == [row.seq for row in stored]
    for stage, row in zip(told, stored, strict=True):
        assert stage["stage"] == (None if row.stage is None else LABELS[row.stage])
        assert stage["model"] == row.model
        live = stage["probability"]
        if live is None:
            assert row.probabilities == (None,) * 4
        else:
            assert list(live.values()) == pytest.approx(row.probabilities, abs=6e-5)


def assert_evaluated(told: list[dict[str, Any]], night: Night) -> None:
    """An evaluation of the night finds the stages that were published."""
    rows = np.column_stack((night.codes, night.in_bed)).astype(np.int16)
    staging = stage_night(Model.load(DEFAULT_FOLDER), rows)
    labels = [None if stage == NO_STAGE else LABELS[stage] for stage in staging.stages]
    assert [stage["stage"] for stage in told] == labels
    for stage, chances in zip(told, staging.probabilities.tolist(), strict=True):
        if stage["probability"] is not None:
            assert list(stage["probability"].values()) == pytest.approx(chances, abs=6e-5)


@pytest.mark.usefixtures("worker")
def test_a_stage_follows_each_epoch_retained_and_for_two_minutes(
    broker: MosquittoServer,
) -> None:
    night = Night(20)
    last = play(broker, night, night.frames())[-1]
    assert last["seq"] == 20
    assert last["in_bed"]
    with Client(broker.port, "phone@t1", version=paho.MQTTv5) as late:
        late.subscribe(topics.stage(D1))
        message = late.next()
    assert message.retain
    assert message.qos == 1
    assert message.properties is not None
    assert 0 < message.properties.MessageExpiryInterval <= 120


@pytest.mark.usefixtures("worker")
def test_live_and_settled_stages_agree_over_a_night(
    broker: MosquittoServer, database: Engine
) -> None:
    night = Night(300, seed=1)
    frames = night.frames()
    told = play(broker, night, frames)
    store(database, frames)
    stored = wait_settled(database, night.stream, 300)
    assert_agree(told, stored)
    assert {stage["stage"] for stage in told} >= {None, "light"}
    assert_evaluated(told, night)


@pytest.mark.usefixtures("worker")
def test_live_and_settled_stages_agree_where_no_clock_is_known(
    broker: MosquittoServer, database: Engine
) -> None:
    night = Night(40, seed=2, utc_s=0)
    frames = night.frames(sector=15)
    told = play(broker, night, frames)
    store(database, frames)
    assert_agree(told, wait_settled(database, night.stream, 40))
    assert {stage["t"] for stage in told} == {None}


def test_live_stages_go_on_while_the_database_is_stopped(
    broker: MosquittoServer, worker: Worker, own_postgres: PostgresServer, database: Engine
) -> None:
    night = Night(30, seed=3)
    frames = night.frames()
    first = play(broker, night, frames[:10])
    own_postgres.stop()
    try:
        second = play(broker, night, frames[10:])
        stranger = Night(12, seed=4)
        alone = play(broker, stranger, stranger.frames()[6:])
    finally:
        own_postgres.start(own_postgres.port)
        database.dispose()
    assert [stage["seq"] for stage in first + second] == seqs_of(frames)
    assert [stage["seq"] for stage in alone] == list(range(7, 13))
    store(database, frames)
    assert_agree(first + second, wait_settled(database, night.stream, 30))
    assert worker.child.exit_code is None


def test_a_worker_that_was_killed_knows_the_night_so_far(
    broker: MosquittoServer, worker: Worker, database: Engine
) -> None:
    night = Night(120, seed=5)
    frames = night.frames()
    play(broker, night, frames[:80])
    store(database, frames[:100])
    worker.kill()
    worker.start()
    told = play(broker, night, frames[100:])
    store(database, frames[100:])
    assert_agree(told, wait_settled(database, night.stream, 120)[100:])


def test_epochs_that_took_the_backlogs_way_come_into_the_context(
    broker: MosquittoServer, worker: Worker, database: Engine
) -> None:
    night = Night(100, seed=6)
    frames = night.frames()
    play(broker, night, frames[:40])
    store(database, frames[:60])
    recalled = worker.metric("noctis_live_recalled_total")
    live = iter(frames[60:])
    for frame in live:
        play(broker, night, [frame])
        if eventually(lambda: worker.metric("noctis_live_recalled_total") > recalled):
            break
    told = play(broker, night, list(live))
    store(database, frames[60:])
    assert len(told) >= 10
    assert_agree(told, wait_settled(database, night.stream, 100)[-len(told) :])


def test_what_is_no_frame_is_counted_and_ignored(
    broker: MosquittoServer, worker: Worker
) -> None:
    night = Night(12, seed=7)
    frames = night.frames()
    before = worker.metric("noctis_live_bad_frames_total")
    damaged = bytearray(encode_frame(frames[3]))
    damaged[40] ^= 1
    with LiveDevice(broker.port) as device, Phone(broker.port, night.stream) as phone:
        for payload in (b"", b"nonsense", bytes(damaged), encode_frame(frames[0])[:-1]):
            device.tell(payload)
        foreign = topics.up(D1, "epochs").replace(f"/{topics.shard_of(D1)}/", "/0/")
        device.publish(foreign, encode_frame(frames[4]))
        device.tell(frames[5])
        assert phone.stage()["seq"] == 6
    assert worker.metric("noctis_live_bad_frames_total") == before + 5


@pytest.mark.usefixtures("worker")
def test_an_epoch_that_comes_again_changes_nothing(broker: MosquittoServer) -> None:
    night = Night(30, seed=8)
    frames = night.frames()
    with LiveDevice(broker.port) as device, Phone(broker.port, night.stream) as phone:
        told = []
        for index, frame in enumerate(frames):
            device.tell(frame)
            told.append(phone.stage())
            if index in {10, 20}:
                device.tell(frame)
                assert phone.stage() == told[-1]
                device.tell(frames[index - 5])  # of the past: nothing to tell
    assert [stage["seq"] for stage in told] == list(range(1, 31))


def test_a_new_champion_serves_without_a_restart(
    broker: MosquittoServer, worker: Worker, database: Engine
) -> None:
    night = Night(40, seed=9)
    frames = night.frames()
    [old] = {stage["model"] for stage in play(broker, night, frames[:20])}
    registry = publish_model(worker.var, "next")
    registry.promote("champion", "next")
    try:
        assert eventually(
            lambda: play(broker, night, frames[20:21])[0]["model"] != old, within_s=10
        )
        told = play(broker, night, frames[21:])
        assert {stage["model"] for stage in told} == {f"{registry.name}@next"}
        store(database, frames)
        found = wait_settled(database, night.stream, 40)
        assert {row.model for row in found} == {f"{registry.name}@next"}
        pid = worker.child.pid
        assert eventually(lambda: worker.metric("noctis_inference_model") == 1)
        assert worker.child.pid == pid
        [holder] = [it for it in holders(registry.folder) if it.process.endswith(f"/{pid}")]
        assert holder.process.startswith("inference ")
        assert (holder.model, holder.refusal) == (f"{registry.name}@next", None)
    finally:
        registry.rollback()


def test_sigterm_ends_the_worker_in_order(broker: MosquittoServer, worker: Worker) -> None:
    night = Night(5)
    play(broker, night, night.frames())
    assert worker.child.stop(within_s=20) == 0
