"""What nobody needs any more goes, tenant by tenant, and nothing else does."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from companion.purges import Purges
from noctis.settings import Settings
from noctis.storage import operations, purges, refreshes, tenants, users, void_tokens
from noctis.storage.database import Database
from noctis.storage.engine import transaction

pytestmark = pytest.mark.postgres

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
KEPT = 90 * DAY
TENANTS = ("home", "hotel")


@pytest.fixture
def home(engine: Engine) -> Engine:
    with transaction(engine) as connection:
        for tenant in TENANTS:
            tenants.add(connection, tenant)
            users.add(tenant, connection, "ann", role="admin", password_hash="none")
    return engine


def ordered(engine: Engine, tenant: str, **ages: timedelta) -> str:
    """Store an operation of which something was so long ago; return its key."""
    with transaction(engine) as connection:
        made = operations.add(tenant, connection, "replay", {}, device=None, by="ann")
        for column, age in ages.items():
            connection.execute(
                text(f"UPDATE operations SET {column} = now() - :age WHERE id = :id"),  # noqa: S608
                {"age": age, "id": made.id},
            )
    return str(made.id)


def signed_in(engine: Engine, tenant: str, *, turned: timedelta, began: timedelta) -> str:
    """Store a session that turned and began so long ago; return its key."""
    now = datetime.now(UTC)
    with transaction(engine) as connection:
        user = users.get(tenant, connection, "ann")
        key = connection.scalar(
            text(
                "SELECT u.id FROM users u JOIN tenants t ON t.id = u.tenant_id "
                "WHERE t.name = :tenant AND u.name = :name"
            ),
            {"tenant": tenant, "name": user.name},
        )
        secret = refreshes.begin(tenant, connection, key, frozenset(), now - began)
        connection.execute(
            text("UPDATE refresh_families SET turned_at = :at WHERE id = :id"),
            {"at": now - turned, "id": secret.family},
        )
    return str(secret.family)


def left(engine: Engine, table: str, column: str = "id") -> set[Any]:
    with transaction(engine) as connection:
        return set(connection.scalars(text(f"SELECT {column}::text FROM {table}")))  # noqa: S608


def purge(url: str, *, shards: frozenset[int] = frozenset({0, 5})) -> None:
    """Let the companion's part do one turn."""
    database = Database(Settings(database_url=SecretStr(url)), application="test")
    try:
        asyncio.run(Purges(database, shards, kept=KEPT).turn())
    finally:
        database.close()


@pytest.mark.parametrize("tenant", TENANTS)
def test_operations_go_so_long_after_they_ended(
    home: Engine, database_url: str, tenant: str
) -> None:
    for ended in ("finished_at", "cancelled_at"):
        ordered(home, tenant, **{ended: KEPT + MINUTE})
    stay = {
        ordered(home, tenant, created_at=10 * KEPT, started_at=9 * KEPT),
        ordered(home, tenant, cancelled_at=KEPT - MINUTE),
        ordered(home, tenant, cancelled_at=2 * KEPT, finished_at=KEPT - MINUTE),
    }
    purge(database_url)
    assert left(home, "operations") == stay


@pytest.mark.parametrize("tenant", TENANTS)
def test_sessions_go_once_no_token_of_theirs_is_good(
    home: Engine, database_url: str, tenant: str
) -> None:
    unused, over = refreshes.UNUSED, refreshes.AT_ALL
    signed_in(home, tenant, turned=unused + MINUTE, began=unused + MINUTE)
    signed_in(home, tenant, turned=MINUTE, began=over + MINUTE)
    stay = {
        signed_in(home, tenant, turned=unused - MINUTE, began=over - MINUTE),
        signed_in(home, tenant, turned=MINUTE, began=MINUTE),
    }
    purge(database_url)
    assert left(home, "refresh_families") == stay


def test_notes_on_void_tokens_go_once_those_have_expired(
    home: Engine, database_url: str
) -> None:
    with transaction(home) as connection:
        for number, age in enumerate((-MINUTE, MINUTE)):
            void_tokens.ban("home", connection, f"user:{number}@home")
            connection.execute(
                text("UPDATE void_tokens SET since = now() - :age WHERE subject = :who"),
                {
                    "age": void_tokens.KEPT + age,
                    "who": void_tokens.digest(f"user:{number}@home"),
                },
            )
    assert len(left(home, "void_tokens", "subject")) == 2
    purge(database_url)
    with transaction(home) as connection:
        assert set(void_tokens.list_all(connection)[1]) == {void_tokens.digest("user:0@home")}


def test_a_step_takes_a_few_of_one_tenant_alone(home: Engine) -> None:
    now = datetime.now(UTC)
    for tenant in TENANTS:
        for _ in range(3):
            ordered(home, tenant, finished_at=KEPT + MINUTE)
    steps = []
    for _ in range(3):
        with transaction(home) as connection:
            steps.append(purges.step("home", connection, now, ended_before=now - KEPT, limit=2))
    assert steps == [{"operations": 2}, {"operations": 1}, {}]
    assert len(left(home, "operations")) == 3


def test_the_companion_of_shard_0_does_it_and_no_other(home: Engine, database_url: str) -> None:
    ordered(home, "home", finished_at=KEPT + MINUTE)
    purge(database_url, shards=frozenset({1, 63}))
    assert len(left(home, "operations")) == 1
    purge(database_url, shards=frozenset({0}))
    assert left(home, "operations") == set()
