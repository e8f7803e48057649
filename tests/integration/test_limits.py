"""What the facade takes back at once, and how much it lets a tenant ask for."""

import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from api.scopes import SCOPES
from api.tokens import AUDIENCE, ISSUER, LIFETIME_S, TYPE, Keyring
from cli.main import app
from noctis.identity import Principal
from noctis.storage import accounts, quotas, tenants, users
from noctis.storage.engine import create, transaction
from noctis.storage.errors import NotFoundError
from noctis.storage.quotas import Quota
from noctis.storage.server import PostgresServer
from tests.integration.broker_fixtures import eventually
from tests.integration.facade_fixtures import Facade, problem_of, served

__all__ = ["served"]

pytestmark = [pytest.mark.broker, pytest.mark.postgres]


@pytest.fixture(scope="module")
def database(own_postgres: PostgresServer) -> Iterator[Engine]:
    engine = create(own_postgres.url, application="noctis-test")
    with transaction(engine) as connection:
        for tenant in ("t1", "t2"):
            tenants.add(connection, tenant)
            for name in ("ann", "bob", "cid"):
                users.add(tenant, connection, name, role="admin", password_hash="none")
        accounts.add("t1", connection, "phone@t1", "app")
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def facade(served: Facade) -> Facade:
    return served


def status(facade: Facade, headers: dict[str, str], path: str = "/v1/devices") -> int:
    return facade.client.get(path, headers=headers).status_code


@pytest.mark.parametrize("change", ["removed", "another role", "another password", "an app"])
def test_what_is_taken_back_is_void_within_seconds_and_nothing_else_is(
    facade: Facade, database: Engine, change: str
) -> None:
    names = {"removed": "ann", "another role": "bob", "another password": "cid"}
    name = names.get(change)
    subject = "phone@t1" if name is None else f"user:{name}@t1"
    headers = facade.speaker(subject=subject)
    others = facade.speaker(tenant="t2", subject=f"user:{name}@t2")
    assert (status(facade, headers), status(facade, others)) == (200, 200)
    with transaction(database) as connection:
        match change:
            case "removed":
                users.remove("t1", connection, "ann")
            case "another role":
                users.set_role("t1", connection, "bob", "viewer")
            case "another password":
                users.set_password("t1", connection, "cid", "other")
            case _:
                accounts.revoke("t1", connection, "phone@t1")
    assert eventually(lambda: status(facade, headers) == 401, within_s=10)
    problem = problem_of(facade.client.get("/v1/devices", headers=headers), 401)
    assert problem["type"] == "urn:noctis:problem:token"
    assert status(facade, others) == 200
    assert status(facade, facade.speaker(subject=subject)) == 200  # issued later: another login


def test_a_tenant_that_asks_too_often_is_told_when_to_come_again(
    facade: Facade, database: Engine
) -> None:
    headers = facade.speaker(tenant="t2")
    before = facade.client.get("/v1/devices", headers=headers).headers
    assert before["ratelimit-policy"] == '"requests";q=1000;w=10'
    with transaction(database) as connection:
        quotas.put("t2", connection, Quota(requests_per_second=1, burst=5))

    def policy() -> str:
        return facade.client.get("/v1/devices", headers=headers).headers["ratelimit-policy"]

    assert eventually(lambda: policy() == '"requests";q=5;w=5', within_s=10)
    answers = [facade.client.get("/v1/devices", headers=headers) for _ in range(12)]
    refused = [it for it in answers if it.status_code == 429]
    assert refused
    assert problem_of(refused[-1], 429)["type"] == "urn:noctis:problem:requests"
    wait_s = int(refused[-1].headers["retry-after"])
    assert 0 < wait_s <= 2
    assert refused[-1].headers["ratelimit"] == f'"requests";r=0;t={wait_s}'
    assert status(facade, facade.speaker()) == 200  # another tenant
    time.sleep(wait_s)
    after = facade.client.get("/v1/nothing-there", headers=headers)
    assert after.status_code == 404
    served = facade.client.get("/v1/devices/none", headers=headers)
    assert served.status_code == 404
    assert served.headers["ratelimit"].startswith('"requests";r=')
    with transaction(database) as connection:
        quotas.put("t2", connection, Quota())
    assert eventually(lambda: policy() == '"requests";q=1000;w=10', within_s=10)


