"""What is done over HTTP and at the command line is in the audit, by whom and from where."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine
from typer.testing import CliRunner

from api.app import create_app
from api.scopes import SCOPES
from cli.main import app as command_line
from noctis import passphrases
from noctis.identity import Principal
from noctis.settings import Settings
from noctis.storage import tenants, users
from noctis.storage.audit_proof import verify
from noctis.storage.audit_reading import Entry, Filter, page
from noctis.storage.engine import create, transaction
from tests.integration.conftest import fresh_database
from tests.integration.walk import serving

pytestmark = pytest.mark.postgres
NOCTIS: Final = Path(sys.executable).with_name("noctis")
PASSWORD: Final = "a long one, of the auditor's own"
ANN: Final = "user:ann@home"


@pytest.fixture(scope="module")
def url(postgres: str, migrated: str) -> Iterator[str]:
    with fresh_database(postgres, migrated) as made:
        yield made


@pytest.fixture(scope="module")
def store(url: str) -> Iterator[Engine]:
    made = create(url, application="noctis-test")
    with transaction(made, 60) as connection:
        tenants.add(connection, "home")
        hashed = passphrases.hash_passphrase(PASSWORD)
        users.add("home", connection, "ann", role="platform", password_hash=hashed)
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def facade(
    url: str, store: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """Ann at the facade, who may do everything."""
    assert store.url
    app = create_app(Settings(var=tmp_path_factory.mktemp("var"), database_url=SecretStr(url)))
    token = app.state.noctis.keyring.issue(Principal(ANN, "home", frozenset(SCOPES)))
    with serving(app) as address:
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"{address}/v1", headers=headers, timeout=30) as client:
            yield client


def newest(store: Engine, count: int) -> list[Entry]:
    with transaction(store) as connection:
        assert verify(connection).findings == []
        return page(connection, Filter(), limit=count)


@pytest.mark.parametrize(
    ("asked", "body", "written"),
    [
        ("POST /users", {"name": "bob"}, ("user_added", "bob")),
        ("PATCH /users/bob", {"role": "viewer"}, ("user_role_set", "bob")),
        ("PATCH /users/bob", {"password": PASSWORD}, ("user_password_set", "bob")),
        ("DELETE /users/bob", None, ("user_removed", "bob")),
        ("POST /apps", {"name": "phone"}, ("app_added", "phone@home")),
        ("PATCH /apps/phone", {"role": "viewer"}, ("app_role_set", "phone@home")),
        ("POST /apps/phone:rotate", None, ("app_rotated", "phone@home")),
        ("DELETE /apps/phone", None, ("app_revoked", "phone@home")),
        ("POST /devices", {"name": "bed"}, ("device_added", "home/bed")),
        ("POST /devices/bed:rotate", None, ("device_rotated", "home/bed")),
        (
            "PUT /devices/bed/config",
            {"desired": {"led": False}},
            ("device_configured", "home/bed"),
        ),
        ("POST /devices/bed:reboot", None, ("device_ordered", "home/bed")),
        (
            "POST /devices/bed:resend",
            {"ranges": [{"stream": "00f1e2d3c4b5a697"}]},
            ("device_ordered", "home/bed"),
        ),
        ("POST /devices/bed:revoke", None, ("device_revoked", "home/bed")),
        ("POST /devices/bed:erase", {}, ("erasure_requested", "home/bed")),
        ("POST /models/stager:reload", None, ("model_reload_asked", "stager")),
    ],
)
def test_what_a_caller_does_is_written_with_who_what_and_from_where(
    facade: httpx.Client,
    store: Engine,
    asked: str,
    body: dict[str, Any] | None,
    written: tuple[str, str],
) -> None:
    known = facade.get("/devices/bed/config") if asked.endswith("/config") else None
    headers = {"If-Match": known.headers["ETag"]} if known else {}
    answer = facade.request(*asked.split(), json=body, headers=headers)
    assert answer.is_success, answer.text
    [entry] = newest(store, 1)
    assert (entry.action, entry.target, entry.tenant) == (*written, "home")
    assert (entry.actor, entry.address, entry.outcome) == (ANN, "127.0.0.1", "done")
    assert PASSWORD not in str(entry)


def test_what_is_refused_is_not_written(facade: httpx.Client, store: Engine) -> None:
    before = newest(store, 1)
    assert facade.post("/users", json={"name": "ann"}).status_code == 409
    assert facade.delete("/users/nobody").status_code == 404
    assert newest(store, 1) == before


def test_who_signs_in_is_written_once_in_a_while(facade: httpx.Client, store: Engine) -> None:
    made = facade.post("/users", json={"name": "cy", "role": "viewer", "password": PASSWORD})
    assert made.is_success, made.text
    form = {"grant_type": "password", "username": "cy@home", "password": PASSWORD}
    for _ in range(3):
        assert facade.post("/auth/token", data=form).is_success
    found = [it for it in newest(store, 20) if it.action == "signed_in"]
    assert [(it.actor, it.tenant, it.outcome) for it in found] == [
        ("user:cy@home", "home", "done")
    ]
    assert facade.delete("/users/cy").is_success


def test_a_login_that_is_guessed_at_is_written_once_however_long(
    facade: httpx.Client, store: Engine
) -> None:
    form = {"grant_type": "password", "username": "ann@home", "password": "wrong"}
    guess_until_slowed(facade, form)
    assert facade.post("/auth/token", data=form).status_code == 429
    found = [it for it in newest(store, 20) if it.action == "login_slowed"]
    assert [(it.actor, it.outcome) for it in found] == [("ann@home", "refused")]
    guess_until_slowed(facade, form | {"username": "eve@nowhere"})
    found = [it for it in newest(store, 20) if it.action == "login_slowed"]
    assert [it.actor for it in found] == ["unknown", "ann@home"]


def guess_until_slowed(facade: httpx.Client, form: dict[str, str]) -> None:
    for _ in range(20):
        if facade.post("/auth/token", data=form).status_code == 429:
            return
    pytest.fail("nobody slowed it")


def test_what_the_command_line_does_is_written(url: str, store: Engine, tmp_path: Path) -> None:
    environment = {"NOCTIS_DATABASE_URL": url, "NOCTIS_VAR": str(tmp_path), "SUDO_USER": "ada"}

    def run(*arguments: str) -> None:
        done = CliRunner().invoke(command_line, list(arguments), env=environment)
        assert done.exit_code == 0, done.output

    run("tenant", "add", "inn")
    run("device", "add", "inn/bed")
    run("app", "add", "phone@inn")
    run("tenant", "set-quota", "inn", "--devices", "5")
    run("export", "inn", "--output", str(tmp_path / "inn.csv"))
    run("key", "rotate")
    run("erase", "inn/bed", "--yes")
    found = list(reversed(newest(store, 7)))
    assert [(it.action, it.target, it.tenant) for it in found] == [
        ("tenant_added", "inn", "inn"),
        ("device_added", "inn/bed", "inn"),
        ("app_added", "phone@inn", "inn"),
        ("quota_set", "inn", "inn"),
        ("exported", "inn", "inn"),
        ("key_rotated", found[5].target, None),
        ("erasure_requested", "inn/bed", "inn"),
    ]
    assert {it.actor for it in found} == {"cli:ada"}
    assert json.dumps([it.facts for it in found]).find("password") < 0


def test_a_key_is_rotated_although_the_database_is_away_and_says_what_is_missing(
    tmp_path: Path,
) -> None:
    environment = {
        "NOCTIS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "NOCTIS_VAR": str(tmp_path),
    }
    done = subprocess.run(
        [NOCTIS, "key", "rotate", "--json"],
        env={**os.environ, **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0
    assert len(json.loads(done.stdout)) == 2
    assert "key_rotated" in done.stderr
    assert "audit_missed" in done.stderr
