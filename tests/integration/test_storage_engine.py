import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread, Timer

import psycopg
import pytest
from sqlalchemy import Connection, Engine, text

from noctis.errors import ConfigurationError, StorageError, StorageUnavailableError
from noctis.storage.engine import create, transaction
from noctis.storage.server import PostgresServer
from tests.integration.test_postgres_server import module_server, server

__all__ = ["module_server", "server"]

pytestmark = pytest.mark.postgres


@pytest.fixture
def victim(server: PostgresServer) -> Iterator[Engine]:
    """An engine on a server that the test may freeze and kill."""
    engine = create(server.url)
    with transaction(engine) as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS marks (n integer PRIMARY KEY)"))
        connection.execute(text("TRUNCATE marks"))
    yield engine
    engine.dispose()


@contextmanager
def frozen(server: PostgresServer) -> Iterator[None]:
    """Freeze the server and all its workers."""
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


def fails_in_time(work: Callable[[], object], *, within_s: float) -> None:
    began = time.monotonic()
    with pytest.raises(StorageUnavailableError):
        work()
    assert time.monotonic() - began < within_s


def marks(engine: Engine) -> list[int]:
    with transaction(engine) as connection:
        return list(connection.scalars(text("SELECT n FROM marks ORDER BY n")))


def mark(connection: Connection, number: int) -> None:
    connection.execute(text("INSERT INTO marks VALUES (:n)"), {"n": number})


def test_a_block_commits_at_its_end_and_not_when_it_raises(victim: Engine) -> None:
    def interrupted() -> None:
        with transaction(victim) as connection:
            mark(connection, 2)
            raise InterruptedError

    with transaction(victim) as connection:
        mark(connection, 1)
    with pytest.raises(InterruptedError):
        interrupted()
    assert marks(victim) == [1]


def test_a_frozen_server_ends_a_new_transaction_in_time(
    victim: Engine, server: PostgresServer
) -> None:
    def work() -> None:
        with transaction(victim, 1.0) as connection:
            mark(connection, 1)

    with frozen(server):
        fails_in_time(work, within_s=2.5)
        fails_in_time(work, within_s=3.5)  # nothing is pooled now: it has to connect
    assert marks(victim) == []


def test_a_server_that_freezes_in_a_transaction_ends_it_in_time(
    victim: Engine, server: PostgresServer
) -> None:
    def work() -> None:
        with transaction(victim, 1.0) as connection:
            mark(connection, 1)
            with frozen(server):
                mark(connection, 2)

    fails_in_time(work, within_s=2.5)
    assert marks(victim) == []


def test_a_server_that_freezes_before_the_commit_ends_it_in_time(
    victim: Engine, server: PostgresServer
) -> None:
    thaw = Event()

    def freeze() -> None:
        with frozen(server):
            thaw.wait(20)

    thread = Thread(target=freeze)

    def work() -> None:
        with transaction(victim, 1.0) as connection:
            mark(connection, 1)
            thread.start()
            time.sleep(0.3)

    try:
        fails_in_time(work, within_s=2.5)
    finally:
        thaw.set()
        thread.join()
    assert marks(victim) in ([], [1])  # nobody can know; but the server is used again


def test_a_copy_into_a_frozen_server_ends_in_time(
    victim: Engine, server: PostgresServer
) -> None:
    def work() -> None:
        with transaction(victim, 1.0) as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            with frozen(server), driver.cursor().copy("COPY marks FROM STDIN") as copy:
                while True:
                    copy.write(b"1\n" * 100_000)

    fails_in_time(work, within_s=4.0)


def test_the_deadline_covers_all_statements_together(victim: Engine) -> None:
    def work() -> None:
        with transaction(victim, 1.0) as connection:
            for _ in range(10):
                connection.execute(text("SELECT pg_sleep(0.3)"))

    fails_in_time(work, within_s=2.0)


def test_the_connection_of_a_missed_deadline_is_never_used_again(victim: Engine) -> None:
    def backend(connection: Connection) -> int:
        return connection.execute(text("SELECT pg_backend_pid()")).scalar_one()

    seen: list[int] = []

    def work() -> None:
        with transaction(victim, 0.5) as connection:
            seen.append(backend(connection))
            connection.execute(text("SELECT pg_sleep(5)"))

    fails_in_time(work, within_s=2.0)
    with transaction(victim) as connection:
        assert backend(connection) not in seen


def test_a_killed_server_is_unavailable_and_then_there_again(
    victim: Engine, server: PostgresServer
) -> None:
    killer = Timer(0.2, server.kill)

    def work() -> None:
        with transaction(victim, 5.0) as connection:
            killer.start()
            connection.execute(text("SELECT pg_sleep(4)"))

    fails_in_time(work, within_s=4.0)
    killer.join()
    fails_in_time(lambda: marks(victim), within_s=3.0)
    server.start(server.port)
    assert marks(victim) == []


def test_a_mistake_is_no_outage(victim: Engine) -> None:
    with (
        pytest.raises(StorageError, match="SQLSTATE 42P01") as caught,
        transaction(victim) as c,
    ):
        c.execute(text("SELECT * FROM nowhere"))
    assert not isinstance(caught.value, StorageUnavailableError)


def test_a_deadlock_may_be_tried_again(victim: Engine) -> None:
    with transaction(victim) as connection:
        mark(connection, 1)
        mark(connection, 2)
    outcomes: list[object] = []
    half = Event(), Event()

    def work(first: int, second: int, mine: Event, other: Event) -> None:
        update = text("UPDATE marks SET n = n WHERE n = :n")
        try:
            with transaction(victim) as connection:
                connection.execute(update, {"n": first})
                mine.set()
                other.wait(5)
                connection.execute(update, {"n": second})
        except StorageError as error:
            outcomes.append(type(error))

    threads = [
        Thread(target=work, args=(1, 2, half[0], half[1])),
        Thread(target=work, args=(2, 1, half[1], half[0])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert outcomes == [StorageUnavailableError]


def test_a_pool_that_is_exhausted_is_unavailable(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("noctis.storage.engine.CONNECT_SECONDS", 1)
    engine = create(server.url, connections=1)
    with transaction(engine):
        fails_in_time(lambda: marks(engine), within_s=3.0)
    engine.dispose()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://u@h/d", "sqlite:///x"])
def test_another_database_than_postgresql_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="NOCTIS_DATABASE_URL"):
        create(url)
