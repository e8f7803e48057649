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
from sqlalchemy import Connection, Engine, make_url

from broker.server import MosquittoServer
from noctis.storage import migrate
from noctis.storage.engine import create, transaction
from noctis.storage.server import PostgresServer
from tests.integration.broker_fixtures import running_broker

TEMPLATE = "noctis_template"


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


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[str]:
    """The URL of a running PostgreSQL whose role may create databases.

    ``INTEGRATION_TEST_DATABASE_URL`` names another one than the tests' own.
    """
    elsewhere = os.environ.get("INTEGRATION_TEST_DATABASE_URL")
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


@pytest.fixture(scope="session")
def migrated(postgres: str) -> Iterator[str]:
    """The name of a database with the newest schema, to be copied for each test."""
    name = f"{TEMPLATE}_{token_hex(4)}"
    _execute(postgres, "CREATE DATABASE {}", name)
    migrate.upgrade(_renamed(postgres, name))
    yield name
    _execute(postgres, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def empty_database_url(postgres: str) -> Iterator[str]:
    """The URL of a database without any table."""
    name = f"noctis_test_{token_hex(6)}"
    _execute(postgres, "CREATE DATABASE {}", name)
    yield _renamed(postgres, name)
    _execute(postgres, "DROP DATABASE {} WITH (FORCE)", name)


@contextmanager
def fresh_database(postgres: str, template: str) -> Iterator[str]:
    """A copy of the template for as long as the block runs; its URL."""
    name = f"noctis_test_{token_hex(6)}"
    _execute(postgres, "CREATE DATABASE {} TEMPLATE {}", name, template)
    try:
        yield _renamed(postgres, name)
    finally:
        _execute(postgres, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def database_url(postgres: str, migrated: str) -> Iterator[str]:
    """The URL of a fresh database with the newest schema and no rows."""
    with fresh_database(postgres, migrated) as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on the test's own database."""
    made = create(database_url, application="noctis-test")
    yield made
    made.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A transaction on the test's own database, committed at the test's end."""
    with transaction(engine, 60) as made:
        yield made
