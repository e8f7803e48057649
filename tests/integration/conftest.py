"""A real PostgreSQL for the tests: one server a session, one fresh database a test."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Connection, Engine, event, make_url

from broker.server import MosquittoServer
from noctis.storage import migrate
from noctis.storage.engine import create, transaction
from noctis.storage.server import PostgresServer
from tests.integration.broker_fixtures import running_broker
from tests.timescale import npm


def _renamed(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


def _execute(url: str, statement: str, *names: str) -> None:
    query = sql.SQL(statement).format(*(sql.Identifier(name) for name in names))
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        connection.execute(query)


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder that an unprivileged server can reach; pytest's own ones are private."""
    folder = Path(tempfile.mkdtemp(prefix="noctis-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def named_timescale() -> str:
    """Return where TimescaleDB is for these tests: a URL, "npm", or "": plain PostgreSQL."""
    return os.environ.get("NOCTIS_TEST_TIMESCALE_URL", "")


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[str]:
    """The URL of a running PostgreSQL whose role may create databases.

    ``INTEGRATION_TEST_DATABASE_URL`` names another one than the tests' own, and
    ``NOCTIS_TEST_TIMESCALE_URL`` one with TimescaleDB, on which all storage is tested then;
    ``npm`` instead of a URL: each test has one out of the npm registry, of one connection.
    """
    elsewhere = named_timescale() or os.environ.get("INTEGRATION_TEST_DATABASE_URL")
    if elsewhere == npm.NAME:
        pytest.skip("TimescaleDB by npm is one database of one connection")
    if elsewhere:
        yield elsewhere
        return
    with PostgresServer(server_folder / "postgres", settings={"fsync": "off"}) as server:
        yield server.url


@pytest.fixture(scope="module")
def broker(server_folder: Path) -> Iterator[MosquittoServer]:
    """A broker of the module's own."""
    with running_broker(server_folder / f"broker-{token_hex(4)}") as server:
        yield server


@pytest.fixture(scope="module")
def own_postgres(server_folder: Path) -> Iterator[PostgresServer]:
    """A database of the module's own with the newest schema, to be stopped at will."""
    with PostgresServer(server_folder / f"postgres-{token_hex(4)}") as server:
        migrate.upgrade(server.url)
        yield server


@contextmanager
def _database(server: str, *, template: str = "template1") -> Iterator[str]:
    """A new database on a server for as long as the block runs; its URL."""
    name = f"noctis_test_{token_hex(6)}"
    _execute(server, "CREATE DATABASE {} TEMPLATE {}", name, template)
    try:
        yield _renamed(server, name)
    finally:
        _execute(server, "DROP DATABASE {} WITH (FORCE)", name)


@contextmanager
def fresh_timescale(request: pytest.FixtureRequest, where: str) -> Iterator[str]:
    """An empty database with TimescaleDB, on a server or by npm; its URL."""
    if where == npm.NAME:
        with npm.emptied(request.getfixturevalue("npm_timescale")) as url:
            yield url
        return
    with _database(where) as url:
        _execute(url, "CREATE EXTENSION IF NOT EXISTS timescaledb")
        yield url


@pytest.fixture(scope="session")
def migrated(postgres: str) -> Iterator[str]:
    """The name of a database with the newest schema, to be copied for each test."""
    if named_timescale():
        yield ""  # its background workers keep a template from being copied
        return
    with _database(postgres) as url:
        migrate.upgrade(url)
        yield str(make_url(url).database)


@contextmanager
def fresh_database(postgres: str, template: str) -> Iterator[str]:
    """A database with the newest schema for as long as the block runs; its URL."""
    if template:
        with _database(postgres, template=template) as url:
            yield url
        return
    with _database(postgres) as url:
        migrate.upgrade(url)
        yield url


@pytest.fixture
def empty_database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database without any table."""
    if named_timescale():
        with fresh_timescale(request, named_timescale()) as url:
            yield url
        return
    with _database(request.getfixturevalue("postgres")) as url:
        yield url


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a fresh database with the newest schema and no rows."""
    if named_timescale():
        url = request.getfixturevalue("empty_database_url")
        migrate.upgrade(url)
        yield url
        return
    server, template = (request.getfixturevalue(name) for name in ("postgres", "migrated"))
    with fresh_database(server, template) as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on the test's own database."""
    made = create(database_url, application="noctis-test")
    if named_timescale() == npm.NAME:  # others want the only connection too
        event.listen(made, "checkin", lambda _, record: record.invalidate())
    yield made
    made.dispose()


@pytest.fixture
def several_connections() -> None:
    """What a test asks for that needs more than one connection at a time."""
    if named_timescale() == npm.NAME:
        pytest.skip("TimescaleDB by npm serves one connection at a time")


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A transaction on the test's own database, committed at the test's end."""
    with transaction(engine, 60) as made:
        yield made
