"""The audit in a real database: written with what it tells of, never changed, verified."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import ProgrammingError
from structlog.testing import capture_logs

from noctis import faults
from noctis.audit_chain import Finding
from noctis.errors import StorageError
from noctis.settings import Settings
from noctis.storage import audit, audit_proof, audit_reading, guards, tenants
from noctis.storage.audit_reading import Filter
from noctis.storage.database import Database
from noctis.storage.engine import transaction

pytestmark = pytest.mark.postgres

ADMIN = "user:ann@home"


@pytest.fixture
def home(engine: Engine) -> Engine:
    """A database with two tenants and an entry of each, and one of the platform."""
    with transaction(engine) as connection:
        key = tenants.add(connection, "home").id
        tenants.add(connection, "inn")
        audit.record_platform(connection, "tenant_added", by="ops", target="home", key=key)
    with transaction(engine) as connection:
        audit.record("home", connection, "user_added", by=ADMIN, target="bob", role="member")
        audit.record(
            "inn", connection, "login_slowed", by="eve", address="192.0.2.1", outcome="refused"
        )
    return engine


def findings(engine: Engine, anchor: bytes | None = None) -> list[Finding]:
    with transaction(engine) as connection:
        return audit_proof.verify(connection, anchor).findings


def head(engine: Engine) -> tuple[int, bytes]:
    with transaction(engine) as connection:
        found = audit_proof.head(connection)
    assert found is not None
    return found


def test_what_was_done_is_found_again_with_who_what_where_and_when(home: Engine) -> None:
    with transaction(home) as connection:
        newest, middle, oldest = audit_reading.page(connection, Filter())
    assert (newest.number, middle.number, oldest.number) == (3, 2, 1)
    assert (middle.tenant, middle.actor, middle.target) == ("home", ADMIN, "bob")
    assert (middle.action, middle.outcome) == ("user_added", "done")
    assert middle.facts == {"role": "member"}
    assert (newest.address, newest.outcome) == ("192.0.2.1", "refused")
    assert oldest.tenant is None
    assert abs(datetime.now(UTC) - newest.at) < timedelta(minutes=5)
    assert findings(home) == []


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Filter(tenant="home"), [2]),
        (Filter(actor="eve"), [3]),
        (Filter(action="tenant_added"), [1]),
        (Filter(since=datetime(2100, 1, 1, tzinfo=UTC)), []),
        (Filter(until=datetime(2100, 1, 1, tzinfo=UTC)), [3, 2, 1]),
        (Filter(tenant="nobody"), []),
    ],
)
def test_entries_are_found_by_tenant_actor_action_and_time(
    home: Engine, wanted: Filter, numbers: list[int]
) -> None:
    with transaction(home) as connection:
        assert [it.number for it in audit_reading.page(connection, wanted)] == numbers


def test_entries_come_in_pages(home: Engine) -> None:
    with transaction(home) as connection:
        first = audit_reading.page(connection, Filter(), limit=2)
        rest = audit_reading.page(connection, Filter(), before=first[-1].number, limit=2)
    assert [it.number for it in (*first, *rest)] == [3, 2, 1]


def test_entries_are_counted_by_period(home: Engine) -> None:
    with transaction(home) as connection:
        found = audit_reading.counts(connection, Filter(), "month")
    assert {(it.action, it.outcome, it.entries) for it in found} == {
        ("tenant_added", "done", 1),
        ("user_added", "done", 1),
        ("login_slowed", "refused", 1),
    }


def test_what_was_rolled_back_is_neither_in_the_chain_nor_in_the_log(home: Engine) -> None:
    with capture_logs() as lines, suppress(KeyError), transaction(home) as connection:
        audit.record("home", connection, "user_removed", by=ADMIN, target="bob")
        raise KeyError
    assert head(home)[0] == 3
    assert lines == []
    with capture_logs() as lines, transaction(home) as connection:
        audit.record("home", connection, "user_removed", by=ADMIN, target="bob")
        assert lines == []
    [line] = lines
    assert (line["event"], line["by"], line["target"]) == ("user_removed", ADMIN, "bob")
    assert head(home)[0] == 4


@pytest.mark.parametrize("table", ["audit", "audit_details"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET action = 'nothing'",
        "DELETE FROM {}",
        "DELETE FROM {} WHERE action = 'tenant_added'",
        "TRUNCATE {}",
        "SET LOCAL session_replication_role = replica; DELETE FROM {}",
    ],
)
def test_the_owner_of_the_tables_can_neither_change_nor_remove_an_entry(
    home: Engine, table: str, statement: str
) -> None:
    with pytest.raises(StorageError, match="only grows"), transaction(home) as connection:
        connection.exec_driver_sql(statement.format(table))
    assert findings(home) == []
    assert head(home)[0] == 3


def test_a_row_that_somebody_inserts_comes_last_whatever_it_says(home: Engine) -> None:
    with transaction(home) as connection:
        connection.execute(
            text(
                "INSERT INTO audit SELECT 2, '2020-01-01', details, tenant_key, action, "
                "outcome, commitment, hash FROM audit WHERE number = 2"
            )
        )
    with transaction(home) as connection:
        last = audit_reading.page(connection, Filter(), limit=1)[0]
    assert last.number == 4
    assert last.at.year > 2020
    assert findings(home) == []


def unguarded(statement: str) -> Callable[[Connection], None]:
    """Return what a superuser could do: take the guards away, and put them back."""

    def work(connection: Connection) -> None:
        for table in ("audit", "audit_details"):
            connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        connection.exec_driver_sql(statement)

    return work


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE audit SET action = 'nothing' WHERE number = 2", "its hash is wrong"),
        ("UPDATE audit SET at = at - interval '1 hour' WHERE number = 2", "its hash is wrong"),
        ("UPDATE audit SET tenant_key = NULL WHERE number = 2", "its hash is wrong"),
        ("UPDATE audit_details SET actor = 'eve' WHERE id = 2", "its details were changed"),
        ("UPDATE audit_details SET facts = '{}' WHERE id = 2", "its details were changed"),
        ("DELETE FROM audit_details WHERE id = 2", "gone without an erasure"),
        ("DELETE FROM audit WHERE number = 2", "entry 2 should stand here"),
        ("DELETE FROM audit WHERE number = 3", "have no entry"),
        ("UPDATE audit SET number = 9 WHERE number = 2", "entry 2 should stand here"),
        (
            """INSERT INTO audit SELECT 4, at, details, tenant_key, action, outcome, commitment,
                      hash FROM audit WHERE number = 3""",
            "its hash is wrong",
        ),
    ],
)
def test_what_a_superuser_changes_is_found(home: Engine, statement: str, found: str) -> None:
    with transaction(home) as connection:
        unguarded(statement)(connection)
    assert any(found in it.what for it in findings(home)), findings(home)


def test_a_chain_that_was_cut_off_is_found_by_a_head_that_was_kept_elsewhere(
    home: Engine,
) -> None:
    _, anchor = head(home)
    with transaction(home) as connection:
        audit.record_platform(connection, "key_rotated", by="ops")
    assert findings(home, anchor) == []
    with transaction(home) as connection:
        unguarded("DELETE FROM audit WHERE number > 2")(connection)
        connection.exec_driver_sql("DELETE FROM audit_details WHERE id > 2")
    assert findings(home) == []  # it looks like an honest one
    [it] = findings(home, anchor)
    assert "anchored head is not in this chain" in it.what


def test_an_erasure_takes_every_name_and_leaves_a_chain_that_is_verified(home: Engine) -> None:
    with transaction(home) as connection:
        key = tenants.id_of("home", connection)
        audit.record("home", connection, "device_added", by=ADMIN, target="home/bed")
        audit.record("home", connection, "device_added", by=ADMIN, target="home/cot")
    _, anchor = head(home)
    with transaction(home) as connection:
        audit.forget(key, connection, "home/bed", erasure=1)
    with transaction(home) as connection:
        left = [it for it in audit_reading.page(connection, Filter()) if it.actor == ADMIN]
        assert [it.target for it in left] == ["home/cot", "bob"]
    with transaction(home) as connection:
        audit.forget(key, connection, None, erasure=2)
        connection.execute(text("DELETE FROM tenants WHERE id = :key"), {"key": key})
    assert findings(home, anchor) == []
    with transaction(home) as connection:
        kept = audit_reading.page(connection, Filter())
        words = connection.scalars(
            text("SELECT t::text FROM audit t UNION ALL SELECT t::text FROM audit_details t")
        ).all()
    assert [it.action for it in kept if it.tenant_key == key] == [
        *("device_added", "device_added", "user_added"),
    ]
    assert not any(name in word for word in words for name in ("ann", "bob", "home/"))


def test_the_facade_writes_of_its_own_tenant_alone_and_reads_nothing(home: Engine) -> None:
    with transaction(home) as connection:
        guards.enter(connection, "home")
        audit.record("home", connection, "app_added", by=ADMIN, target="phone@home")
    assert head(home)[0] == 4
    for tenant in ("inn", ""):
        with transaction(home) as one:
            guards.enter(one, "home")
            with pytest.raises(ProgrammingError, match="another tenant"):
                audit.record(tenant, one, "app_added", by=ADMIN)
            one.rollback()
    for statement in (
        "SELECT * FROM audit",
        "SELECT * FROM audit_details",
        "INSERT INTO audit_details (action, actor) VALUES ('a', 'b')",
    ):
        with home.connect() as connection:
            guards.enter(connection, "home")
            with pytest.raises(ProgrammingError, match="permission denied"):
                connection.execute(text(statement))
    assert findings(home) == []


def test_no_name_is_kept_of_a_tenant_that_there_is_not(home: Engine) -> None:
    with transaction(home) as connection:
        audit.record("nobody", connection, "login_slowed", by="eve@nobody", address="::1")
    with transaction(home) as connection:
        [it] = audit_reading.page(connection, Filter(), limit=1)
    assert (it.actor, it.target, it.address) == ("unknown", "", "")


@pytest.mark.usefixtures("several_connections")
def test_many_who_write_at_once_make_one_chain_and_wait_for_nobody_idle(home: Engine) -> None:
    idle = home.connect()
    idle.begin()
    audit.record_platform(idle, "key_rotated", by="slow")  # no place in the chain before COMMIT

    def write(who: int) -> None:
        for turn in range(10):
            with transaction(home) as connection:
                audit.record("home", connection, "touched", by=f"user:{who}", turn=turn)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))
    assert head(home)[0] == 33
    idle.commit()
    idle.close()
    assert head(home)[0] == 34
    assert findings(home) == []


@pytest.mark.usefixtures("home")
def test_a_facade_that_writes_an_entry_tells_the_log_too(database_url: str) -> None:
    database = Database(Settings(database_url=SecretStr(database_url)), application="test")

    async def main() -> None:
        await database.of(lambda: "home").call(
            lambda it: audit.record("home", it, "app_added", by=ADMIN, target="phone@home")
        )

    with capture_logs() as lines:
        anyio.run(main)
    database.close()
    assert [it["event"] for it in lines if it.get("audit")] == ["app_added"]


def test_a_commit_that_fails_tells_nobody(home: Engine) -> None:
    faults.use("database.commit=error", {"NOCTIS_FAULTS": "allowed"})
    try:
        with (
            capture_logs() as lines,
            pytest.raises(StorageError),
            transaction(home) as connection,
        ):
            audit.record("home", connection, "user_removed", by=ADMIN)
    finally:
        faults.clear()
    assert [it for it in lines if it.get("audit")] == []
