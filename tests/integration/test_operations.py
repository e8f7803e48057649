"""Replays and evaluations that callers order, and the runner that does them."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from api import operations as api_operations
from api.app import create_app
from api.scopes import SCOPES
from noctis.childproc import Child
from noctis.settings import Settings
from noctis.stages import LABELS
from noctis.storage import operation_queue
from noctis.storage.engine import create, transaction
from runner.service import Runner
from tests.facades import Asker, problem_of
from tests.integration.broker_fixtures import eventually
from tests.integration.conftest import fresh_database
from tests.integration.inference_fixtures import (
    D1,
    D2,
    OTHER,
    Night,
    add_devices,
    publish_model,
    settled,
    store,
)

pytestmark = pytest.mark.postgres

EVENING: Final = datetime(2026, 11, 1, 22, 0, tzinfo=UTC)
EPOCHS: Final = 60
SPAN: Final = {"since": "2026-11-01T00:00:00Z", "until": "2026-11-03T00:00:00Z"}


class Site:
    """A database with a night of three devices, of two tenants."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.engine = create(
            settings.database_url.get_secret_value(), application="noctis-test"
        )
        add_devices(self.engine)
        for version in ("two", "three", "four", "five"):
            publish_model(settings.var, version)
        self.nights = {
            who: Night(EPOCHS, seed=seed, utc_s=int(EVENING.timestamp()))
            for seed, who in enumerate((D1, D2, OTHER))
        }
        for who, night in self.nights.items():
            store(self.engine, night.frames(size=20), device=who, backlog=True)

    def count(self, model: str) -> dict[str, int]:
        return {
            str(who): sum(row.model == model for row in settled(self.engine, night.stream))
            for who, night in self.nights.items()
        }


