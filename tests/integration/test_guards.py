"""What the facade's role can see and write: raw SQL without a condition, table by table."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import anyio
import httpx
import psycopg
import pytest
from fastapi import Depends, FastAPI, Security
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from api import deps
from api.app import create_app
from noctis.errors import ConfigurationError, StorageError
from noctis.identity import DeviceId, Principal
from noctis.settings import Settings
from noctis.storage import guards, migrate
from noctis.storage.database import Database
from noctis.storage.engine import create, transaction
from noctis.storage.ingest import Received, ingest
from noctis.storage.rows import BULK
from tests.integration.conftest import fresh_database
from tests.integration.test_storage_ingest import NOW, frame
from tests.integration.upgrades import fill

pytestmark = pytest.mark.postgres

TENANTS = ("home", "inn", "lab")
HIDDEN = {
    *(
        "alembic_version",
        "audit",
        "audit_details",
        "fault_orders",
        "processes",
        "firmware",
        "jobs",
        "revocation_lists",
        "rollouts",
        "settled",
    ),
}
"""Tables that belong to no tenant and that no tenant may read. Think before you add one."""
DENIED = HIDDEN | set(guards.VIEWED)


@pytest.fixture(scope="module")
def url(postgres: str, migrated: str) -> Iterator[str]:
    """The URL of a database with rows of three tenants in every table."""
    with fresh_database(postgres, migrated) as made:
        _fill(made)
        yield made


def _fill(url: str) -> None:
    fill(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE devices SET revoked_at = NULL")
        # `fill` leaves the hours out: they are of another kind on another edition.
        connection.execute(
            "INSERT INTO epochs_hourly (tenant_id, device_id, hour, epochs, in_bed, "
            "heart_rate_count, breathing_rate_count, movement_count, activity_count, "
            "quality_count) SELECT n, n, now(), 1, 1, 1, 1, 1, 1, 1 "
            "FROM generate_series(1, 3) n"
        )


@pytest.fixture(scope="module")
def database(url: str) -> Iterator[Engine]:
    made = create(url, application="noctis-test")
    yield made
    made.dispose()


@contextmanager
def entered(database: Engine, tenant: str) -> Iterator[Connection]:
    """A transaction of the facade for a tenant; it is rolled back."""
    with database.connect() as connection:
        guards.enter(connection, tenant)
        yield connection
        connection.rollback()


def tables(database: Engine) -> list[str]:
    with transaction(database) as connection:
        names = text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        return list(connection.scalars(names))


def rows(connection: Connection, relation: str) -> list[str]:
    return list(connection.scalars(text(f"SELECT t::text FROM {relation} t")))  # noqa: S608


def test_a_query_that_names_no_tenant_comes_back_empty_from_every_table(
    database: Engine,
) -> None:
    for tenant in ("", "nobody"):
        for table in tables(database):
            with entered(database, tenant) as connection:
                try:
                    found = rows(connection, f"public.{table}")
                except ProgrammingError:
                    assert table in DENIED
                else:
                    assert bool(found) == (table in guards.COMMON), table


def test_a_query_without_a_condition_sees_the_tenants_own_rows_alone(database: Engine) -> None:
    with transaction(database) as connection:
        everything = {table: set(rows(connection, table)) for table in tables(database)}
    seen: dict[str, list[set[str]]] = {table: [] for table in everything}
    for tenant in TENANTS:
        with entered(database, tenant) as connection:
            for table in everything.keys() - HIDDEN - set(guards.COMMON):
                seen[table].append(set(rows(connection, table)))
    for table, found in seen.items():
        if table in HIDDEN | set(guards.COMMON):
            continue
        assert found[0], f"{table} shows a tenant nothing of its own"
        assert sum(map(len, found)) == len(set().union(*found)), f"{table} shows others' rows"
        assert set().union(*found) <= everything[table]


def test_epochs_on_the_time_line_are_the_tenants_own(database: Engine) -> None:
    for view in ("epoch_timeline", "epoch_values"):
        with transaction(database) as connection:
            total = len(rows(connection, view))
        found = []
        for tenant in (*TENANTS, ""):
            with entered(database, tenant) as connection:
                found.append(len(rows(connection, view)))
        assert sum(found) == total
        assert found[-1] == 0
        with entered(database, "home") as connection, pytest.raises(ProgrammingError):
            rows(connection, f"public.{view}")


def test_an_update_or_a_delete_without_a_condition_reaches_nobody_else(
    database: Engine,
) -> None:
    for table in tables(database):
        if table in HIDDEN | set(guards.COMMON) | {"epochs_hourly"}:
            continue
        with transaction(database) as connection:
            before = len(rows(connection, table))
            column = connection.scalar(
                text(
                    "SELECT attname FROM pg_attribute WHERE attrelid = CAST(:t AS regclass) "
                    "AND attnum > 0 AND attidentity = '' AND NOT attisdropped LIMIT 1"
                ),
                {"t": table},
            )
        with entered(database, "inn") as connection:
            own = len(rows(connection, table))
            changed = connection.execute(text(f"UPDATE {table} SET {column} = {column}"))  # noqa: S608
            assert changed.rowcount == own < before, table
        with entered(database, "") as connection:
            assert connection.execute(text(f"DELETE FROM {table}")).rowcount == 0, table  # noqa: S608


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO devices (tenant_id, name) VALUES (2, 'spy')",
        "UPDATE devices SET tenant_id = 2",
        "INSERT INTO commands (id, device_id, body) VALUES (gen_random_uuid(), 2, '{}')",
        "UPDATE dead_letters SET tenant = 'inn'",
        "UPDATE epochs SET tenant_id = 2",
        "INSERT INTO models (name, version) VALUES ('mine', '1')",
        "UPDATE epochs_hourly SET epochs = 0",
    ],
)
def test_a_row_cannot_be_made_or_given_to_another_tenant(
    database: Engine, statement: str
) -> None:
    with entered(database, "home") as connection, pytest.raises(ProgrammingError) as caught:
        connection.execute(text(statement))
    assert "violates" in str(caught.value) or "permission denied" in str(caught.value)


def test_the_connection_is_the_owners_again_after_the_transaction(url: str) -> None:
    single = create(url, connections=1)
    with transaction(single) as connection:
        guards.enter(connection, "home")
        assert rows(connection, "tenants") != []
        assert connection.scalar(text("SELECT current_user")) == guards.ROLE
    with transaction(single) as connection:
        assert connection.scalar(text("SELECT current_user")) != guards.ROLE
        assert len(rows(connection, "tenants")) == 3
        assert connection.scalar(text("SHOW search_path")) == '"$user", public'
    single.dispose()


@pytest.mark.parametrize("utc", [NOW, None])
def test_epochs_are_stored_under_the_rules_whether_copied_or_inserted(
    database: Engine, utc: datetime | None
) -> None:
    frames = [
        frame(first, 64, stream=99, run_seq=first - 1, utc=utc)
        for first in range(1, 5 * 65, 65)
    ]
    sent = [Received(DeviceId("home", "bed"), one, backlog=False) for one in frames]
    assert len(sent) * 64 > BULK
    with entered(database, "home") as connection:
        assert {it.stored for it in ingest(connection, sent, now=NOW)} == {64}
        assert {it.duplicate for it in ingest(connection, sent, now=NOW)} == {64}
    with entered(database, "inn") as connection:
        assert {it.reason for it in ingest(connection, sent, now=NOW)} == {"unknown_device"}


@pytest.fixture
def leaky(url: str, tmp_path: Path) -> FastAPI:
    """A facade with a route that forgets whose the devices are, and one without a caller."""
    app = create_app(Settings(var=tmp_path, database_url=SecretStr(url)))

    def names(connection: Connection) -> list[str]:
        return list(connection.scalars(text("SELECT name FROM devices ORDER BY name")))

    @app.get("/leak")
    async def leak(
        store: Annotated[Database, Depends(deps.database)],
        _who: Annotated[Principal, Security(deps.caller)],
    ) -> list[str]:
        return await store.call(names)

    @app.get("/open")
    async def nobody(store: Annotated[Database, Depends(deps.database)]) -> list[str]:
        return await store.call(names)

    @app.get("/platform")
    async def platform(store: Annotated[Database, Depends(deps.platform)]) -> list[str]:
        return await store.call(names)

    return app


def test_a_route_that_forgets_the_tenant_shows_nobody_elses_rows(leaky: FastAPI) -> None:
    keys = leaky.state.noctis.keyring
    tokens = {it: keys.issue(Principal(f"phone@{it}", it, frozenset())) for it in TENANTS}

    async def ask(path: str, tenant: str = "") -> object:
        transport = httpx.ASGITransport(leaky)
        headers = {"Authorization": f"Bearer {tokens[tenant]}"} if tenant else {}
        async with httpx.AsyncClient(transport=transport, base_url="http://noctis") as client:
            return (await client.get(path, headers=headers)).json()

    async def main() -> None:
        assert await ask("/platform") == ["bed", "bed-2", "cot"]
        for _ in range(2):  # on connections that served somebody else before
            assert await ask("/leak", "home") == ["bed"]
            assert await ask("/leak", "inn") == ["cot"]
            assert await ask("/open") == []
        assert await ask("/platform") == ["bed", "bed-2", "cot"]

    anyio.run(main)
    leaky.state.noctis.database.close()


def test_the_rules_stand_after_going_back_and_up_again(database_url: str) -> None:
    fill(database_url)
    migrate.downgrade(database_url, "0011")
    engine = create(database_url)
    with entered(engine, "home") as connection:
        assert rows(connection, "devices") == []
    migrate.upgrade(database_url)
    with entered(engine, "home") as connection:
        assert len(rows(connection, "devices")) == 1
    engine.dispose()


def test_a_user_that_may_not_make_the_role_is_told_what_a_superuser_has_to_do(
    empty_database_url: str,
) -> None:
    parsed = make_url(empty_database_url)
    name = str(parsed.database)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'modest'")
        connection.execute(f"ALTER DATABASE {name} OWNER TO {name}")
    modest = parsed.set(username=name, password="modest")
    url = modest.render_as_string(hide_password=False)
    with pytest.raises(ConfigurationError) as caught:
        migrate.upgrade(url)
    assert f"GRANT {guards.ROLE} TO {name}" in str(caught.value)
    engine = create(url)
    with pytest.raises(StorageError), transaction(engine) as connection:
        guards.enter(connection, "home")
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(f"GRANT {guards.ROLE} TO {name}")
    migrate.upgrade(url)
    with transaction(engine) as connection:
        connection.execute(text("INSERT INTO tenants (name) VALUES ('home'), ('inn')"))
    with entered(engine, "home") as connection:
        assert len(rows(connection, "tenants")) == 1
    engine.dispose()
