"""What operators see and do at /internal: resilience, the audit, the database."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from api.internal.app import create_internal_app
from api.scopes import INTERNAL_SCOPES
from noctis.identity import Principal
from noctis.settings import Settings
from noctis.storage import audit, steering, tenants
from noctis.storage.engine import create, transaction
from noctis.storage.steering import BreakerState, Process
from tests.integration.conftest import fresh_database
from tests.integration.walk import serving

pytestmark = pytest.mark.postgres
NOCTIS = Path(sys.executable).with_name("noctis")


@pytest.fixture(scope="module")
def url(postgres: str, migrated: str) -> Iterator[str]:
    with fresh_database(postgres, migrated) as made:
        yield made


@pytest.fixture(scope="module")
def store(url: str) -> Iterator[Engine]:
    made = create(url, application="noctis-test")
    with transaction(made) as connection:
        tenants.add(connection, "home")
        for turn in range(3):
            audit.record("home", connection, "user_added", by="user:ann@home", turn=turn)
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def operator(
    url: str, store: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """Whoever may do everything at a running /internal; not of any tenant."""
    assert store
    settings = Settings(var=tmp_path_factory.mktemp("internal"), database_url=SecretStr(url))
    app = create_internal_app(settings)
    who = Principal("command line", "platform", frozenset(INTERNAL_SCOPES))
    token = app.state.noctis.keyring.issue(who)
    with serving(app) as address:
        headers = {"Authorization": f"Bearer {token}"}
        base = f"{address}/internal"
        with httpx.Client(base_url=base, headers=headers, timeout=20) as client:
            yield client


def beat(store: Engine, service: str, *, allows: bool) -> UUID:
    told = Process(
        uuid4(),
        service,
        "vm",
        7,
        "0.1",
        allows,
        0.0,
        None,
        breakers=[BreakerState("database", "open", 1_800_000_000.0)],
        faults=[],
    )
    with transaction(store) as connection:
        steering.beat(connection, told)
    return told.id


def test_breakers_of_every_process_are_shown_with_their_state_and_since_when(
    operator: httpx.Client, store: Engine
) -> None:
    known = beat(store, "ingestor", allows=False)
    told = operator.get("/resilience").json()
    [shown] = [it for it in told["processes"]["value"] if it["id"] == str(known)]
    assert shown["breakers"] == [
        {"name": "database", "state": "open", "since": "2027-01-15T08:00:00Z"}
    ]
    assert "database" in {it["name"] for it in told["here"]}
    assert "database.commit" in {it["name"] for it in told["points"]}


def test_faults_are_ordered_where_every_process_allows_them_and_withdrawn(
    operator: httpx.Client, store: Engine
) -> None:
    known = beat(store, "runner", allows=True)
    wanted = {"rules": "database.commit=error", "services": ["runner"], "seconds": 60}
    given = operator.post("/resilience/faults", json=wanted)
    assert given.status_code == 201
    assert given.json()["processes"] == [str(known)]
    assert given.json()["ordered_by"] == "command line"
    [shown] = operator.get("/resilience").json()["orders"]["value"]
    assert shown["id"] == given.json()["id"]
    place = given.headers["Location"].removeprefix("/internal")
    assert operator.delete(place).status_code == 204
    assert operator.delete(place).status_code == 404
    assert operator.delete("/resilience/faults").status_code == 204
    assert operator.get("/resilience").json()["orders"]["value"] == []
    found = operator.get("/audit", params={"actor": "command line"}).json()["entries"]
    assert [it["action"] for it in found][:2] == ["faults_withdrawn", "faults_ordered"]
    assert found[1]["address"] == "127.0.0.1"
    assert found[1]["facts"]["rules"] == "database.commit=error"


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        ({"services": ["companion"]}, 403, "faults-forbidden"),
        ({"services": ["companion", "worker"]}, 403, "faults-forbidden"),
        ({"services": ["nobody"]}, 404, ""),
        ({"rules": "no.such=error"}, 422, "invalid"),
        ({"seconds": 3601}, 422, "invalid"),
        ({"seconds": None}, 422, "invalid"),
    ],
)
def test_an_order_that_is_not_right_is_refused_with_a_problem(
    operator: httpx.Client, store: Engine, change: dict[str, object], status: int, kind: str
) -> None:
    beat(store, "companion", allows=False)
    beat(store, "worker", allows=True)
    wanted = {"rules": "database.commit=error", "services": ["worker"], "seconds": 60} | change
    answer = operator.post(
        "/resilience/faults", json={k: v for k, v in wanted.items() if v is not None}
    )
    assert answer.status_code == status
    assert answer.json()["type"].removeprefix("urn:noctis:problem:") in {kind, "about:blank"}
    if status == 403:
        assert "companion vm/7" in answer.json()["detail"]


def test_entries_come_in_pages_and_the_chain_is_verified(operator: httpx.Client) -> None:
    asked = {"tenant": "home", "page_size": "2"}
    first = operator.get("/audit", params=asked).json()
    rest = operator.get(
        "/audit", params=asked | {"page_token": first["next_page_token"]}
    ).json()
    turns = [it["facts"]["turn"] for it in (*first["entries"], *rest["entries"])]
    assert turns == [2, 1, 0]
    assert rest["next_page_token"] is None
    verdict = operator.get("/audit/verify").json()
    assert verdict["whole"] is True
    assert verdict["anchored"] is False
    again = operator.get("/audit/verify", params={"head": verdict["head"]}).json()
    assert again["whole"] is again["anchored"] is True
    forged = operator.get("/audit/verify", params={"head": "0" * 64}).json()
    assert forged["whole"] is False
    report = operator.get("/audit/report", params={"tenant": "home"}).json()
    assert [(it["action"], it["entries"]) for it in report["counts"]] == [("user_added", 3)]


def test_plain_postgresql_is_said_to_be_that_and_its_sizes_are_told(
    operator: httpx.Client,
) -> None:
    told = operator.get("/timescale").json()
    if told["edition"] != "none":
        pytest.skip("this is no plain PostgreSQL")
    assert "absent" in told["meaning"]
    assert told["timescaledb"] is None
    assert {it["name"]: it["bytes"] for it in told["tables"]}["epochs"] > 0
    assert told["policies"]["compress_after_s"] is None
    assert told["chunks"] == told["runs"] == []
    refused = operator.patch("/timescale/policies", json={"compress_after_s": 1_209_600})
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:noctis:problem:edition"


def noctis(*arguments: str, url: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"NOCTIS_DATABASE_URL": url, "NOCTIS_VAR": str(folder), "COLUMNS": "200"}
    return subprocess.run(
        [NOCTIS, *arguments],
        env={**os.environ, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_command_line_orders_faults_and_verifies_the_audit(
    url: str, store: Engine, tmp_path: Path
) -> None:
    beat(store, "settler", allows=True)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return noctis(*arguments, url=url, folder=tmp_path)

    given = run(
        *("faults", "order", "model.load=error", "--service", "settler", "--for", "1m"),
        "--json",
    )
    assert given.returncode == 0, given.stderr
    shown = run("faults", "show")
    assert json.loads(given.stdout)["id"] in shown.stdout
    assert "settler vm/7" in shown.stdout
    gone = run("faults", "withdraw", "--json")
    assert [it["rules"] for it in json.loads(gone.stdout)] == ["model.load=error"]
    listed = json.loads(run("audit", "list", "--action", "faults_ordered", "--json").stdout)
    assert listed[0]["actor"].startswith("cli:")
    anchor = tmp_path / "head"
    verdict = run("audit", "verify", "--anchor", str(anchor), "--json")
    assert json.loads(verdict.stdout)["whole"] is True
    assert anchor.read_text().strip() == json.loads(verdict.stdout)["head"]
    again = json.loads(run("audit", "verify", "--anchor", str(anchor), "--json").stdout)
    assert again["anchored"] is again["whole"] is True
    assert run("audit", "verify", "--head", "00" * 32).returncode == 1
    report = run("audit", "report", "--csv").stdout.splitlines()
    assert report[0] == "since,action,outcome,entries"
    assert any("user_added,done,3" in line for line in report)
