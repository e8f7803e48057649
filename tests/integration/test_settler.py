"""The settler as a process: every stored epoch is judged exactly once."""

import asyncio
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from broker.server import MosquittoServer
from inference import settler as settler_module
from inference.serving import active
from inference.settler import Settler
from inference.trials import Trials
from noctis import faults
from noctis.settings import Settings
from noctis.storage.database import Database
from noctis.storage.engine import transaction
from noctis.storage.server import PostgresServer
from noctis.topics import SHARDS, shard_of
from tests.integration.broker_fixtures import eventually, on_loop
from tests.integration.inference_fixtures import (
    D1,
    D2,
    LiveDevice,
    Night,
    Phone,
    Worker,
    database,
    running_worker,
    seqs_of,
    settled,
    shared_worker,
    store,
    wait_settled,
    worker,
)

__all__ = ["database", "shared_worker", "worker"]

pytestmark = [pytest.mark.broker, pytest.mark.postgres]


@pytest.mark.usefixtures("worker")
def test_a_night_of_backlog_is_settled_within_seconds(database: Engine) -> None:
    night = Night(960, utc_s=int(time.time()) - 86_400)
    frames = night.frames(size=64)
    store(database, frames, backlog=True)
    found = wait_settled(database, night.stream, 960, within_s=30)
    assert [row.seq for row in found] == seqs_of(frames)
    assert eventually(lambda: notes(database) == 0, within_s=15)


