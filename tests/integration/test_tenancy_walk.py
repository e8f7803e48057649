"""Every path and method that the OpenAPI tells of, asked by those who must not be answered.

Routes to come are walked without a word here, as long as their parameters' names are known
(``walk.OWNED``, ``walk.COMMON``) and their bodies have examples.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import Engine

from api.app import create_app
from api.problems import MEDIA_TYPE
from api.scopes import SCOPES
from api.tokens import INTERNAL_AUDIENCE, Keyring
from noctis.identity import Principal
from noctis.settings import Settings
from noctis.storage.engine import create
from tests.integration.conftest import fresh_database
from tests.integration.forgeries import FORGED, forged, genuine
from tests.integration.holdings import add_tenant, holdings, seed
from tests.integration.walk import (
    COMMON,
    OWNED,
    Answer,
    Caller,
    Operation,
    operations,
    serving,
)

pytestmark = pytest.mark.postgres

OPEN: Final = {
    "GET /healthz": "for monitors",
    "GET /readyz": "for monitors",
    "GET /metrics": "for monitors, without a name in it",
    "POST /v1/auth/token": "asks for a password instead",
    "POST /v1/auth/revoke": "asks for the refresh token itself",
    "POST /v1/auth/password": "asks for the old password",
    "GET /v1/auth/jwks.json": "public keys",
    "GET /v1/firmware/images/{sha256}": "for devices, which know the hash by their offer",
}
"""What is answered without a token, and why."""

PLATFORM: Final = {
    "experiments:write": "a platform's experiment may be for one tenant's devices"
}
"""Scopes with which a request may name a tenant, and why."""

UNFIT: Final = {400, 401, 403, 404, 405, 415, 422, 428}
"""How a request to one's own is not answered, unless it is no real request."""


@pytest.fixture(scope="module")
def database(postgres: str, migrated: str) -> Iterator[tuple[Engine, str]]:
    with fresh_database(postgres, migrated) as url:
        engine = create(url, application="noctis-test")
        for tenant in ("home", "inn"):
            add_tenant(engine, tenant)
        yield engine, url
        engine.dispose()


