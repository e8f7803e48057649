"""Reads of a tenant: what a statement's prelude sets ends with its answer, whatever happens."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

import anyio
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from noctis import faults
from noctis.errors import StorageError
from noctis.settings import Settings
from noctis.storage import devices, guards, tenants
from noctis.storage.database import Connection, Database
from noctis.storage.driver import prelude
from noctis.storage.engine import create, reading, transaction
from noctis.storage.server import PostgresServer

pytestmark = pytest.mark.postgres

TENANTS: Final = ("home", "inn", "lab")
_STATE: Final = text("""
SELECT current_user::text, current_setting('search_path'),
       current_setting('noctis.tenant', true), current_setting('noctis.tenant_id', true),
       current_setting('transaction_read_only'),
       current_setting('max_parallel_workers_per_gather')
""")


@pytest.fixture
def url(database_url: str) -> str:
    """The URL of a database with three tenants, each with a device of its own name."""
    engine = create(database_url)
    with transaction(engine) as connection:
        for tenant in TENANTS:
            tenants.add(connection, tenant)
            devices.add(tenant, connection, f"{tenant}-bed")
    engine.dispose()
    return database_url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    settings = Settings(database_url=SecretStr(url), database_seconds=10)
    made = Database(settings, application="noctis-test", connections=2)
    yield made
    faults.clear()
    made.close()


def seen(connection: Connection) -> list[str]:
    """Whose devices a query without a condition shows."""
    return list(connection.scalars(text("SELECT name FROM devices ORDER BY name")))


def state(connection: Connection) -> list[object]:
    """What a session's settings are, of those that a tenant's reads change."""
    known = [value or None for value in connection.execute(_STATE).one()]
    return [int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()), *known]


def test_each_statement_of_a_read_sees_the_tenants_rows_alone(database: Database) -> None:
    def twice(connection: Connection) -> list[list[str]]:
        return [seen(connection), seen(connection)]

    async def main() -> None:
        for tenant in TENANTS * 3:  # so often that the statements are prepared
            found = await database.of(lambda it=tenant: it).read(twice)  # type: ignore[misc]
            assert found == [[f"{tenant}-bed"]] * 2
        assert await database.of(lambda: "nobody").read(seen) == []
        assert await database.of(lambda: "").read(seen) == []
        assert len(await database.read(seen)) == len(TENANTS)

    anyio.run(main)


def test_a_read_leaves_nothing_in_its_session(url: str) -> None:
    engine = create(url, connections=1)
    with transaction(engine) as connection:
        before = state(connection)
    with reading(engine, before=guards.entering("home")) as connection:
        inside = state(connection)
    assert inside[0] == before[0]
    assert inside[1:] == [guards.ROLE, "noctis_facade, public", "home", inside[4], "on", "0"]
    for _ in range(3):
        with transaction(engine) as connection:
            assert state(connection) == before
        with reading(engine) as connection:
            assert state(connection) == before
    engine.dispose()


def test_a_read_cannot_write(database: Database) -> None:
    def write(connection: Connection) -> None:
        connection.execute(text("UPDATE devices SET time_zone = 'Europe/Berlin'"))

    async def main() -> None:
        with pytest.raises(StorageError, match="read-only"):
            await database.of(lambda: "home").read(write)
        await database.of(lambda: "home").call(write)

    anyio.run(main)


def test_a_connection_that_the_server_closed_is_replaced_without_an_error(
    own_postgres: PostgresServer,
) -> None:
    engine = create(own_postgres.url, connections=1)
    for how in ("terminated", "restarted"):
        with reading(engine) as connection:
            [pid] = connection.execute(text("SELECT pg_backend_pid()")).one()
        if how == "terminated":
            other = create(own_postgres.url)
            with transaction(other) as connection:
                connection.execute(
                    text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid}
                )
            other.dispose()
        else:
            own_postgres.stop()
            own_postgres.start(own_postgres.port)
        with reading(engine) as connection:
            assert connection.execute(text("SELECT pg_backend_pid()")).scalar_one() != pid
    engine.dispose()


def test_no_fault_keeps_a_connection_from_the_pool(url: str) -> None:
    engine = create(url, connections=1)
    for nth in range(1, 9):
        with reading(engine) as connection:  # a connection that stands: the fewest passages
            seen(connection)
        faults.use(f"database.execute=error@#{nth}", {"NOCTIS_FAULTS": "allowed"})
        with suppress(StorageError), reading(engine) as connection:
            seen(connection)
        faults.clear()
        assert engine.pool.status().endswith("Current Checked out connections: 0"), nth
    engine.dispose()


def test_a_connection_that_was_silent_for_long_is_asked_first(
    own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(
        "noctis.storage.driver.DriverConnection.ping", lambda _: asked.append(1)
    )
    engine = create(own_postgres.url, connections=1)
    for _ in range(5):
        with transaction(engine) as connection:
            connection.execute(text("SELECT 1"))
    assert not asked
    monkeypatch.setattr("noctis.storage.driver.SILENT_S", -1.0)
    with transaction(engine) as connection:
        connection.execute(text("SELECT 1"))
    assert asked
    engine.dispose()


def raises(connection: Connection) -> list[str]:
    seen(connection)
    raise InterruptedError


def is_refused(connection: Connection) -> list[str]:
    connection.execute(text("SELECT * FROM nowhere"))
    return []


def divides(connection: Connection) -> list[str]:
    return list(connection.scalars(text("SELECT name FROM devices WHERE 1 / (id - id) = 1")))


def is_slow(connection: Connection) -> list[str]:
    connection.execute(text("SELECT pg_sleep(0.4)"))
    return seen(connection)


def cannot_be_sent(connection: Connection) -> list[str]:
    connection.execute(text("SELECT :what"), {"what": object()})
    return []


WORK: Final[tuple[Callable[[Connection], list[str]], ...]] = (
    *(seen, seen, raises, is_refused, divides, is_slow, cannot_be_sent),
)


async def turn(database: Database, draw: random.Random) -> None:
    """Let somebody do something, or give up; what comes back is his own."""
    tenant = draw.choice(("", "nobody", "all", *TENANTS))
    store = database if tenant == "all" else database.of(lambda: tenant)
    ask = draw.choice((store.read, store.read, store.call))
    mine = [f"{it}-bed" for it in TENANTS if tenant in {it, "all"}]
    give_up_s = draw.choice((0.001, 0.01, 0.2, 5.0))
    late = draw.choice((0.05, None))
    try:
        with anyio.move_on_after(give_up_s):
            assert await ask(draw.choice(WORK), within_s=late) == mine
    except (StorageError, InterruptedError, TimeoutError):
        pass
    except Exception as error:
        if "cannot adapt" not in str(error):
            raise


@pytest.mark.parametrize("seed", range(4))
def test_whatever_fails_or_is_given_up_no_request_sees_anothers_rows(
    database: Database, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 - no secret
    if seed % 2:
        faults.use("database.execute=error@0.03", {"NOCTIS_FAULTS": "allowed"})

    async def many() -> None:
        for _ in range(12):
            await turn(database, draw)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(many())
        faults.clear()
        assert prelude.get() is None
        with anyio.fail_after(30):
            for tenant in TENANTS:
                assert await settled(database, tenant) == [f"{tenant}-bed"]

    anyio.run(main)


async def settled(database: Database, tenant: str) -> list[str]:
    """What a tenant sees once the breaker is closed and a thread is free."""
    while True:
        try:
            return await database.of(lambda: tenant).read(seen)
        except (StorageError, TimeoutError):
            await anyio.sleep(0.1)