@pytest.mark.usefixtures("worker")
def test_an_epoch_of_a_live_device_is_settled_within_about_a_second(
    broker: MosquittoServer, database: Engine
) -> None:
    night = Night(10)
    waits = []
    with LiveDevice(broker.port) as device, Phone(broker.port, night.stream) as phone:
        for count, frame in enumerate(night.frames(), 1):
            device.tell(frame)
            phone.stage()
            store(database, [frame])
            stored_at = time.monotonic()
            wait_settled(database, night.stream, count, within_s=20)
            waits.append(time.monotonic() - stored_at)
    assert sorted(waits)[len(waits) // 2] < 1.5


def test_what_was_stored_while_no_worker_ran_is_found_when_one_starts(
    worker: Worker, database: Engine
) -> None:
    worker.kill()
    night = Night(6)
    store(database, night.frames())
    worker.start()
    wait_settled(database, night.stream, 6)


def test_what_no_live_message_told_of_is_found_by_the_next_look(
    worker: Worker,
    own_postgres: PostgresServer,
    database: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker.kill()
    monkeypatch.setattr(settler_module, "LOOK_S", 0.5)
    settings = Settings(var=worker.var, database_url=own_postgres.url)
    there = Database(settings, application="noctis-test", connections=2)
    settler = Settler(there, Trials(active(settings)), frozenset(range(SHARDS)))
    night = Night(6)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(settler.run())
            await asyncio.sleep(2)  # the look at the start has found nothing
            await asyncio.to_thread(store, database, night.frames())
            await asyncio.to_thread(wait_settled, database, night.stream, 6)
            running.cancel()

    on_loop(main)
    there.close()


def test_a_database_too_slow_for_a_whole_turn_is_asked_for_less_at_a_time(
    worker: Worker,
    own_postgres: PostgresServer,
    database: Engine,
    request: pytest.FixtureRequest,
) -> None:
    worker.kill()
    nights = [Night(3, seed=20 + n) for n in range(16)]
    for night in nights:
        store(database, night.frames(), backlog=True)
    settings = Settings(var=worker.var, database_url=own_postgres.url, database_seconds=1.5)
    there = Database(settings, application="noctis-test", connections=2)
    settler = Settler(there, Trials(active(settings)), frozenset(range(SHARDS)))
    request.addfinalizer(faults.clear)
    faults.use("database.execute=latency:0.2", {"NOCTIS_FAULTS": "allowed"})

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(settler.run())
            for night in nights:
                await asyncio.to_thread(wait_settled, database, night.stream, 3, within_s=120)
            running.cancel()

    on_loop(main, within_s=140)
    there.close()


def test_a_worker_that_is_killed_again_and_again_settles_each_epoch_once(
    worker: Worker, database: Engine
) -> None:
    night = Night(960, seed=1, utc_s=int(time.time()) - 86_400)
    frames = night.frames(size=64)
    store(database, frames, backlog=True)
    for enough in (1, 300, 600):
        eventually(lambda e=enough: len(settled(database, night.stream)) >= e, within_s=20)  # type: ignore[misc]
        worker.kill()
        worker.start()
    found = wait_settled(database, night.stream, 960)
    assert [row.seq for row in found] == seqs_of(frames)


def test_a_night_is_judged_alike_at_once_and_in_pieces(
    worker: Worker, database: Engine
) -> None:
    whole, pieces = Night(300, seed=2), Night(300, seed=2)
    store(database, whole.frames(size=64), backlog=True)
    at_once = wait_settled(database, whole.stream, 300)
    for index, frame in enumerate(pieces.frames(size=50)):
        store(database, [frame], device=D2, backlog=True)
        wait_settled(database, pieces.stream, len(seqs_of(pieces.frames(size=50)[: index + 1])))
        if index == 2:
            worker.kill()
            worker.start()
    assert settled(database, pieces.stream) == at_once


@pytest.mark.usefixtures("worker")
def test_late_epochs_are_settled_and_those_behind_them_stay(database: Engine) -> None:
    night = Night(90, seed=3)
    frames = night.frames(size=30)
    store(database, [frames[0], frames[2]], backlog=True)
    before = wait_settled(database, night.stream, 60)
    store(database, [frames[1]], backlog=True)
    after = wait_settled(database, night.stream, 90)
    assert [row for row in after if not 30 < row.seq <= 60] == before
    whole = Night(90, seed=3)
    store(database, whole.frames(size=30), device=D2, backlog=True)
    right = wait_settled(database, whole.stream, 90)
    assert after[:60] == right[:60]
    assert after[60:] != right[60:]


@pytest.mark.usefixtures("worker")
def test_an_empty_bed_and_poor_epochs_are_settled_without_a_stage(database: Engine) -> None:
    night = Night(40, seed=4)
    store(database, night.frames(size=40), backlog=True)
    found = wait_settled(database, night.stream, 40)
    for row in found:
        assert (row.stage is None) == (row.probabilities == (None,) * 4)
    assert {row.seq for row in found if row.stage is None} >= {1, 2, 3, 4, 5, 21, 22, 23}
    assert sum(row.stage is None for row in found) < 20


@pytest.mark.usefixtures("worker")
def test_epochs_without_a_clock_are_settled(database: Engine) -> None:
    night = Night(20, seed=5, utc_s=0)
    store(database, night.frames(size=20), backlog=True)
    wait_settled(database, night.stream, 20)


def test_a_database_that_dies_and_returns_stops_nothing(
    worker: Worker, own_postgres: PostgresServer, database: Engine
) -> None:
    night = Night(960, seed=6, utc_s=int(time.time()) - 86_400)
    store(database, night.frames(size=64), backlog=True)
    eventually(lambda: len(settled(database, night.stream)) > 0, within_s=20)
    own_postgres.kill()
    assert eventually(lambda: worker.metric("noctis_settler_failures_total") > 0, within_s=20)
    own_postgres.start(own_postgres.port)
    database.dispose()
    wait_settled(database, night.stream, 960, within_s=60)
    assert worker.child.exit_code is None


def test_a_worker_leaves_the_devices_of_other_shards_alone(
    worker: Worker,
    own_postgres: PostgresServer,
    database: Engine,
    broker: MosquittoServer,
    tmp_path: Path,
) -> None:
    assert shard_of(D1) != shard_of(D2)
    worker.kill()
    mine, others = Night(20, seed=7), Night(20, seed=7)
    store(database, mine.frames(size=20), device=D1, backlog=True)
    store(database, others.frames(size=20), device=D2, backlog=True)
    shard = str(shard_of(D1))
    with running_worker(broker.port, own_postgres.url, tmp_path, NOCTIS_SHARDS=shard):
        wait_settled(database, mine.stream, 20)
        time.sleep(3)
    assert settled(database, others.stream) == []


def notes(engine: Engine) -> int:
    with transaction(engine) as connection:
        return connection.execute(text("SELECT count(*) FROM outbox")).scalar_one()
