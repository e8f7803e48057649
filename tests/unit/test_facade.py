import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from structlog.testing import capture_logs

from api.app import create_app
from api.checks import Answer, Readiness
from api.middleware import MAX_BODY_BYTES
from api.problems import MEDIA_TYPE, InvalidField, invalid
from api.scopes import APP_SCOPES
from api.tokens import AUDIENCE, ISSUER, LIFETIME_S, TYPE, Keyring
from inference.model import DEFAULT_FOLDER
from noctis import faults
from noctis.childproc import free_port
from noctis.errors import StorageError, StorageUnavailableError
from noctis.identity import Principal
from noctis.settings import Settings
from registry.manifest import read_manifest
from registry.store import Registry

PHONE = Principal("phone@t1", "t1", frozenset(APP_SCOPES))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that name a database and a broker that are not there."""
    database, broker = free_port(), free_port()
    return Settings(
        var=tmp_path,
        database_url=f"postgresql://noctis@127.0.0.1:{database}/noctis",
        database_seconds=1,
        broker_port=broker,
    )


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture
def keyring(settings: Settings) -> Keyring:
    return Keyring(settings.token_keys)


def ask(app: FastAPI, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401
    async def exchange() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://noctis") as client:
            return await client.request(method, path, **options)

    return anyio.run(exchange)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def problem_of(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == MEDIA_TYPE
    problem: dict[str, Any] = response.json()
    assert problem["status"] == response.status_code
    assert problem["title"]
    return problem


def test_the_process_is_alive_without_database_and_broker(app: FastAPI) -> None:
    assert ask(app, "GET", "/healthz").json() == {"status": "alive"}


def test_readiness_names_what_does_not_answer(app: FastAPI) -> None:
    response = ask(app, "GET", "/readyz")
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    checks = problem_of(response)["checks"]
    assert {name for name, check in checks.items() if not check["ok"]} == {"broker", "database"}
    assert checks["broker"]["reason"] == "cannot be reached"
    assert checks["model"]["version"] == read_manifest(DEFAULT_FOLDER).full_name


def break_the_champion(settings: Settings) -> None:
    Registry(settings.models).alias_path("champion").parent.mkdir(parents=True)
    Registry(settings.models).alias_path("champion").write_text("gone\n")


def test_a_facade_whose_champion_is_broken_serves_another_and_says_so_and_not_where_it_lies(
    settings: Settings, app: FastAPI
) -> None:
    break_the_champion(settings)
    check = problem_of(ask(app, "GET", "/readyz"))["checks"]["model"]
    assert check["ok"] is True
    assert check["version"] == read_manifest(DEFAULT_FOLDER).full_name
    assert check["reason"].startswith("the champion does not load")


def test_a_facade_without_a_model_says_so_and_not_where_it_lies(app: FastAPI) -> None:
    faults.use("model.load=error", {"NOCTIS_FAULTS": "allowed"})
    try:
        check = problem_of(ask(app, "GET", "/readyz"))["checks"]["model"]
    finally:
        faults.clear()
    assert check["ok"] is False
    assert check["reason"] == "it is missing or damaged; the log says more"


def test_a_facade_is_degraded_where_all_answers_but_not_as_it_should(app: FastAPI) -> None:
    async def well() -> Answer:
        return Answer("v2")

    async def another() -> Answer:
        return Answer("v1", "the champion does not load")

    for probe, status in ((well, "ready"), (another, "degraded")):
        readiness = Readiness({"model": probe})
        app.state.noctis = replace(app.state.noctis, readiness=readiness)
        response = ask(app, "GET", "/readyz")
        assert response.status_code == 200
        assert response.json()["status"] == status


def test_a_process_that_is_about_to_end_is_not_ready(app: FastAPI) -> None:
    app.state.noctis.readiness.draining = True
    assert "about to end" in problem_of(ask(app, "GET", "/readyz"))["detail"]


def test_metrics_count_requests_by_the_routes_template(app: FastAPI, keyring: Keyring) -> None:
    ask(app, "GET", "/v1/devices/a-secret-name", headers=bearer(keyring.issue(PHONE)))
    ask(app, "GET", "/another-secret-name")
    text = ask(app, "GET", "/metrics").text
    assert 'route="/v1/devices/{device}"' in text
    assert 'route="unknown",status="404"' in text
    assert "secret-name" not in text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("DELETE", "/v1/devices", 405),
        ("GET", "/v1/devices", 401),
        ("GET", "/v1/devices/d1", 401),
        ("GET", "/v1/devices/d1/epochs", 401),
        ("GET", "/v1/devices/d1/predictions", 401),
    ],
)
def test_the_frameworks_own_errors_are_problems_too(
    app: FastAPI, method: str, path: str, status: int
) -> None:
    response = ask(app, method, path)
    assert response.status_code == status
    assert problem_of(response)["instance"] == path
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_verb_behind_a_name_is_no_part_of_the_name(app: FastAPI, keyring: Keyring) -> None:
    headers = bearer(keyring.issue(PHONE))
    assert ask(app, "GET", "/v1/devices/d1:revoke", headers=headers).status_code in {404, 405}


def test_every_route_that_is_not_open_asks_for_a_token(app: FastAPI) -> None:
    names = ("token", "revoke", "password", "jwks.json")
    opened = {"/healthz", "/readyz", "/metrics", *(f"/v1/auth/{name}" for name in names)}
    opened.add("/v1/firmware/images/{sha256}")  # who knows the hash was offered the image
    for path, methods in app.openapi()["paths"].items():
        for method in methods:
            if path not in opened:
                response = ask(app, method.upper(), path.replace("{device}", "d1"))
                assert response.status_code == 401, path
                assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic eDp5", "Bearer a.b.c"])
def test_what_is_no_token_is_refused(app: FastAPI, header: str) -> None:
    response = ask(app, "GET", "/v1/devices", headers={"Authorization": header})
    assert response.status_code == 401


Forgery = Callable[[Keyring, dict[str, Any]], str]


def forged(keyring: Keyring, claims: dict[str, Any], kid: str | None = None) -> str:
    [key] = keyring.keys().values()
    headers = {"kid": key.kid if kid is None else kid, "typ": TYPE}
    return jwt.encode(claims, key.private, "EdDSA", headers=headers)


def unsigned(keyring: Keyring, claims: dict[str, Any]) -> str:
    [key] = keyring.keys().values()
    return jwt.encode(claims, None, "none", headers={"kid": key.kid, "typ": TYPE})


def signed_with_the_public_key(keyring: Keyring, claims: dict[str, Any]) -> str:
    [key] = keyring.keys().values()
    public = key.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return jwt.encode(claims, public, "HS256", headers={"kid": key.kid, "typ": TYPE})


FORGERIES: dict[str, Forgery] = {
    "alg none": unsigned,
    "HS256 with the public key": signed_with_the_public_key,
    "expired": lambda keys, it: forged(keys, {**it, "exp": it["iat"] - 1}),
    "no exp": lambda keys, it: forged(keys, {k: v for k, v in it.items() if k != "exp"}),
    "another audience": lambda keys, it: forged(keys, {**it, "aud": "another"}),
    "an unknown key": lambda keys, it: forged(keys, it, kid="unknown"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_token_is_refused(app: FastAPI, keyring: Keyring, name: str) -> None:
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "phone@t1",
        "tenant": "t1",
        "scope": " ".join(APP_SCOPES),
        "iat": now,
        "exp": now + LIFETIME_S,
        "jti": "one",
    }
    headers = bearer(FORGERIES[name](keyring, claims))
    response = ask(app, "GET", "/v1/devices", headers=headers)
    assert response.status_code == 401
    assert 'error="invalid_token"' in response.headers["www-authenticate"]
    good = ask(app, "GET", "/v1/devices", headers=bearer(forged(keyring, claims)))
    assert good.status_code == 503  # it passes, as far as the database that is not there


def test_a_token_without_the_routes_scope_is_refused(app: FastAPI, keyring: Keyring) -> None:
    narrow = keyring.issue(Principal("phone@t1", "t1", frozenset({"devices:read"})))
    response = ask(app, "GET", "/v1/devices/d1/epochs", headers=bearer(narrow))
    assert response.status_code == 403
    assert 'scope="epochs:read"' in response.headers["www-authenticate"]
    assert problem_of(response)["detail"] == "the token lacks epochs:read"


def test_a_database_that_is_away_is_a_503_with_a_time_to_come_back(
    app: FastAPI, keyring: Keyring
) -> None:
    response = ask(app, "GET", "/v1/devices", headers=bearer(keyring.issue(PHONE)))
    assert response.status_code == 503
    assert problem_of(response)["type"] == "urn:noctis:problem:database-unavailable"
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "query",
    [
        "page_size=0",
        "page_size=many",
        "since=2026-01-01T00:00:00",
        "since=1999-12-31T00:00:00Z",
        "until=9999-12-31T23:59:59-14:00",
        "since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z",
        f"page_token={'x' * 600}",
    ],
)
def test_a_parameter_that_makes_no_sense_is_named(
    app: FastAPI, keyring: Keyring, query: str
) -> None:
    headers = bearer(keyring.issue(PHONE))
    response = ask(app, "GET", f"/v1/devices/d1/epochs?{query}", headers=headers)
    assert response.status_code == 422
    assert query.partition("=")[0] in problem_of(response)["detail"]


@pytest.mark.parametrize(
    "token",
    ["abc", "%00", "é", "bnVsbA", "W10", "WzEsMl0", "[]", "eyJhIjoxfQ", "WyIwIixbIngiXV0"],
)
def test_a_page_token_that_is_not_ours_is_refused(
    app: FastAPI, keyring: Keyring, token: str
) -> None:
    headers = bearer(keyring.issue(PHONE))
    for path in ("/v1/devices/d1/epochs", "/v1/devices/d1/predictions"):
        response = ask(app, "GET", f"{path}?page_token={token}", headers=headers)
        assert response.status_code == 400
        assert problem_of(response)["type"] == "urn:noctis:problem:page-token"


@pytest.mark.parametrize("device", ["Bedroom", "a" * 33, "a%00", "a.b", "%F0%9F%98%B4"])
def test_a_name_that_no_device_can_have_is_refused(
    app: FastAPI, keyring: Keyring, device: str
) -> None:
    headers = bearer(keyring.issue(PHONE))
    response = ask(app, "GET", f"/v1/devices/{device}", headers=headers)
    assert response.status_code == 422
    [field] = problem_of(response)["errors"]
    assert (field["location"], field["pointer"]) == ("path.device", "#/path/device")


def test_a_pointer_leads_from_the_bodys_root_and_escapes_what_would_lead_astray() -> None:
    field = InvalidField.at(("body", "labels", 3, "a/b~c"), "is wrong")
    assert (field.location, field.pointer) == ("body.labels.3.a/b~c", "#/labels/3/a~1b~0c")


def test_what_utf_8_cannot_hold_is_named_too(app: FastAPI) -> None:
    @app.get("/odd")
    def odd() -> None:
        raise invalid(("body", "\udfff"), "is \ud800")

    problem = problem_of(ask(app, "GET", "/odd"))
    assert problem["errors"][0]["pointer"] == "#/\udfff"


def test_two_authorization_headers_are_one_too_many(app: FastAPI, keyring: Keyring) -> None:
    good = bearer(keyring.issue(PHONE))
    headers = [*good.items(), ("Authorization", "Bearer another")]
    response = ask(app, "GET", "/v1/devices", headers=headers)
    assert response.status_code == 400
    problem_of(response)


def test_the_scheme_of_a_token_may_be_written_in_any_case(
    app: FastAPI, keyring: Keyring
) -> None:
    headers = {"Authorization": f"bEARER {keyring.issue(PHONE)}"}
    assert ask(app, "GET", "/v1/devices", headers=headers).status_code == 503


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "password"}, "invalid_request"),
        ({"grant_type": "password", "username": "ann@home"}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "é." + "é" * 64}, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "a." + "*" * 64}, "invalid_grant"),
        ({"grant_type": "client_credentials"}, "invalid_request"),
        ({"grant_type": "client_credentials", "client_id": "phone@t1"}, "invalid_request"),
        (
            {
                "grant_type": "client_credentials",
                "client_id": "phone@t1",
                "client_secret": "x",
                "scope": "everything",
            },
            "invalid_scope",
        ),
    ],
)
def test_a_token_request_that_makes_no_sense_is_told_in_oauths_words(
    app: FastAPI, form: dict[str, str], error: str
) -> None:
    response = ask(app, "POST", "/v1/auth/token", data=form)
    assert response.status_code == 400
    assert response.json()["error"] == error
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["t1/d1", "svc-api-0", "phone", "phone@T1", "\0@t1", "@", ""])
def test_what_is_no_apps_name_gets_no_token(app: FastAPI, name: str) -> None:
    form = {"grant_type": "client_credentials", "client_id": name, "client_secret": "x"}
    response = ask(app, "POST", "/v1/auth/token", data=form)
    assert response.json()["error"] == ("invalid_client" if name else "invalid_request")


def test_an_authorization_header_that_cannot_be_read_gets_no_token(app: FastAPI) -> None:
    form = {"grant_type": "client_credentials"}
    headers = {"Authorization": "Basic ***"}
    response = ask(app, "POST", "/v1/auth/token", data=form, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Basic")
    assert response.json()["error"] == "invalid_client"


def test_a_body_that_is_too_long_is_refused(app: FastAPI) -> None:
    form = {"grant_type": "x" * MAX_BODY_BYTES}
    response = ask(app, "POST", "/v1/auth/token", data=form)
    assert response.status_code == 413
    problem_of(response)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StorageUnavailableError("away"), 503),
        (TimeoutError(), 504),
        (StorageError("a secret"), 500),
        (RuntimeError("a secret"), 500),
        (HTTPException(418, "short and stout"), 418),
    ],
)
def test_every_error_is_a_problem_that_tells_no_secret(
    app: FastAPI, error: Exception, status: int
) -> None:
    @app.get("/broken")
    def broken() -> None:
        raise error

    with capture_logs() as logs:
        response = ask(app, "GET", "/broken")
    assert response.status_code == status
    assert ("request_failed" in [log["event"] for log in logs]) == (status == 500)
    assert problem_of(response)["instance"] == "/broken"
    assert "secret" not in response.text


def test_the_description_of_the_api_is_whole(app: FastAPI) -> None:
    schema = app.openapi()
    operations = [
        operation for methods in schema["paths"].values() for operation in methods.values()
    ]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    assert {"createToken", "listDevices", "listEpochs", "listPredictions"} <= set(names)
    assert all(operation["summary"] and operation["description"] for operation in operations)
    text = json.dumps(schema)
    assert "HTTPValidationError" not in text
    for operation in operations:
        for status, response in operation["responses"].items():
            is_oauths = "oken" in operation["operationId"] and status in {"400", "401"}
            if int(status) >= 400 and not is_oauths:
                shared = schema["components"]["responses"][response["$ref"].rpartition("/")[2]]
                assert list(shared["content"]) == [MEDIA_TYPE]
    named = set(schema["components"]["schemas"])
    assert {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]} <= named


def test_a_range_of_an_image_is_sent_and_one_that_it_does_not_have_is_a_problem(
    app: FastAPI,
) -> None:
    folder: Path = app.state.noctis.settings.firmware
    folder.mkdir(parents=True, exist_ok=True)
    name = "ab" * 32
    (folder / name).write_bytes(bytes(range(100)))
    path = f"/v1/firmware/images/{name}"
    part = ask(app, "GET", path, headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, bytes(range(5, 10)))
    beyond = ask(app, "GET", path, headers={"Range": "bytes=100-"})
    assert beyond.status_code == 416
    assert problem_of(beyond)["instance"] == path
    assert beyond.headers["content-range"] in {"bytes */100", "*/100"}
    odd = ask(app, "GET", path, headers={"Range": "bytes=x"})
    assert odd.status_code == 400
    assert problem_of(odd)["status"] == 400
    assert ask(app, "GET", path).content == bytes(range(100))