@pytest.fixture(scope="module")
def site(
    postgres: str, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with fresh_database(postgres, migrated) as url:
        var = tmp_path_factory.mktemp("var")
        made = Site(Settings(var=var, database_url=SecretStr(url)))
        yield made
        made.engine.dispose()


@pytest.fixture(scope="module")
def app(site: Site) -> Iterator[FastAPI]:
    made = create_app(site.settings)
    yield made
    made.state.noctis.database.close()


@pytest.fixture(scope="module")
def home(app: FastAPI) -> Asker:
    return Asker(app, "t1", *SCOPES)


@pytest.fixture(scope="module")
def stranger(app: FastAPI) -> Asker:
    return Asker(app, "t2", *SCOPES)


@pytest.fixture
def runner(site: Site) -> Iterator[Runner]:
    made = Runner(site.settings)
    yield made
    made.close()


def start(home: Asker, version: str, **more: object) -> dict[str, Any]:
    response = home("POST", "/v1/replays", json={"version": version, **SPAN, **more})
    assert response.status_code == 202, response.text
    operation: dict[str, Any] = response.json()
    assert response.headers["location"] == path_of(operation)
    return operation


def path_of(operation: dict[str, Any]) -> str:
    return f"/v1/operations/{operation['id']}"


def test_a_replay_is_ordered_done_and_told_to_its_tenant_alone(
    site: Site, home: Asker, stranger: Asker, runner: Runner
) -> None:
    ordered = start(home, "two")
    assert (ordered["state"], ordered["requested_by"]) == ("queued", "someone@t1")
    assert runner.turn()
    done = home("GET", path_of(ordered)).json()
    assert done["state"] == "done", done
    assert done["progress"] == {"done": 2 * EPOCHS, "total": 2 * EPOCHS, "unit": "epochs"}
    assert done["result"]["stored"] == 2 * EPOCHS
    assert done["result"]["comparison"]["absent"] == 2 * EPOCHS  # nothing was served
    assert site.count("stager@two") == {"t1/d1": EPOCHS, "t1/d2": EPOCHS, "t2/d1": 0}
    for verb in ("", ":cancel", ":resume"):
        method = "POST" if verb else "GET"
        problem_of(stranger(method, path_of(ordered) + verb), 404)
    assert stranger("GET", "/v1/operations").json()["operations"] == []
    problem_of(home("POST", path_of(ordered) + ":resume"), 409)
    assert home("POST", path_of(ordered) + ":cancel").json()["state"] == "done"


def test_a_cancelled_replay_waits_until_it_is_resumed(
    site: Site, home: Asker, runner: Runner
) -> None:
    ordered = start(home, "three", device="d1")
    assert home("POST", path_of(ordered) + ":cancel").json()["state"] == "cancelled"
    assert not runner.turn()
    assert site.count("stager@three") == {"t1/d1": 0, "t1/d2": 0, "t2/d1": 0}
    assert home("POST", path_of(ordered) + ":resume").json()["state"] == "queued"
    assert runner.turn()
    assert home("GET", path_of(ordered)).json()["state"] == "done"
    assert site.count("stager@three") == {"t1/d1": EPOCHS, "t1/d2": 0, "t2/d1": 0}


def test_another_runner_takes_up_what_a_killed_one_left(
    site: Site, home: Asker, tmp_path: Path, runner: Runner
) -> None:
    url = site.settings.database_url.get_secret_value()
    environment = {
        **os.environ,
        "NOCTIS_DATABASE_URL": url,
        "NOCTIS_VAR": str(site.settings.var),
        "NOCTIS_FAULTS": "allowed",
        "NOCTIS_FAULT_POINTS": "model.load=latency:30",
    }
    command = (sys.executable, "-m", "runner")
    child = Child(command, log=tmp_path / "runner.log", environment=environment)
    ordered = start(home, "four")

    def state() -> str:
        told: str = home("GET", path_of(ordered)).json()["state"]
        return told

    try:
        assert eventually(lambda: state() == "running", within_s=30), child.tail()
        assert not runner.turn()
        os.kill(child.pid, signal.SIGKILL)
    finally:
        child.stop(within_s=10)
    assert eventually(lambda: state() == "queued", within_s=10)
    assert runner.turn()
    assert state() == "done"
    assert site.count("stager@four") == {"t1/d1": EPOCHS, "t1/d2": EPOCHS, "t2/d1": 0}


def test_a_runner_that_is_told_to_end_does_so(site: Site, tmp_path: Path) -> None:
    url = site.settings.database_url.get_secret_value()
    environment = {
        **os.environ,
        "NOCTIS_DATABASE_URL": url,
        "NOCTIS_VAR": str(site.settings.var),
    }
    log = tmp_path / "runner.log"
    child = Child((sys.executable, "-m", "runner"), log=log, environment=environment)
    assert eventually(lambda: "service_started" in log.read_text(), within_s=30), child.tail()
    assert child.stop(within_s=15) == 0


def test_an_operation_that_ends_its_process_again_and_again_is_given_up(
    site: Site, home: Asker, runner: Runner
) -> None:
    ordered = start(home, "five")
    for _ in range(operation_queue.MOST_ATTEMPTS):
        with transaction(site.engine) as connection:
            [number] = operation_queue.waiting(connection)
            assert operation_queue.take(connection, number) is not None
    assert runner.turn()
    failed = home("GET", path_of(ordered)).json()
    assert (failed["state"], failed["error"].startswith("given up")) == ("failed", True)
    assert home("POST", path_of(ordered) + ":resume").json()["state"] == "queued"
    home("POST", path_of(ordered) + ":cancel")


def test_a_version_is_held_against_the_tenants_labels(
    home: Asker, stranger: Asker, runner: Runner
) -> None:
    replay = start(home, "two", device="d2")
    assert runner.turn()
    assert home("GET", path_of(replay)).json()["state"] == "done"
    found = [
        {
            "start": (EVENING + timedelta(seconds=30 * n)).isoformat(),
            "stage": LABELS[n // 15 % 4],
        }
        for n in range(EPOCHS)
    ]
    kept = home("PUT", "/v1/devices/d2/labels", json={"source": "psg", "labels": found})
    assert kept.json()["labels"] == EPOCHS
    ordered = home("POST", "/v1/evaluations", json={"version": "two", "source": "psg"}).json()
    assert runner.turn()
    done = home("GET", path_of(ordered)).json()
    assert done["state"] == "done", done
    result = done["result"]
    assert result["epochs"] + result["unstaged"] == EPOCHS
    assert list(result["subjects"]) == ["d2"]
    assert {"kappa", "macro_f1", "stage_f1", "calibration_error"} <= result.keys()
    theirs = stranger("POST", "/v1/evaluations", json={"version": "two", "source": "psg"})
    assert runner.turn()
    failed = stranger("GET", theirs.headers["location"]).json()
    assert failed["state"] == "failed"
    assert "t2 has no label of the source psg" in failed["error"]


def test_operations_come_in_pages_of_the_kinds_that_a_token_is_for(
    app: FastAPI, home: Asker
) -> None:
    every = home("GET", "/v1/operations").json()["operations"]
    pages, token = [], None
    while True:
        query = {"page_size": 3} | ({"page_token": token} if token else {})
        answer = home("GET", "/v1/operations", params=query).json()
        pages += answer["operations"]
        token = answer["next_page_token"]
        if token is None:
            break
    assert [it["id"] for it in pages] == [it["id"] for it in every]
    assert {it["kind"] for it in every} == {"replay", "evaluation"}
    replays = Asker(app, "t1", "operations:read", "replay:run")
    assert {it["kind"] for it in replays("GET", "/v1/operations").json()["operations"]} == {
        "replay"
    }
    [evaluation] = [it for it in every if it["kind"] == "evaluation"]
    problem_of(replays("GET", path_of(evaluation)), 404)
    for scopes in (("operations:read",), ("replay:run", "evaluation:run")):
        nobody = Asker(app, "t1", *scopes)
        problem_of(nobody("GET", "/v1/operations"), 403)
        problem_of(nobody("GET", path_of(evaluation)), 403)


@pytest.mark.parametrize(
    ("path", "scope"), [("/v1/replays", "replay:run"), ("/v1/evaluations", "evaluation:run")]
)
def test_an_order_needs_its_scope_and_a_device_of_the_tenant(
    app: FastAPI, home: Asker, path: str, scope: str
) -> None:
    body = {"version": "two", "source": "psg"} if "eval" in path else {"version": "two", **SPAN}
    narrow = Asker(app, "t1", *(SCOPES.keys() - {scope}))
    assert problem_of(narrow("POST", path, json=body), 403)["detail"].endswith(scope)
    problem_of(home("POST", path, json={**body, "device": "d9"}), 404)
    foreign = Asker(app, "t2", *SCOPES)
    problem_of(foreign("POST", path, json={**body, "device": "d2"}), 404)


def test_no_more_operations_of_a_tenant_wait_than_are_good(
    home: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_operations, "MOST_OPEN", 0)
    response = home("POST", "/v1/replays", json={"version": "two", **SPAN})
    problem_of(response, 429)
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({**SPAN}, "#/version"),
        ({"version": "nine", **SPAN}, "#/version"),
        ({"version": "two", "model": "napper", **SPAN}, "#/model"),
        ({"version": "two", "since": SPAN["until"], "until": SPAN["since"]}, "#/since"),
        ({"version": "two", **SPAN, "until": "9999-12-31T23:59:59-14:00"}, "#/until"),
        ({"version": "two", **SPAN, "device": "A\0"}, "#/device"),
        ({"version": "two", **SPAN, "tenant": "t2"}, "#/tenant"),
        ({"version": "two", **SPAN, "since": 1e300}, "#/since"),
    ],
)
def test_an_order_that_makes_no_sense_is_pointed_at(
    home: Asker, body: dict[str, object], pointer: str
) -> None:
    problem = problem_of(home("POST", "/v1/replays", json=body), 422)
    assert problem["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("key", ["7", "%00", "x" * 40])
def test_an_id_that_no_operation_can_have_is_pointed_at(home: Asker, key: str) -> None:
    problem = problem_of(home("GET", f"/v1/operations/{key}"), 422)
    assert problem["errors"][0]["pointer"] == "#/path/operation"


EYES: Final = {"name": "eyes", "kind": "shadow", "version": "two"}


def test_an_experiment_is_started_told_reported_on_and_stopped(
    app: FastAPI, home: Asker, runner: Runner
) -> None:
    began = home("POST", "/v1/experiments", json=EYES)
    assert began.status_code == 201, began.text
    assert began.headers["location"] == "/v1/experiments/eyes"
    assert (began.json()["model"], began.json()["stopped_at"]) == ("stager@two", None)
    again = home("POST", "/v1/experiments", json={**EYES, "name": "more"})
    assert "in the way" in problem_of(again, 409)["detail"]
    canary = {"name": "bird", "kind": "canary", "version": "five", "devices": "own"}
    bird = home("POST", "/v1/experiments", json=canary).json()
    assert (bird["share"], bird["tenant"]) == (0.1, "t1")
    first = home("GET", "/v1/experiments", params={"page_size": 1}).json()
    rest = home("GET", "/v1/experiments", params={"page_token": first["next_page_token"]})
    listed = first["experiments"] + rest.json()["experiments"]
    assert [it["name"] for it in listed] == ["bird", "eyes"]
    ordered = home("POST", "/v1/experiments/eyes:report", json={})
    assert ordered.status_code == 202
    while runner.turn():
        pass
    report = home("GET", ordered.headers["location"]).json()
    assert report["state"] == "done", report
    assert report["result"]["devices"] == 3
    unseen = Asker(app, "t1", "operations:read", "replay:run", "evaluation:run")
    problem_of(unseen("GET", ordered.headers["location"]), 404)
    stopped = home("POST", "/v1/experiments/eyes:stop").json()
    assert stopped["stopped_at"] is not None
    assert home("POST", "/v1/experiments/eyes:stop").json() == stopped
    assert home("GET", "/v1/experiments/eyes").json() == stopped


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/experiments", "experiments:read"),
        ("GET", "/v1/experiments/eyes", "experiments:read"),
        ("POST", "/v1/experiments/eyes:report", "experiments:read"),
        ("POST", "/v1/experiments/eyes:stop", "experiments:write"),
        ("POST", "/v1/experiments", "experiments:write"),
    ],
)
def test_experiments_need_their_scope(app: FastAPI, method: str, path: str, scope: str) -> None:
    narrow = Asker(app, "t1", *(SCOPES.keys() - {scope}))
    body = {"json": EYES if path.endswith("experiments") else {}} if method == "POST" else {}
    assert problem_of(narrow(method, path, **body), 403)["detail"].endswith(scope)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": "Eyes!"}, "#/name"),
        ({"kind": "coup"}, "#/kind"),
        ({"version": "nine"}, "#/version"),
        ({"model": "night-stager"}, "#/model"),
        ({"tenant": "t9"}, "#/tenant"),
        ({"tenant": "\0"}, "#/tenant"),
        ({"kind": "ab", "share": 1.0}, "#/share"),
        ({"kind": "ab", "share": 1e400}, "#/share"),
    ],
)
def test_an_experiment_that_makes_no_sense_is_pointed_at(
    home: Asker, change: dict[str, object], pointer: str
) -> None:
    body = json.dumps({**EYES, "name": "odd", **change})
    sent = {"Content-Type": "application/json"}
    problem = problem_of(home("POST", "/v1/experiments", content=body, headers=sent), 422)
    assert problem["errors"][0]["pointer"] == pointer


def test_what_is_no_experiment_is_not_found(home: Asker) -> None:
    problem_of(home("GET", "/v1/experiments/none"), 404)
    problem_of(home("POST", "/v1/experiments/none:stop"), 404)
    problem_of(home("POST", "/v1/experiments/none:report", json={}), 404)