@pytest.fixture(scope="module")
def app(database: tuple[Engine, str], tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    var = tmp_path_factory.mktemp("walk")
    return create_app(Settings(var=var, database_url=SecretStr(database[1])))


@pytest.fixture(scope="module")
def caller(app: FastAPI) -> Iterator[Caller]:
    with serving(app) as url:
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


def token(keys: Keyring, tenant: str, *scopes: str) -> str:
    return keys.issue(Principal(f"walker@{tenant}", tenant, frozenset(scopes)))


def problem(answer: Answer, status: int, what: object) -> None:
    assert answer.status == status, f"{what}: {answer.status} {answer.text[:500]}"
    assert answer.headers["content-type"] == MEDIA_TYPE, what


def test_every_parameter_is_known_to_be_a_tenants_or_the_platforms(
    guarded: list[Operation],
) -> None:
    unknown = {
        f"{operation}: {it['name']}"
        for operation in guarded
        for it in operation.parameters
        if it["in"] == "path" and it["name"] not in (*OWNED, *COMMON)
    }
    assert not unknown


def test_no_request_can_name_a_tenant(guarded: list[Operation]) -> None:
    for operation in guarded:
        if PLATFORM.keys() & set(operation.scopes or ()):
            continue
        names = {it["name"] for it in operation.parameters}
        assert not {it for it in names if "tenant" in it.lower()}, operation
        request = operation.request({"tenant": "walked"})
        assert "walked" not in str(request), operation


def test_another_tenants_things_are_not_found_and_stay_as_they_were(
    database: tuple[Engine, str], caller: Caller, keys: Keyring, guarded: list[Operation]
) -> None:
    engine, _ = database
    theirs, ours = seed(engine, "home"), seed(engine, "inn")
    stranger = token(keys, "inn", *SCOPES)
    before = holdings(engine, "home")
    assert sum(map(len, before.values())) > 100
    for operation in guarded:
        for values in _mixtures(operation, theirs, ours):
            answer = caller.ask(operation, values, stranger)
            if operation.owned:
                problem(answer, 404, operation)
            assert answer.status < 500, f"{operation}: {answer.text}"
            sent = str(operation.request(values))  # its own words may come back
            leaked = [it for it in _telling(theirs) if it in answer.text and it not in sent]
            assert not leaked, f"{operation} tells {leaked}"
    assert holdings(engine, "home") == before


def _telling(names: dict[str, str]) -> list[str]:
    """Return the names that nobody else can have: no number, nor a word of one's own choice."""
    return [name for kind, name in names.items() if kind != "source" and len(name) > 6]


def _mixtures(
    operation: Operation, theirs: dict[str, str], ours: dict[str, str]
) -> list[dict[str, str]]:
    """Return requests with all names theirs, and each one theirs among ours."""
    several = operation.owned if len(operation.owned) > 1 else set()
    return [theirs, *(ours | {name: theirs[name]} for name in sorted(several))]


def test_the_same_requests_are_answered_to_the_tenant_itself(
    database: tuple[Engine, str], caller: Caller, keys: Keyring, guarded: list[Operation]
) -> None:
    """Else that nothing is found for a stranger would prove nothing."""
    engine, _ = database
    own = token(keys, "home", *SCOPES)
    unfit = []
    for operation in guarded:
        if not operation.owned:
            continue
        answer = caller.ask(operation, seed(engine, "home"), own)
        if answer.status in UNFIT or answer.status >= 500:
            unfit.append(f"{operation}: {answer.status} {answer.text[:300]}")
    assert not unfit


def test_lists_show_a_tenant_its_own_and_nobody_elses(
    database: tuple[Engine, str], caller: Caller, keys: Keyring, guarded: list[Operation]
) -> None:
    engine, _ = database
    ours, theirs = seed(engine, "inn"), seed(engine, "home")
    lists = [it for it in guarded if it.method == "get" and not it.owned]
    shown = 0
    for operation in lists:
        told = caller.ask(operation, {}, token(keys, "inn", *SCOPES)).text
        assert not [name for name in _telling(theirs) if name in told]
        shown += ours["device"] in told
    assert shown > 0


@pytest.mark.parametrize("kind", ["", "nothing", "Bearer", *FORGED])
def test_without_a_good_token_nothing_is_answered(
    kind: str, caller: Caller, keys: Keyring, guarded: list[Operation]
) -> None:
    sent = kind or None
    if kind in FORGED:
        assert keys.verify(genuine(keys, SCOPES)).tenant == "inn"
        sent = forged(kind, keys, SCOPES)
    for operation in guarded:
        answer = caller.ask(operation, {}, sent)
        problem(answer, HTTPStatus.UNAUTHORIZED, f"{operation} with a token {kind}")
        assert answer.headers["www-authenticate"].startswith("Bearer "), operation


def test_a_token_that_lacks_one_scope_of_a_route_is_refused_there(
    caller: Caller, keys: Keyring, guarded: list[Operation]
) -> None:
    for operation in guarded:
        assert operation.scopes, f"{operation} asks for no scope"
        for scope in operation.scopes:
            others = set(SCOPES) - {scope}
            answer = caller.ask(operation, {}, token(keys, "inn", *others))
            problem(answer, HTTPStatus.FORBIDDEN, operation)
            assert scope in answer.headers["www-authenticate"]
        problem(caller.ask(operation, {}, token(keys, "inn")), 403, operation)


def test_a_token_of_the_operators_listener_is_good_for_nothing_here(
    caller: Caller, keys: Keyring, guarded: list[Operation]
) -> None:
    others = Keyring(keys.folder, audience=INTERNAL_AUDIENCE)
    for operation in guarded:
        answer = caller.ask(operation, {}, token(others, "inn", *SCOPES))
        problem(answer, HTTPStatus.UNAUTHORIZED, operation)
