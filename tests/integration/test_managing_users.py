"""Users and apps, as an admin of their tenant manages them."""

from typing import Any

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from api.scopes import ROLES, USERS_WRITE
from cli.main import app
from noctis.storage import tenants, users
from noctis.storage.engine import transaction
from noctis.storage.server import PostgresServer
from tests.integration.broker_fixtures import eventually
from tests.integration.facade_fixtures import Facade, problem_of, served
from tests.integration.sign_in_fixtures import (
    HASHED,
    PASSWORD,
    admin_of,
    bearer,
    bob,
    database,
    facade,
    log_in,
    oauth_error,
    refresh,
    signed_in,
)

__all__ = ["bob", "database", "facade", "served"]

pytestmark = [pytest.mark.broker, pytest.mark.postgres]


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
    assert '"removed": true' in run("user", "remove", "ann@t4", "--yes", "--json")
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


def test_an_app_gets_another_role_and_its_tokens_are_void(facade: Facade) -> None:
    headers = admin_of(facade)
    made = facade.client.post(
        "/v1/apps", json={"name": "robot", "role": "viewer"}, headers=headers
    ).json()

    def token() -> dict[str, Any]:
        answer = facade.ask_for_token(made["client_id"], made["client_secret"])
        document: dict[str, Any] = answer.raise_for_status().json()
        return document

    old = bearer(token())
    path = "/v1/apps/robot"
    changed = facade.client.patch(path, json={"role": "member"}, headers=headers)
    assert changed.json() == facade.client.get(path, headers=headers).json()
    assert changed.json()["role"] == "member"
    assert set(token()["scope"].split()) == ROLES["member"]
    assert eventually(lambda: facade.client.get("/v1/devices", headers=old).status_code == 401)
    none = facade.client.patch(path, json={"role": None}, headers=headers)
    assert none.json()["role"] is None
    assert set(token()["scope"].split()) == {"devices:read", "epochs:read", "predictions:read"}


def test_an_apps_role_stays_within_the_reach_of_who_gives_it(facade: Facade) -> None:
    headers, mighty = admin_of(facade), facade.speaker(subject="user:root@t1")
    for name, role in (("tool2", "member"), ("root-tool", "platform")):
        made = facade.client.post("/v1/apps", json={"name": name, "role": role}, headers=mighty)
        assert made.status_code == 201
    change = facade.client.patch
    problem_of(change("/v1/apps/tool2", json={"role": "platform"}, headers=headers), 403)
    problem_of(change("/v1/apps/root-tool", json={"role": "viewer"}, headers=headers), 403)
    narrow = facade.speaker("devices:read")
    problem_of(change("/v1/apps/tool2", json={"role": "viewer"}, headers=narrow), 403)
    foreign = admin_of(facade, "t2")
    problem_of(change("/v1/apps/tool2", json={"role": "viewer"}, headers=foreign), 404)
    problem_of(change("/v1/apps/nobody", json={"role": "viewer"}, headers=headers), 404)
    for body in ({}, {"role": "king"}, {"role": "viewer", "name": "x"}):
        problem_of(change("/v1/apps/tool2", json=body, headers=headers), 422)
    assert facade.client.get("/v1/apps/tool2", headers=headers).json()["role"] == "member"
