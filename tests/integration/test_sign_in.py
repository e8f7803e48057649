"""Users of the facade: how they log in, stay so, and are managed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jwt
import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from api.scopes import ROLES, USERS_WRITE
from broker.server import MosquittoServer
from cli.main import app
from noctis import passphrases
from noctis.storage import accounts, tenants, users
from noctis.storage.engine import create, transaction
from noctis.storage.server import PostgresServer
from tests.integration.broker_fixtures import eventually
from tests.integration.facade_fixtures import Facade, problem_of, running_facade

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

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
def facade(
    broker: MosquittoServer,
    own_postgres: PostgresServer,
    database: Engine,  # noqa: ARG001 - there must be users
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Facade]:
    folder = tmp_path_factory.mktemp("api")
    with running_facade(Facade(broker.port, own_postgres.url, folder)) as it:
        yield it


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


def test_a_user_gets_what_his_role_grants(facade: Facade, bob: str) -> None:
    document = signed_in(facade, bob)
    assert set(document["scope"].split()) == ROLES["member"]
    assert facade.client.get("/v1/devices", headers=bearer(document)).is_success
    claims = jwt.decode(document["access_token"], options={"verify_signature": False})
    assert (claims["sub"], claims["tenant"]) == (f"user:{bob}", "t1")
    few = signed_in(facade, bob, scope="devices:read")
    assert few["scope"] == "devices:read"
    oauth_error(log_in(facade, bob, scope="users:write"), "invalid_scope")
    oauth_error(log_in(facade, bob, scope="everything"), "invalid_scope")


def test_an_app_with_a_role_gets_what_it_grants(facade: Facade) -> None:
    document = facade.ask_for_token("sync@t1", PASSWORD).raise_for_status().json()
    assert set(document["scope"].split()) == ROLES["admin"]
    assert "refresh_token" not in document
    assert facade.client.get("/v1/users", headers=bearer(document)).is_success


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("ann@t1", "wrong"),
        ("nobody@t1", PASSWORD),
        ("ann@nowhere", PASSWORD),
        ("ann", PASSWORD),
        ("sync@t1", PASSWORD),
        ("user:ann@t1", PASSWORD),
        ("ann@t1' OR '1'='1", PASSWORD),
        ("ann\0@t1", PASSWORD),
        ("ann@t1", PASSWORD + "\0"),
        ("ann@t1", "x" * 60_000),
    ],
)
def test_who_is_not_known_gets_invalid_grant(facade: Facade, login: str, password: str) -> None:
    oauth_error(log_in(facade, login, password), "invalid_grant")


def test_a_refresh_token_is_good_once_and_its_reuse_ends_the_session(
    facade: Facade, bob: str
) -> None:
    first = signed_in(facade, bob)
    second = refresh(facade, first["refresh_token"]).raise_for_status().json()
    assert second["scope"] == first["scope"]
    third = refresh(facade, second["refresh_token"]).raise_for_status().json()
    oauth_error(refresh(facade, first["refresh_token"]), "invalid_grant")
    oauth_error(refresh(facade, third["refresh_token"]), "invalid_grant")
    assert f"user:{bob}" in next(
        line for line in log_of(facade).splitlines() if "refresh_token_reused" in line
    )


def test_a_refresh_may_ask_for_less_and_never_for_more(facade: Facade, bob: str) -> None:
    scope = "devices:read epochs:read"
    token = signed_in(facade, bob, scope=scope)["refresh_token"]
    oauth_error(refresh(facade, token, scope="devices:read predict"), "invalid_scope")
    narrow = refresh(facade, token, scope="devices:read").raise_for_status().json()
    assert narrow["scope"] == "devices:read"
    again = refresh(facade, narrow["refresh_token"]).raise_for_status().json()
    assert again["scope"] == scope


def test_an_answer_that_was_lost_can_be_asked_for_again(facade: Facade, bob: str) -> None:
    token = signed_in(facade, bob)["refresh_token"]
    lost = refresh(facade, token).raise_for_status().json()
    arrived = refresh(facade, token).raise_for_status().json()
    assert refresh(facade, arrived["refresh_token"]).is_success
    oauth_error(refresh(facade, lost["refresh_token"]), "invalid_grant")


def test_of_a_token_turned_many_times_at_once_one_answer_is_good(
    facade: Facade, bob: str
) -> None:
    token = signed_in(facade, bob)["refresh_token"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: refresh(facade, token), range(8)))
    assert {it.status_code for it in answers} == {200}
    tokens = {it.json()["refresh_token"] for it in answers}
    assert len(tokens) == 8
    good = [it.status_code for it in (refresh(facade, each) for each in tokens)].count(200)
    assert good <= 1


def test_signing_out_ends_the_session_whichever_of_its_tokens_is_shown(
    facade: Facade, bob: str
) -> None:
    old = signed_in(facade, bob)["refresh_token"]
    new = refresh(facade, old).raise_for_status().json()["refresh_token"]
    for token in (old, new, "t1.nothing", "t9." + "A" * 64, "é", "x" * 5000):
        answer = facade.client.post("/v1/auth/revoke", data={"token": token})
        assert (answer.status_code, answer.content) == (200, b"")
    oauth_error(refresh(facade, new), "invalid_grant")
    oauth_error(facade.client.post("/v1/auth/revoke"), "invalid_request")
    access = {"token": signed_in(facade, bob)["access_token"]}
    refused = facade.client.post("/v1/auth/revoke", data=access)
    oauth_error(refused, "unsupported_token_type")


def test_a_user_changes_his_password_and_every_session_ends(facade: Facade, bob: str) -> None:
    session = signed_in(facade, bob)
    change = {"username": bob, "password": PASSWORD, "new_password": "another " + PASSWORD}
    wrong = facade.client.post("/v1/auth/password", json={**change, "password": "wrong"})
    problem_of(wrong, 403)
    short = facade.client.post("/v1/auth/password", json={**change, "new_password": "short"})
    assert problem_of(short, 422)["errors"][0]["pointer"] == "#/new_password"
    assert facade.client.post("/v1/auth/password", json=change).status_code == 204
    oauth_error(refresh(facade, session["refresh_token"]), "invalid_grant")
    oauth_error(log_in(facade, bob), "invalid_grant")
    assert log_in(facade, bob, "another " + PASSWORD).is_success


def test_guesses_are_slowed_down_for_a_name_that_nobody_has_too(
    facade: Facade, bob: str
) -> None:
    nobody = f"no{bob}"
    answers = [log_in(facade, nobody, "wrong") for _ in range(11)]
    assert [it.status_code for it in answers] == [400] * 10 + [429]
    assert "login or password" in answers[0].json()["error_description"]
    slowed = log_in(facade, nobody)
    problem_of(slowed, 429)
    assert 0 < int(slowed.headers["retry-after"]) <= 60
    assert log_in(facade, bob).is_success


def test_no_secret_is_logged_and_every_refusal_is(facade: Facade, bob: str) -> None:
    session = signed_in(facade, bob)
    log_in(facade, "my secret password", "in the wrong field")
    log_in(facade, bob, "a wrong guess of mine")
    text = log_of(facade)
    assert "login_refused" in text
    for secret in (
        PASSWORD,
        "my secret password",
        "a wrong guess",
        session["refresh_token"],
        session["access_token"],
    ):
        assert secret not in text


def admin_of(facade: Facade, tenant: str = "t1", *scopes: str) -> dict[str, str]:
    wanted = scopes or tuple(ROLES["admin"])
    return facade.speaker(*wanted, tenant=tenant, subject=f"user:ann@{tenant}")


def test_an_admin_adds_changes_and_removes_users(facade: Facade) -> None:
    headers = admin_of(facade)
    made = facade.client.post(
        "/v1/users", json={"name": "cid", "role": "viewer"}, headers=headers
    )
    assert made.status_code == 201
    assert made.headers["location"] == "/v1/users/cid"
    password = made.json()["password"]
    session = log_in(facade, "cid@t1", password).raise_for_status().json()
    assert set(session["scope"].split()) == ROLES["viewer"]
    again = facade.client.post("/v1/users", json={"name": "cid"}, headers=headers)
    problem_of(again, 409)
    path = "/v1/users/cid"
    changed = facade.client.patch(path, json={"role": "member"}, headers=headers)
    assert changed.raise_for_status().json()["role"] == "member"
    oauth_error(refresh(facade, session["refresh_token"]), "invalid_grant")
    facade.client.patch(path, json={"password": PASSWORD}, headers=headers).raise_for_status()
    assert log_in(facade, "cid@t1").is_success
    assert facade.client.get(path, headers=headers).json() == changed.json()
    assert facade.client.delete(path, headers=headers).status_code == 204
    problem_of(facade.client.delete(path, headers=headers), 404)
    oauth_error(log_in(facade, "cid@t1"), "invalid_grant")


def test_users_come_in_pages(facade: Facade) -> None:
    headers = admin_of(facade, "t2")
    first = facade.client.get("/v1/users?page_size=1", headers=headers).json()
    assert [it["name"] for it in first["users"]] == ["ann"]
    query = {"page_size": "1", "page_token": first["next_page_token"]}
    second = facade.client.get("/v1/users", params=query, headers=headers).json()
    assert [it["name"] for it in second["users"]] == ["root"]
    assert second["next_page_token"] is None


def test_nobody_hands_on_more_than_he_has(facade: Facade) -> None:
    headers = admin_of(facade)
    for send in (
        lambda: facade.client.post(
            "/v1/users", json={"name": "eve", "role": "platform"}, headers=headers
        ),
        lambda: facade.client.patch(
            "/v1/users/ann", json={"role": "platform"}, headers=headers
        ),
        lambda: facade.client.patch(
            "/v1/users/root", json={"password": PASSWORD}, headers=headers
        ),
        lambda: facade.client.delete("/v1/users/root", headers=headers),
        lambda: facade.client.post(
            "/v1/users",
            json={"name": "eve", "role": "viewer"},
            headers=admin_of(facade, "t1", USERS_WRITE),
        ),
    ):
        assert problem_of(send(), 403)["type"] == "urn:noctis:problem:role"
    everything = facade.speaker()
    made = facade.client.post(
        "/v1/users", json={"name": "zoe", "role": "platform"}, headers=everything
    )
    assert made.status_code == 201


def test_the_last_admin_stays(facade: Facade, database: Engine) -> None:
    with transaction(database) as connection:
        tenants.add(connection, "t3")
        users.add("t3", connection, "ann", role="admin", password_hash=HASHED)
    headers = admin_of(facade, "t3")
    removed = facade.client.delete("/v1/users/ann", headers=headers)
    assert problem_of(removed, 409)["type"] == "urn:noctis:problem:last-admin"
    lowered = facade.client.patch("/v1/users/ann", json={"role": "viewer"}, headers=headers)
    problem_of(lowered, 409)


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_another_tenants_user_is_not_found(facade: Facade, bob: str, method: str) -> None:
    path = f"/v1/users/{bob.partition('@')[0]}"
    body = {"json": {"role": "viewer"}} if method == "PATCH" else {}
    foreign = facade.client.request(method, path, headers=admin_of(facade, "t2"), **body)
    problem_of(foreign, 404)
    assert log_in(facade, bob).is_success
    lacking = facade.speaker("devices:read")
    problem_of(facade.client.request(method, path, headers=lacking, **body), 403)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "Cid"}, "#/name"),
        ({"name": "cid", "role": "root"}, "#/role"),
        ({"name": "cid", "password": "short"}, "#/password"),
        ({"name": "cid", "password": 15 * "x" + "\0\n", "admin": True}, "#/admin"),
        ({"name": None}, "#/name"),
        ({}, "#/name"),
    ],
)
def test_a_user_that_makes_no_sense_is_pointed_at(
    facade: Facade, body: dict[str, Any], pointer: str
) -> None:
    answer = facade.client.post("/v1/users", json=body, headers=admin_of(facade))
    assert pointer in [it["pointer"] for it in problem_of(answer, 422)["errors"]]
    lone = b'{"name": "cid", "password": "\\ud800\\ud800aaaaaaaaaaaaaaaaaaa"}'
    headers = {**admin_of(facade), "Content-Type": "application/json"}
    problem_of(facade.client.post("/v1/users", content=lone, headers=headers), 422)


def test_the_command_line_makes_the_first_admin(
    facade: Facade, own_postgres: PostgresServer, database: Engine
) -> None:
    with transaction(database) as connection:
        tenants.add(connection, "t4")

    def run(*arguments: str, given: str = "") -> str:
        environment = {"NOCTIS_DATABASE_URL": own_postgres.url}
        done = CliRunner().invoke(app, arguments, input=given, env=environment)
        assert done.exit_code == 0, done.output
        assert PASSWORD not in done.output
        return done.stdout

    made = run("user", "add", "ann@t4", "--role", "admin", "--ask", given=PASSWORD + "\n")
    assert "ann@t4" in made
    session = signed_in(facade, "ann@t4")
    assert set(session["scope"].split()) == ROLES["admin"]
    assert '"role": "admin"' in run("user", "list", "t4", "--json")
    assert '"removed": true' in run("user", "remove", "ann@t4", "--json")
    oauth_error(refresh(facade, session["refresh_token"]), "invalid_grant")
    assert eventually(lambda: log_in(facade, "ann@t4").status_code == 400)


def test_an_admin_adds_rotates_and_revokes_apps(facade: Facade) -> None:
    headers = admin_of(facade)
    post = facade.client.post
    made = post("/v1/apps", json={"name": "tool", "role": "member"}, headers=headers)
    assert (made.status_code, made.headers["location"]) == (201, "/v1/apps/tool")
    first = made.json()
    token = facade.ask_for_token(first["client_id"], first["client_secret"])
    assert set(token.json()["scope"].split()) == ROLES["member"]
    problem_of(post("/v1/apps", json={"name": "tool"}, headers=headers), 409)
    mighty = {"name": "mighty", "role": "platform"}
    problem_of(post("/v1/apps", json=mighty, headers=headers), 403)
    problem_of(post("/v1/apps", json={"name": "Tool"}, headers=headers), 422)
    listed = facade.client.get("/v1/apps", headers=headers).json()["apps"]
    assert {it["name"]: it["role"] for it in listed} == {"sync": "admin", "tool": "member"}
    path = "/v1/apps/tool"
    assert facade.client.get(path, headers=headers).json()["role"] == "member"
    foreign, lacking = admin_of(facade, "t2"), facade.speaker("devices:read")
    for method, url in (("GET", path), ("DELETE", path), ("POST", f"{path}:rotate")):
        problem_of(facade.client.request(method, url, headers=foreign), 404)
        problem_of(facade.client.request(method, url, headers=lacking), 403)
    second = post(f"{path}:rotate", headers=headers).json()
    assert facade.ask_for_token("tool@t1", first["client_secret"]).status_code == 401
    assert facade.ask_for_token("tool@t1", second["client_secret"]).is_success
    assert facade.client.delete(path, headers=headers).status_code == 204
    assert facade.ask_for_token("tool@t1", second["client_secret"]).status_code == 401
    problem_of(facade.client.get(path, headers=headers), 404)
