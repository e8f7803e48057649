"""Users of a facade that log in, and what they are answered."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from api.scopes import ROLES
from noctis import passphrases
from noctis.storage import accounts, tenants, users
from noctis.storage.engine import create, transaction
from noctis.storage.server import PostgresServer
from tests.integration.facade_fixtures import Facade

PASSWORD = "correct horse battery staple"
HASHED = passphrases.hash_passphrase(PASSWORD)


@pytest.fixture(scope="module")
def database(own_postgres: PostgresServer) -> Iterator[Engine]:
    engine = create(own_postgres.url, application="noctis-test")
    with transaction(engine) as connection:
        for tenant in ("t1", "t2"):
            tenants.add(connection, tenant)
            users.add(tenant, connection, "ann", role="admin", password_hash=HASHED)
            users.add(tenant, connection, "root", role="platform", password_hash=HASHED)
        accounts.add("t1", connection, "sync@t1", "app", PASSWORD, role="admin")
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def facade(served: Facade) -> Facade:
    return served


@pytest.fixture
def bob(database: Engine, request: pytest.FixtureRequest) -> str:
    """A new member of t1; his login."""
    name = f"b{abs(hash(request.node.name)) % 10**9}"
    with transaction(database) as connection:
        users.add("t1", connection, name, role="member", password_hash=HASHED)
    return f"{name}@t1"


def ask(facade: Facade, **form: str) -> httpx.Response:
    return facade.client.post("/v1/auth/token", data=form)


def log_in(facade: Facade, login: str, password: str = PASSWORD, **more: str) -> httpx.Response:
    return ask(facade, grant_type="password", username=login, password=password, **more)


def signed_in(facade: Facade, login: str, **more: str) -> dict[str, Any]:
    document: dict[str, Any] = log_in(facade, login, **more).raise_for_status().json()
    return document


def refresh(facade: Facade, token: str, **more: str) -> httpx.Response:
    return ask(facade, grant_type="refresh_token", refresh_token=token, **more)


def bearer(document: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {document['access_token']}"}


def oauth_error(response: httpx.Response, code: str, status: int = 400) -> None:
    assert response.status_code == status, response.text
    assert response.json()["error"] == code
    assert response.headers["cache-control"] == "no-store"


def log_of(facade: Facade) -> str:
    return facade.child.tail(1_000_000)


def admin_of(facade: Facade, tenant: str = "t1", *scopes: str) -> dict[str, str]:
    wanted = scopes or tuple(ROLES["admin"])
    return facade.speaker(*wanted, tenant=tenant, subject=f"user:ann@{tenant}")
