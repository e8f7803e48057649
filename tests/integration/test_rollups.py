import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from companion.rollups import Rollups
from noctis.settings import Settings
from noctis.storage import jobs, rolling, rollup_notes
from noctis.storage.database import Database
from noctis.storage.engine import transaction
from noctis.storage.jobs import Job
from tests.integration.rollup_life import (
    Life,
    before,
    catch_up,
    compare,
    direct_hours,
    stored_hours,
)

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("seed", range(2))
def test_whatever_comes_late_twice_or_corrected_hours_are_what_the_epochs_are(
    engine: Engine, seed: int
) -> None:
    life = Life(engine, seed)
    for turn in range(100):
        life.turn()
        if turn % 10 == 0:
            life.check_reading()
    mark = catch_up(engine, life.now)
    life.check_reading()
    assert mark is not None
    with transaction(engine) as connection:
        assert not connection.execute(text("SELECT FROM rollup_notes")).all()
        wanted = direct_hours(connection, "epochs")
        found = stored_hours(connection)
    compare(before(found, mark), before(wanted, mark))


def test_the_companion_rolls_up_and_says_how_its_last_run_ended(
    engine: Engine, database_url: str
) -> None:
    life = Life(engine, 9)
    life.now = datetime.now(UTC) - timedelta(days=20)
    for _ in range(20):
        life.turn()
    database = Database(
        Settings(database_url=SecretStr(database_url)), application="noctis-test"
    )

    async def one_run() -> Job:
        async with asyncio.timeout(30):
            before = await database.call(jobs.list_all)
            running = asyncio.ensure_future(Rollups(database).run())
            found = before
            while found[0].finished_at == before[0].finished_at:
                await asyncio.sleep(0.05)
                found = await database.call(jobs.list_all)
            running.cancel()
        return found[0]

    ended = asyncio.run(one_run())
    assert ended.until is not None
    with transaction(engine) as connection:
        wanted = direct_hours(connection, "epochs")
        compare(before(stored_hours(connection), ended.until), before(wanted, ended.until))
        rollup_notes.note(connection, [(1, 0, 0)])
        connection.execute(text("ALTER TABLE epochs_hourly RENAME TO elsewhere"))
    failed = asyncio.run(one_run())
    database.close()
    assert (ended.name, ended.error) == ("rollups", None)
    assert ended.started_at is not None
    assert ended.until > datetime.now(UTC) - timedelta(hours=3)
    assert "epochs_hourly" in str(failed.error)


@pytest.mark.usefixtures("several_connections")
def test_who_deletes_hours_waits_for_a_step_and_keeps_the_next_from_beginning(
    engine: Engine,
) -> None:
    life = Life(engine, 5)
    for _ in range(10):
        life.turn()
    with transaction(engine) as first:
        assert rolling.step(first, now=life.now).until is not None
        with transaction(engine) as second:
            second.execute(text("SET LOCAL lock_timeout = '200ms'"))
            with pytest.raises(DBAPIError, match="lock timeout"):
                rolling.hold(second)
    with transaction(engine) as first:
        rolling.hold(first)
        with transaction(engine) as second:
            assert rolling.step(second, now=life.now) == rolling.Step(0, None, busy=False)
