"""Every path of ``/internal``, asked by those who must not be answered, and by an operator."""

import json
import os
import socket
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Final

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import Engine

from api.app import create_app
from api.internal.app import create_internal_app
from api.problems import MEDIA_TYPE
from api.scopes import INTERNAL_SCOPES, SCOPES
from api.tokens import INTERNAL_AUDIENCE, Keyring
from noctis import passphrases
from noctis.childproc import Child, free_port
from noctis.identity import ROLES, Principal
from noctis.settings import Settings
from noctis.storage import users
from noctis.storage.engine import create, transaction
from tests.integration.broker_fixtures import eventually
from tests.integration.conftest import fresh_database
from tests.integration.forgeries import FORGED, forged, genuine
from tests.integration.holdings import add_tenant, seed
from tests.integration.test_tenancy_walk import OPEN
from tests.integration.walk import Answer, Caller, Operation, operations, serving

pytestmark = pytest.mark.postgres
PASSWORD: Final = "a long one, of the walker's own"


@pytest.fixture(scope="module")
def settings(
    postgres: str, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    with fresh_database(postgres, migrated) as url:
        engine = create(url, application="noctis-test")
        for tenant in ("home", "inn"):
            add_tenant(engine, tenant)
        _add_users(engine)
        seed(engine, "home")
        engine.dispose()
        yield Settings(
            var=tmp_path_factory.mktemp("internal"),
            database_url=SecretStr(url),
            services=f"nobody=127.0.0.1:{free_port()}",
        )


def _add_users(engine: Engine) -> None:
    hashed = passphrases.hash_passphrase(PASSWORD)
    with transaction(engine, 60) as connection:
        for role in ROLES:
            users.add("home", connection, f"the-{role}", role=role, password_hash=hashed)


@pytest.fixture(scope="module")
def app(settings: Settings) -> FastAPI:
    return create_internal_app(settings)


@pytest.fixture(scope="module")
def url(app: FastAPI) -> Iterator[str]:
    with serving(app) as it:
        yield it


@pytest.fixture(scope="module")
def caller(url: str) -> Iterator[Caller]:
    made = Caller(url)
    yield made
    made.close()


@pytest.fixture(scope="module")
def keys(app: FastAPI) -> Keyring:
    keyring: Keyring = app.state.noctis.keyring
    return keyring


@pytest.fixture(scope="module")
def guarded(app: FastAPI) -> list[Operation]:
    """The operations that ask for a token."""
    found = operations(app)
    assert {str(it) for it in found if it.scopes is None} <= OPEN.keys()
    return [it for it in found if it.scopes is not None]


def problem(answer: Answer, status: int, what: object) -> None:
    assert answer.status == status, f"{what}: {answer.status} {answer.text[:500]}"
    assert answer.headers["content-type"] == MEDIA_TYPE, what


def token(keys: Keyring, *scopes: str) -> str:
    return keys.issue(Principal("walker@home", "home", frozenset(scopes)))


@pytest.mark.parametrize("kind", ["", "nothing", "Bearer", *FORGED])
def test_without_a_good_token_nothing_is_answered(
    kind: str, caller: Caller, keys: Keyring, guarded: list[Operation]
) -> None:
    sent = kind or None
    if kind in FORGED:
        assert keys.verify(genuine(keys, INTERNAL_SCOPES, INTERNAL_AUDIENCE)).tenant == "inn"
        sent = forged(kind, keys, INTERNAL_SCOPES, INTERNAL_AUDIENCE)
    for operation in guarded:
        problem(caller.ask(operation, {}, sent), HTTPStatus.UNAUTHORIZED, operation)


def test_a_token_of_the_facade_finds_nothing_here_whatever_it_says(
    caller: Caller, keys: Keyring, guarded: list[Operation]
) -> None:
    facade = Keyring(keys.folder)
    for operation in guarded:
        sent = token(facade, *SCOPES, *INTERNAL_SCOPES)
        problem(caller.ask(operation, {}, sent), HTTPStatus.UNAUTHORIZED, operation)


def test_a_token_that_lacks_a_routes_scope_is_refused_there(
    caller: Caller, keys: Keyring, guarded: list[Operation]
) -> None:
    for operation in guarded:
        assert operation.scopes
        assert set(operation.scopes) <= INTERNAL_SCOPES.keys(), operation
        others = (INTERNAL_SCOPES.keys() | SCOPES.keys()) - set(operation.scopes)
        problem(caller.ask(operation, {}, token(keys, *others)), 403, operation)


def test_an_operator_is_answered_wherever_something_can_be_read(
    caller: Caller, keys: Keyring, guarded: list[Operation]
) -> None:
    read = [it for it in guarded if it.method == "get" and "{" not in it.path]
    assert read
    for operation in read:
        answer = caller.ask(operation, {}, token(keys, *INTERNAL_SCOPES))
        assert answer.status == HTTPStatus.OK, f"{operation}: {answer.text[:500]}"


@pytest.mark.parametrize("role", ROLES)
def test_the_platforms_role_alone_gets_a_token_here(role: str, url: str) -> None:
    form = {"grant_type": "password", "username": f"the-{role}@home", "password": PASSWORD}
    answer = httpx.post(f"{url}/v1/auth/token", data=form, timeout=20)
    if role != "platform":
        assert answer.status_code == HTTPStatus.BAD_REQUEST
        assert answer.json()["error"] == "invalid_scope"
        return
    assert set(answer.json()["scope"].split()) == INTERNAL_SCOPES.keys()
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert httpx.get(f"{url}/internal/monitoring", headers=headers, timeout=20).is_success


def test_the_facade_neither_grants_these_scopes_nor_knows_these_paths(
    settings: Settings, guarded: list[Operation], keys: Keyring
) -> None:
    facade = create_app(settings)
    assert "internal" not in str(facade.openapi())
    with serving(facade) as address:
        form = {"grant_type": "password", "username": "the-platform@home", "password": PASSWORD}
        asked = httpx.post(
            f"{address}/v1/auth/token", data=form | {"scope": "internal:read"}, timeout=20
        )
        assert asked.json()["error"] == "invalid_scope"
        granted = httpx.post(f"{address}/v1/auth/token", data=form, timeout=20).json()
        assert not set(granted["scope"].split()) & INTERNAL_SCOPES.keys()
        outside = Caller(address)
        for operation in guarded:
            for sent in (granted["access_token"], token(keys, *INTERNAL_SCOPES)):
                problem(outside.ask(operation, {}, sent), HTTPStatus.NOT_FOUND, operation)
        outside.close()


def test_a_session_of_the_facade_is_not_widened_by_refreshing_it_here(
    settings: Settings, url: str
) -> None:
    with serving(create_app(settings)) as address:
        form = {"grant_type": "password", "username": "the-platform@home", "password": PASSWORD}
        begun = httpx.post(f"{address}/v1/auth/token", data=form, timeout=20).json()
    again = {"grant_type": "refresh_token", "refresh_token": begun["refresh_token"]}
    answer = httpx.post(f"{url}/v1/auth/token", data=again, timeout=20).json()
    assert not answer.get("scope")


def test_one_part_that_fails_is_told_as_such_and_the_rest_is_told(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    away = settings.model_copy(
        update={
            "database_url": SecretStr(f"postgresql://noctis@127.0.0.1:{port}/noctis"),
            "database_seconds": 1,
        }
    )
    app = create_internal_app(away)
    headers = {"Authorization": f"Bearer {token(app.state.noctis.keyring, *INTERNAL_SCOPES)}"}
    with serving(app) as address:
        answer = httpx.get(f"{address}/internal/monitoring", headers=headers, timeout=20)
    assert answer.status_code == HTTPStatus.OK
    told = answer.json()
    assert told["tenants"]["ok"] is False
    assert told["tenants"]["reason"] == "the database cannot be reached"
    assert told["models"]["ok"] is True


def test_as_a_process_it_takes_a_free_port_names_it_and_ends_in_order(
    settings: Settings, tmp_path: Path
) -> None:
    log = tmp_path / "internal.log"
    environment = {
        **os.environ,
        "NOCTIS_VAR": str(tmp_path),
        "NOCTIS_DATABASE_URL": settings.database_url.get_secret_value(),
        "NOCTIS_INTERNAL_PORT": "0",
        "NOCTIS_LOG_FORMAT": "json",
    }
    child = Child([sys.executable, "-m", "api.internal"], log=log, environment=environment)
    try:
        assert eventually(lambda: '"listening"' in log.read_text(), within_s=40), child.tail()
        records = map(json.loads, log.read_text().splitlines())
        [port] = [it["port"] for it in records if it["event"] == "listening"]
        told = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=20).json()
        assert (told["status"], list(told["checks"])) == ("ready", ["database"])
    finally:
        code = child.stop(within_s=20)
    assert code == 0
