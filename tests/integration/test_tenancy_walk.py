"""Every path and method that the OpenAPI tells of, asked by those who must not be answered.

Routes to come are walked without a word here, as long as their parameters' names are known
(``walk.OWNED``, ``walk.COMMON``) and their bodies have examples.
"""

import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import Engine

from api.app import create_app
from api.problems import MEDIA_TYPE
from api.scopes import SCOPES
from api.tokens import AUDIENCE, ISSUER, TYPE, Keyring
from noctis.identity import Principal
from noctis.settings import Settings
from noctis.storage.engine import create
from tests.integration.conftest import fresh_database
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


Forge = Callable[[dict[str, Any], dict[str, str], Keyring], str]


def _signed(claims: dict[str, Any], headers: dict[str, str], keys: Keyring) -> str:
    [*_, key] = keys.keys().values()
    return jwt.encode(claims, key.private, "EdDSA", headers=headers)


def _confused(claims: dict[str, Any], headers: dict[str, str], keys: Keyring) -> str:
    """Sign with HMAC, with the public key for a secret (as no library does any more)."""
    [*_, key] = keys.keys().values()
    public = key.private.public_key()
    unsigned = jwt.encode(claims, "x" * 64, "HS256", headers=headers).rpartition(".")[0]
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    mac = hmac.digest(pem, unsigned.encode(), sha256)
    return f"{unsigned}.{urlsafe_b64encode(mac).decode().rstrip('=')}"


def _other_key(claims: dict[str, Any], headers: dict[str, str], _keys: Keyring) -> str:
    return jwt.encode(claims, Ed25519PrivateKey.generate(), "EdDSA", headers=headers)


def _unsigned(claims: dict[str, Any], headers: dict[str, str], _keys: Keyring) -> str:
    return jwt.encode(claims, None, "none", headers=headers)  # type: ignore[arg-type]


def _swapped(claims: dict[str, Any], headers: dict[str, str], keys: Keyring) -> str:
    """Put another tenant's claims under a good signature."""
    head, _, signature = _signed(claims, headers, keys).split(".")
    other = _signed(claims | {"tenant": "home"}, headers, keys).split(".")[1]
    return f"{head}.{other}.{signature}"


def _changed(**changes: Any) -> Forge:  # noqa: ANN401 - any claim
    def forge(claims: dict[str, Any], headers: dict[str, str], keys: Keyring) -> str:
        changed = {k: v for k, v in (claims | changes).items() if v is not None}
        return _signed(changed, headers, keys)

    return forge


def _headed(**changes: str) -> Forge:
    def forge(claims: dict[str, Any], headers: dict[str, str], keys: Keyring) -> str:
        return _signed(claims, headers | changes, keys)

    return forge


FORGED: Final[dict[str, Forge]] = {
    "without a signature": _unsigned,
    "signed by HMAC with the public key": _confused,
    "signed by another key under our key's id": _other_key,
    "of another tenant under this one's signature": _swapped,
    "under an unknown key's id": _headed(kid="unknown"),
    "of another type": _headed(typ="JWT"),
    "for another audience": _changed(aud="another-api"),
    "of another issuer": _changed(iss="mallory"),
    "without an end": _changed(exp=None),
    "without a beginning": _changed(iat=None),
    "without a name": _changed(jti=None),
    "without a tenant": _changed(tenant=None),
    "of a tenant that cannot be": _changed(tenant="svc-live-0"),
    "of a tenant that is no text": _changed(tenant=["inn"]),
    "that has expired": _changed(exp=1_700_000_000),
    "that begins tomorrow": _changed(nbf=4_000_000_000),
}


@pytest.mark.parametrize("kind", ["", "nothing", "Bearer", *FORGED])
def test_without_a_good_token_nothing_is_answered(
    kind: str, caller: Caller, keys: Keyring, guarded: list[Operation]
) -> None:
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "walker@inn",
        "client_id": "walker@inn",
        "tenant": "inn",
        "scope": " ".join(SCOPES),
        "iat": now,
        "exp": now + 600,
        "jti": "walk",
    }
    headers = {"kid": next(iter(keys.keys())), "typ": TYPE}
    if kind in FORGED:
        assert keys.verify(_signed(claims, headers, keys)).tenant == "inn"
        forged: str | None = FORGED[kind](claims, headers, keys)
    else:
        forged = kind or None
    for operation in guarded:
        answer = caller.ask(operation, {}, forged)
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
