"""How users and apps log in, and stay so."""

from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest

from api.scopes import ROLES
from tests.integration.facade_fixtures import Facade, problem_of, served
from tests.integration.sign_in_fixtures import (
    PASSWORD,
    bearer,
    bob,
    database,
    facade,
    log_in,
    log_of,
    oauth_error,
    refresh,
    signed_in,
)

__all__ = ["bob", "database", "facade", "served"]

pytestmark = [pytest.mark.broker, pytest.mark.postgres]


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
