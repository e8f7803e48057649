"""The database as services call it: what they are told while it is away, and how it is back."""

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from noctis import faults
from noctis.breaker import LAST_S, State
from noctis.errors import StorageError, StorageUnavailableError, StorageUnreachableError
from noctis.settings import Settings
from noctis.storage.database import PROBE_S, Connection, Database, ping
from noctis.storage.server import PostgresServer
from tests.integration.broker_fixtures import eventually

pytestmark = pytest.mark.postgres
PAUSE_S = 0.02


@pytest.fixture
def database(own_postgres: PostgresServer) -> Iterator[Database]:
    settings = Settings(database_url=own_postgres.url, database_seconds=0.5)
    made = Database(settings, application="noctis-test", connections=2)
    yield made
    faults.clear()
    made.close()


def refused(connection: Connection) -> None:
    connection.execute(text("SELECT * FROM nowhere"))


def call(database: Database, work: Callable[[Connection], object] = ping) -> Exception | None:
    """Return what a call came to; None where all was well."""
    try:
        asyncio.run(database.call(work))
    except (StorageError, TimeoutError) as error:
        return error
    return None


def until_it_opens(database: Database) -> None:
    deadline = time.monotonic() + 20
    while database.breaker.state is not State.OPEN:
        assert isinstance(call(database), StorageUnavailableError | TimeoutError)
        assert time.monotonic() < deadline


def until_it_is_back(database: Database) -> float:
    """Call until one succeeds; return the seconds that took."""
    began = time.monotonic()
    while (error := call(database)) is not None:
        assert time.monotonic() < began + 30, error
        time.sleep(PAUSE_S)
    return time.monotonic() - began


def test_a_killed_database_is_left_alone_and_used_again_a_probe_after_it_is_back(
    database: Database, own_postgres: PostgresServer
) -> None:
    assert call(database) is None
    own_postgres.kill()
    until_it_opens(database)
    error = call(database)
    assert isinstance(error, StorageUnreachableError)
    assert "the next try is due in" in str(error)
    assert 0.0 < error.retry_after_s <= LAST_S
    time.sleep(LAST_S)
    call(database)  # by now the pause is at its longest
    own_postgres.start(own_postgres.port)
    assert until_it_is_back(database) < LAST_S + PROBE_S
    assert database.breaker.state is State.CLOSED


def test_a_frozen_database_costs_one_caller_at_a_time_its_deadline(
    database: Database, own_postgres: PostgresServer
) -> None:
    assert call(database) is None
    own_postgres.freeze()
    try:
        until_it_opens(database)
        began, at_once = time.monotonic(), 0
        while time.monotonic() < began + 1.0:
            asked = time.monotonic()
            assert call(database) is not None
            at_once += time.monotonic() - asked < 0.2
            time.sleep(PAUSE_S)
    finally:
        own_postgres.thaw()
    assert at_once > 5
    assert until_it_is_back(database) < LAST_S + PROBE_S


def test_a_refused_statement_is_no_outage(database: Database) -> None:
    for _ in range(10):
        error = call(database, refused)
        assert isinstance(error, StorageError)
        assert not isinstance(error, StorageUnavailableError)
    assert database.breaker.state is State.CLOSED


def test_a_database_that_takes_no_writes_for_now_is_read_from_meanwhile(
    database: Database, own_postgres: PostgresServer
) -> None:
    del own_postgres

    def write(connection: Connection) -> None:
        connection.execute(text("SET TRANSACTION READ ONLY"))
        connection.execute(text("CREATE TABLE mine (n integer)"))

    for _ in range(10):
        error = call(database, write)
        assert isinstance(error, StorageUnavailableError)
        assert not isinstance(error, StorageUnreachableError)
    assert call(database) is None


def test_a_locked_table_is_no_outage_for_those_who_do_not_need_it(
    database: Database, own_postgres: PostgresServer
) -> None:
    def wait(connection: Connection) -> None:
        connection.execute(text("SELECT pg_sleep(2)"))

    del own_postgres
    for _ in range(3):
        assert isinstance(call(database, wait), TimeoutError)
    assert eventually(lambda: database.breaker.state is State.OPEN)
    until_it_is_back(database)
    assert database.breaker.state is State.CLOSED


@pytest.mark.parametrize("name", ["connect", "execute", "commit", "committed"])
def test_a_fault_at_each_point_is_an_outage_that_passes(database: Database, name: str) -> None:
    database.close()  # so that it has to connect
    faults.use(f"database.{name}=error@#1-3", {"NOCTIS_FAULTS": "allowed"})
    found = [call(database) for _ in range(3)]
    assert all(isinstance(error, StorageUnreachableError) for error in found)
    until_it_is_back(database)


@pytest.mark.parametrize("name", ["execute", "commit"])
def test_a_disk_that_is_full_refuses_for_now_and_is_no_outage(
    database: Database, name: str
) -> None:
    call(database)
    faults.use(f"database.{name}=full", {"NOCTIS_FAULTS": "allowed"})
    for _ in range(5):
        error = call(database)
        assert isinstance(error, StorageUnavailableError)
        assert not isinstance(error, StorageUnreachableError)
    assert database.breaker.state is State.CLOSED
    faults.clear()
    assert call(database) is None


def test_an_error_after_the_commit_leaves_behind_what_was_committed(
    database: Database,
) -> None:
    def write(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE IF NOT EXISTS kept (n integer)"))
        connection.execute(text("INSERT INTO kept VALUES (1)"))

    faults.use("database.committed=error@#1", {"NOCTIS_FAULTS": "allowed"})
    assert isinstance(call(database, write), StorageUnreachableError)
    counted: list[int] = []

    def count(connection: Connection) -> None:
        counted.append(connection.execute(text("SELECT count(*) FROM kept")).scalar_one())

    assert call(database, count) is None
    assert counted == [1]


def test_latency_at_the_database_ends_at_the_deadline(database: Database) -> None:
    assert call(database) is None
    faults.use("database.execute=latency:30@#1", {"NOCTIS_FAULTS": "allowed"})
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(_bounded(database))
    assert time.monotonic() - began < 5.0


async def _bounded(database: Database) -> None:
    await database.call(ping)


def test_a_call_that_was_given_up_leaves_no_connection_behind(
    own_postgres: PostgresServer,
) -> None:
    settings = Settings(database_url=own_postgres.url)
    database = Database(settings, application="noctis-given-up", connections=1)
    waiting = Database(settings, application="noctis-test", connections=1)

    def connected(connection: Connection) -> int:
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = :name"
        found: int = connection.execute(text(count), {"name": "noctis-given-up"}).scalar_one()
        return found

    async def until_connected(number: int) -> None:
        async with asyncio.timeout(10):
            while await waiting.call(connected) != number:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(PAUSE_S)

    async def scene() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(database.call(sleep))
            await until_connected(1)
            await asyncio.sleep(0.1)
            task.cancel()
        database.close()  # the thread is still at it
        await until_connected(0)

    def sleep(connection: Connection) -> None:
        connection.execute(text("SELECT pg_sleep(1)"))

    asyncio.run(scene())
    waiting.close()
