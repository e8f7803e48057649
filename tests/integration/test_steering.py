"""Operators see running processes, and make faults happen in them that end by themselves."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine, make_url, text

from noctis.audit import Author
from noctis.errors import ConfigurationError, StorageError
from noctis.storage import steering
from noctis.storage.audit_reading import Filter, page
from noctis.storage.engine import create, transaction
from noctis.storage.errors import NotFoundError
from noctis.storage.steering import FaultsForbiddenError, Process, Seen
from tests.integration.broker_fixtures import eventually
from tests.parts import Part

OPS = Author("ops")
pytestmark = pytest.mark.postgres


def process(service: str, *, allows: bool = True, ahead_s: float = 0.0) -> Process:
    with_clock = 1_800_000_000.0 + ahead_s
    return Process(
        uuid4(), service, "vm", 7, "0.1", allows, with_clock, None, breakers=[], faults=[]
    )


def beat(engine: Engine, it: Process) -> list[str]:
    with transaction(engine) as connection:
        return [order.rules for order in steering.beat(connection, it).orders]


def order(engine: Engine, rules: str, *services: str, seconds: float = 60.0) -> None:
    with transaction(engine) as connection:
        steering.order(connection, rules, services, seconds, author=OPS)


def actions(engine: Engine) -> list[str]:
    with transaction(engine) as connection:
        return [it.action for it in page(connection, Filter())]


def test_an_order_reaches_the_processes_that_ran_when_it_was_given(engine: Engine) -> None:
    ingestor, runner = process("ingestor"), process("runner")
    assert beat(engine, ingestor) == beat(engine, runner) == []
    order(engine, "database.commit=error", "ingestor")
    assert beat(engine, ingestor) == ["database.commit=error"]
    assert beat(engine, runner) == []
    assert beat(engine, process("ingestor")) == []  # started anew
    with transaction(engine) as connection:
        [given] = steering.list_orders(connection)
        steering.withdraw(connection, given.id, author=OPS)
    assert beat(engine, ingestor) == []
    assert actions(engine) == ["faults_withdrawn", "faults_ordered"]


def test_an_order_that_has_ended_reaches_nobody(engine: Engine) -> None:
    it = process("ingestor")
    beat(engine, it)
    order(engine, "database.commit=error", "ingestor", seconds=0.001)
    assert beat(engine, it) == []
    with transaction(engine) as connection, pytest.raises(NotFoundError, match="no open order"):
        steering.withdraw(connection, uuid4(), author=OPS)


@pytest.mark.parametrize(
    ("rules", "services", "seconds", "error"),
    [
        ("no.such=error", ["ingestor"], 60, ConfigurationError),
        ("database.commit=error", ["ingestor"], 3601, StorageError),
        ("database.commit=error", ["ingestor"], 0, StorageError),
        ("database.commit=error", ["nothing"], 60, NotFoundError),
        ("database.commit=error", [], 60, NotFoundError),
        ("database.commit=error", ["ingestor", "api"], 60, FaultsForbiddenError),
    ],
)
def test_an_order_is_refused_unless_all_of_it_is_right(
    engine: Engine, rules: str, services: list[str], seconds: float, error: type[Exception]
) -> None:
    for it in (process("ingestor"), process("api"), process("api", allows=False)):
        beat(engine, it)
    with transaction(engine) as connection, pytest.raises(error):
        steering.order(connection, rules, services, seconds, author=OPS)
    assert actions(engine) == []


def test_a_process_that_is_silent_is_shown_and_not_addressed(engine: Engine) -> None:
    silent, gone = process("ingestor"), process("ingestor")
    for it in (silent, gone):
        beat(engine, it)
    with transaction(engine) as connection:
        connection.execute(text("UPDATE processes SET seen_at = now() - interval '1 minute'"))
        steering.leave(connection, gone.id)
        [shown] = steering.list_processes(connection)
        with pytest.raises(NotFoundError, match="no process"):
            steering.order(connection, "database.commit=error", ["ingestor"], 60, author=OPS)
    assert shown.id == silent.id
    assert not shown.is_here


def test_a_clock_that_is_wrong_is_seen(engine: Engine) -> None:
    with transaction(engine) as connection:
        one = steering.beat(connection, process("ingestor")).clock_skew_s
        other = steering.beat(connection, process("ingestor", ahead_s=90)).clock_skew_s
    assert 85 < other - one < 95


@pytest.fixture
def authority(database_url: str, tmp_path: Path) -> Iterator[Part]:
    """A service that asks the database every second and allows faults."""
    environment = {
        "NOCTIS_DATABASE_URL": database_url,
        "NOCTIS_DATABASE_SECONDS": "2",
        "NOCTIS_VAR": str(tmp_path),
        "NOCTIS_FAULTS": "allowed",
        "NOCTIS_AUTHORITY_PORT": "0",
    }
    part = Part("broker.authority", environment, tmp_path / "authority.log")
    part.start()
    yield part
    part.stop()


@pytest.mark.usefixtures("several_connections")
def test_a_running_process_obeys_and_recovers_when_an_order_ends(
    engine: Engine, authority: Part
) -> None:
    def seen(holds: Callable[[Seen], bool]) -> bool:
        def look() -> bool:
            with transaction(engine) as connection:
                return any(holds(it) for it in steering.list_processes(connection))

        return eventually(look, within_s=30)

    assert seen(lambda it: it.service == "authority" and it.allows_faults and it.is_here)
    order(engine, "database.execute=error", "authority", seconds=3600)
    assert seen(lambda it: {each["state"] for each in it.breakers} != {"closed"})
    assert authority.metric("noctis_faults_injected_total") > 0
    assert authority.metric("noctis_faults_rules") == 1
    with transaction(engine) as connection:  # it hears so although its database is away
        steering.withdraw(connection, author=OPS)
    assert seen(lambda it: not it.faults and {e["state"] for e in it.breakers} == {"closed"})
    order(engine, "database.execute=error", "authority", seconds=3)
    assert seen(lambda it: bool(it.faults))
    assert seen(lambda it: not it.faults and {e["state"] for e in it.breakers} == {"closed"})
    assert authority.metric("noctis_faults_rules") == 0
    assert abs(authority.metric("noctis_clock_skew_seconds")) < 60
    authority.stop()
    with transaction(engine) as connection:
        assert steering.list_processes(connection) == []
    log = authority.log.read_text("utf-8")
    assert "faults_ordered" in log
    assert "faults_ended" in log


@pytest.mark.usefixtures("several_connections")
def test_a_fault_ends_in_time_while_the_database_is_away(
    engine: Engine, authority: Part, database_url: str
) -> None:
    def there() -> bool:
        with transaction(engine) as connection:
            return bool(steering.list_processes(connection))

    assert eventually(there, within_s=30)
    order(engine, "mqtt.deliver=drop", "authority", seconds=6)
    assert eventually(lambda: authority.metric("noctis_faults_rules") == 1, within_s=30)
    with engine.connect() as connection:
        name = connection.scalar(text("SELECT quote_ident(current_database())"))
    engine.dispose()
    other = make_url(database_url).set(database="template1")
    away = create(other.render_as_string(hide_password=False))
    try:
        forbid(away, str(name), allow=False)
        assert eventually(lambda: authority.metric("noctis_faults_rules") == 0, within_s=30)
        assert authority.metric("noctis_breaker_state") != 0
    finally:
        forbid(away, str(name), allow=True)
        away.dispose()


def forbid(engine: Engine, database: str, *, allow: bool) -> None:
    """Let nobody connect to a database, who is connected is thrown out; or let them again."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        word = "true" if allow else "false"
        connection.exec_driver_sql(f"ALTER DATABASE {database} ALLOW_CONNECTIONS {word}")
        if not allow:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :d"
                ),
                {"d": database.strip('"')},
            )