def test_a_tenant_has_no_more_devices_than_its_quota(facade: Facade, database: Engine) -> None:
    headers = facade.speaker()
    with transaction(database) as connection:
        quotas.put("t1", connection, Quota(devices=1))
    made = facade.client.post("/v1/devices", json={"name": "bed"}, headers=headers)
    assert made.status_code == 201
    one_more = facade.client.post("/v1/devices", json={"name": "crib"}, headers=headers)
    assert problem_of(one_more, 403)["type"] == "urn:noctis:problem:quota"
    facade.client.post("/v1/devices/bed:revoke", headers=headers).raise_for_status()
    again = facade.client.post("/v1/devices", json={"name": "crib"}, headers=headers)
    assert again.status_code == 201


def test_a_tenant_sends_no_more_epochs_a_minute_than_its_quota(
    facade: Facade, database: Engine
) -> None:
    headers = facade.speaker()
    with transaction(database) as connection:
        quotas.put("t1", connection, Quota(epochs_per_minute=2))
    body = {
        "stream": "00f1e2d3c4b5a697",
        "run": {"seq": 0, "start": "2026-03-01T22:14:30Z"},
        "epochs": [{"seq": 1, "in_bed": True, "features": {"hr_mean": 60.0}}],
    }

    def send() -> int:
        path = "/v1/devices/none/epochs:ingest"
        return facade.client.post(path, json=body, headers=headers).status_code

    assert eventually(lambda: send() == 429, within_s=10)
    refused = facade.client.post("/v1/devices/none/epochs:ingest", json=body, headers=headers)
    assert problem_of(refused, 429)["type"] == "urn:noctis:problem:epochs"
    assert int(refused.headers["retry-after"]) > 0


def test_the_command_line_sets_quotas(own_postgres: PostgresServer, database: Engine) -> None:
    environment = {"NOCTIS_DATABASE_URL": own_postgres.url}

    def run(*arguments: str) -> tuple[int, str]:
        command = ["tenant", "set-quota", "t2", *arguments, "--json"]
        done = CliRunner().invoke(app, command, env=environment)
        return done.exit_code, done.stdout

    code, text = run("--requests-per-second", "7", "--devices", "0")
    assert code == 0
    assert '"requests_per_second": 7' in text
    with transaction(database) as connection:
        assert quotas.read("t2", connection) == Quota(requests_per_second=7, devices=0)
    assert run("--devices", "default")[0] == 0
    with transaction(database) as connection:
        assert quotas.read("t2", connection) == Quota(requests_per_second=7)
        quotas.put("t2", connection, Quota())
        with pytest.raises(NotFoundError):
            quotas.read("nobody", connection)
    for wrong in ("0", "-1", "x", "1e9", "9" * 30, "\u0661"):
        assert run("--burst", wrong)[0] != 0


def forged(folder: Path, **changes: object) -> str:
    """Return a token with our newest key's signature, and odd headers or claims."""
    [*_, key] = Keyring(folder).keys().values()
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ann",
        "tenant": "t1",
        "scope": " ".join(SCOPES),
        "iat": now,
        "exp": now + LIFETIME_S,
        "jti": "one",
    }
    headers = {"kid": changes.pop("kid", key.kid), "typ": TYPE}
    return jwt.encode({**claims, **changes}, key.private, "EdDSA", headers=headers)


@pytest.mark.parametrize(
    "changes",
    [
        {"kid": "../../etc/passwd"},
        {"kid": "' OR 1=1 --"},
        {"kid": "\0"},
        {"kid": "x" * 3000},
        {"aud": ["noctis-api", "another"]},
        {"scope": "x" * 60_000},
        {"sub": 7},
        {"exp": 10**30},
        {"exp": "tomorrow"},
        {"exp": int(time.time()) + 86_400},
        {"exp": float("inf")},
        {"iat": float("inf")},
        {"iat": float("nan")},
        {"iat": -1e300, "exp": 1},
        {"jti": None},
        {"tenant": "t1\0"},
        {"tenant": None},
        {"nbf": int(time.time()) + 3600},
    ],
)
def test_a_token_with_odd_parts_is_refused(facade: Facade, changes: dict[str, object]) -> None:
    headers = {"Authorization": f"Bearer {forged(facade.var / 'keys', **changes)}"}
    answer = facade.client.get("/v1/devices", headers=headers)
    problem_of(answer, 401)
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    good = {"Authorization": f"bearer {forged(facade.var / 'keys')}"}
    assert status(facade, good) == 200


def test_the_facade_tells_a_token_of_its_own_from_a_forged_one_by_the_key_alone(
    facade: Facade, tmp_path: Path
) -> None:
    strangers = Keyring(tmp_path / "keys")
    token = strangers.issue(Principal("ann", "t1", frozenset(SCOPES)))
    assert status(facade, {"Authorization": f"Bearer {token}"}) == 401
