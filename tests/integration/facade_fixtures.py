"""The facade as a process, and a client of it that makes its own tokens."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from api.problems import MEDIA_TYPE
from api.scopes import SCOPES
from api.tokens import Keyring
from broker.server import MosquittoServer
from noctis.childproc import Child, free_port
from noctis.identity import Principal
from noctis.storage.engine import create
from noctis.storage.server import PostgresServer
from tests.integration.broker_fixtures import eventually
from tests.integration.conftest import fresh_database
from tests.integration.inference_fixtures import add_devices

PASSWORD = "the phone's own"


class Facade:
    """The facade and a client of it."""

    def __init__(
        self, broker_port: int, database_url: str, folder: Path, *command: str, port: int = 0
    ) -> None:
        self.port = port or free_port()
        self.database_url = database_url
        environment = {
            **os.environ,
            "NOCTIS_VAR": str(folder / "var"),
            "NOCTIS_BROKER_PORT": str(broker_port),
            "NOCTIS_DATABASE_URL": database_url,
            "NOCTIS_DATABASE_SECONDS": "2",
            "NOCTIS_API_PORT": str(self.port),
        }
        self.var = folder / "var"
        self.child = Child(
            command or (sys.executable, "-m", "api"),
            log=folder / "api.log",
            environment=environment,
        )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=15)

    def answers(self) -> bool:
        try:
            return self.client.get("/healthz").is_success
        except httpx.HTTPError:
            return False

    def ask_for_token(self, username: str, password: str = PASSWORD) -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "client_id": username,
            "client_secret": password,
        }
        return self.client.post("/v1/auth/token", data=form)

    def headers(self, username: str = "phone@t1") -> dict[str, str]:
        token = self.ask_for_token(username).json()["access_token"]
        return {"Authorization": f"Bearer {token}"}

    def get(self, path: str, username: str = "phone@t1", **query: object) -> httpx.Response:
        params = {name: str(value) for name, value in query.items()}
        return self.client.get(path, params=params, headers=self.headers(username))

    def speaker(self, *scopes: str, tenant: str = "t1", subject: str = "ann") -> dict[str, str]:
        """Return the headers of somebody with these scopes, all of them without any."""
        granted = frozenset(scopes or SCOPES)
        token = Keyring(self.var / "keys").issue(Principal(subject, tenant, granted))
        return {"Authorization": f"Bearer {token}"}


@contextmanager
def running_facade(facade: Facade) -> Iterator[Facade]:
    try:
        assert eventually(facade.answers, within_s=30), facade.child.tail()
        yield facade
    finally:
        facade.client.close()
        facade.child.stop(within_s=20)


def problem_of(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    problem: dict[str, Any] = response.json()
    return problem


@contextmanager
def own_facade(postgres: str, template: str, folder: Path) -> Iterator[tuple[Facade, Engine]]:
    """A facade on a database of its own with t1/d1, t1/d2 and t2/d1; nobody is a broker."""
    with fresh_database(postgres, template) as url:
        engine = create(url, application="noctis-test")
        add_devices(engine)
        with running_facade(Facade(free_port(), url, folder)) as facade:
            yield facade, engine
        engine.dispose()


Both = tuple[Facade, Engine]


@pytest.fixture(scope="module")
def both(
    postgres: str, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Both]:
    """A facade of the module's own, and its database."""
    with own_facade(postgres, migrated, tmp_path_factory.mktemp("api")) as it:
        yield it


@pytest.fixture
def facade(both: Both) -> Facade:
    return both[0]


@pytest.fixture
def database(both: Both) -> Engine:
    return both[1]


@pytest.fixture(scope="module")
def served(
    broker: MosquittoServer,
    own_postgres: PostgresServer,
    database: Engine,  # noqa: ARG001 - what is asked for must be there
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Facade]:
    """A facade beside a broker, on the module's own ``database``."""
    folder = tmp_path_factory.mktemp("api")
    with running_facade(Facade(broker.port, own_postgres.url, folder)) as it:
        yield it
