"""Labels and drift through the facade, on a real database."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import Engine

from api.app import create_app
from api.scopes import SCOPES
from companion.drift import Drift
from inference.model import DEFAULT_FOLDER
from noctis.settings import Settings
from noctis.stages import Stage
from noctis.storage import labels
from noctis.storage.database import Database
from noctis.storage.engine import create, transaction
from registry import fingerprint
from registry.manifest import read_manifest
from tests.facades import Asker, problem_of
from tests.integration.conftest import fresh_database
from tests.integration.fleets import ALL, Fleet, settle
from tests.integration.inference_fixtures import add_devices

pytestmark = pytest.mark.postgres

FLEET = Fleet.of("calm", (1, 8), 4)
BEGIN = datetime(2026, 3, 1, 22, tzinfo=UTC)
PATH = "/v1/devices/d2/labels"


@pytest.fixture(scope="module")
def settings(
    postgres: str, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    with fresh_database(postgres, migrated) as url:
        var = tmp_path_factory.mktemp("var")
        yield Settings(var=var, database_url=SecretStr(url))


@pytest.fixture(scope="module")
def database(settings: Settings) -> Iterator[Engine]:
    engine = create(settings.database_url.get_secret_value(), application="noctis-test")
    add_devices(engine)
    manifest = read_manifest(DEFAULT_FOLDER)
    known = fingerprint.read(DEFAULT_FOLDER)
    settle(engine, FLEET, known, (manifest.name, manifest.version))
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def app(database: Engine, settings: Settings) -> Iterator[FastAPI]:  # noqa: ARG001 - there must be devices
    made = create_app(settings)
    yield made
    made.state.noctis.database.close()


@pytest.fixture(scope="module")
def home(app: FastAPI) -> Asker:
    return Asker(app, "t1", *SCOPES)


@pytest.fixture(scope="module")
def stranger(app: FastAPI) -> Asker:
    return Asker(app, "t2", *SCOPES)


@pytest.fixture(scope="module")
def calm(app: FastAPI) -> Asker:
    return Asker(app, "calm", *SCOPES)


def told(count: int, *, after: float = 0, stage: str = "N2") -> list[dict[str, str]]:
    return [
        {"start": (BEGIN + timedelta(seconds=after + 30 * n)).isoformat(), "stage": stage}
        for n in range(count)
    ]


def keep(home: Asker, labels: list[dict[str, str]], source: str = "psg") -> Any:  # noqa: ANN401
    return home("PUT", PATH, json={"source": source, "labels": labels})


def test_labels_are_kept_replaced_listed_in_pages_and_deleted(
    home: Asker, database: Engine
) -> None:
    assert keep(home, told(10)).json() == {
        "device": "d2",
        "source": "psg",
        "labels": 10,
        "replaced": 0,
    }
    assert keep(home, told(2, after=10, stage="R")).json()["replaced"] == 3
    assert keep(home, told(4, stage="wake"), "diary").json()["labels"] == 4
    with transaction(database) as connection:
        found = labels.read("t1", connection, "d2", "psg")
        [imported] = {it.imported_by for it in labels.list_of("t1", connection, "d2")}
    assert [it.stage for it in found] == [Stage.REM] * 2 + [Stage.LIGHT] * 7
    assert imported == "someone@t1"
    pages, token = [], {}
    while True:
        answer = home("GET", PATH, params={"page_size": 5, **token}).json()
        pages.append(answer["labels"])
        if answer["next_page_token"] is None:
            break
        token = {"page_token": answer["next_page_token"]}
    assert [len(page) for page in pages] == [5, 5, 3]
    every = [(it["start"], it["source"]) for page in pages for it in page]
    assert every == sorted(set(every))
    only = home("GET", PATH, params={"source": "diary"}).json()["labels"]
    assert {it["stage"] for it in only} == {"wake"}
    until = (BEGIN + timedelta(seconds=60)).isoformat()
    assert home("DELETE", PATH, params={"source": "psg", "until": until}).status_code == 204
    assert len(home("GET", PATH, params={"source": "psg"}).json()["labels"]) == 7
    assert home("DELETE", PATH).status_code == 204
    assert home("GET", PATH).json()["labels"] == []


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_labels_are_the_tenants_own_and_need_their_scope(
    app: FastAPI, home: Asker, stranger: Asker, method: str
) -> None:
    assert keep(home, told(3)).is_success
    body = {"json": {"source": "psg", "labels": told(3)}} if method == "PUT" else {}
    problem_of(stranger(method, PATH, **body), 404)
    problem_of(home(method, "/v1/devices/d9/labels", **body), 404)
    narrow = Asker(app, "t1", *(SCOPES.keys() - {"labels:write"}))
    assert problem_of(narrow(method, PATH, **body), 403)["detail"].endswith("labels:write")
    assert len(home("GET", PATH).json()["labels"]) == 3


@pytest.mark.parametrize(
    ("labels", "pointer"),
    [
        ([], "#/labels"),
        ([{"start": "2026-03-01T22:00:00", "stage": "N1"}], "#/labels/0/start"),
        ([{"start": "0001-01-01T00:00:00Z", "stage": "N1"}], "#/labels/0/start"),
        ([{"start": "9999-12-31T23:59:59-14:00", "stage": "N1"}], "#/labels/0/start"),
        ([{"start": 1e30, "stage": "N1"}], "#/labels/0/start"),
        ([*told(2), {"start": "2026-03-01T23:00:00Z", "stage": "S4"}], "#/labels/2/stage"),
        ([*told(2), {**told(1)[0], "stage": "N1"}], "#/labels/2/start"),
        ([*told(2), *told(1, after=59)], "#/labels/2/start"),
        ([{**told(1)[0], "mood": "odd"}], "#/labels/0/mood"),
    ],
)
def test_labels_that_make_no_sense_are_pointed_at(
    home: Asker, labels: list[dict[str, str]], pointer: str
) -> None:
    assert problem_of(keep(home, labels), 422)["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("source", ["", "PSG", "p\0sg", "x" * 33, 3, "\ud800"])
def test_a_source_that_cannot_be_is_pointed_at(home: Asker, source: object) -> None:
    body = json.dumps({"source": source, "labels": told(1)})
    response = home("PUT", PATH, content=body, headers={"Content-Type": "application/json"})
    assert problem_of(response, 422)["errors"][0]["pointer"] in {"#/source", "#"}


def test_drift_is_computed_now_of_the_tenants_own_nights(calm: Asker, home: Asker) -> None:
    report = calm("GET", "/v1/model/drift").json()
    assert (report["verdict"], report["nights"], report["sleepers"]) == ("stable", 8, 2)
    assert report["model"] == read_manifest(DEFAULT_FOLDER).full_name
    assert {"hr_mean", "rr_mean"} <= {it["name"] for it in report["channels"]}
    name = "bed-0"
    one = calm("GET", "/v1/model/drift", params={"device": name}).json()
    assert (one["device"], one["nights"], one["sleepers"]) == (name, 4, 1)
    none = home("GET", "/v1/model/drift").json()
    assert (none["verdict"], none["nights"]) == ("unknown", 0)
    narrow = {"since": "2001-01-01", "until": "2001-01-05"}
    assert calm("GET", "/v1/model/drift", params=narrow).json()["nights"] == 0


def test_kept_reports_on_drift_are_the_tenants_own(
    calm: Asker, home: Asker, settings: Settings
) -> None:
    assert calm("GET", "/v1/drift").json() == {"reports": [], "next_page_token": None}
    work(settings)
    first = calm("GET", "/v1/drift", params={"page_size": 1}).json()
    rest = calm("GET", "/v1/drift", params={"page_token": first["next_page_token"]}).json()
    names = [it["device"] for it in first["reports"] + rest["reports"]]
    assert names == [None, "bed-0", "bed-1"]
    assert rest["next_page_token"] is None
    one = calm("GET", "/v1/drift", params={"device": names[1]}).json()["reports"]
    assert [it["device"] for it in one] == [names[1]]
    assert home("GET", "/v1/drift").json()["reports"] == []
    assert home("GET", "/v1/drift", params={"device": names[1]}).json()["reports"] == []


def work(settings: Settings) -> None:
    """Let the companion's part do its turns until nothing waits."""

    async def main() -> None:
        there = Database(settings, application="test", connections=2)
        part = Drift(there, Path("nowhere"), ALL)
        while await part.turn():
            pass
        there.close()

    asyncio.run(main())


@pytest.mark.parametrize("path", ["/v1/drift", "/v1/model/drift"])
def test_drift_needs_its_scope_and_good_parameters(
    app: FastAPI, home: Asker, stranger: Asker, path: str
) -> None:
    narrow = Asker(app, "t1", *(SCOPES.keys() - {"drift:read"}))
    assert problem_of(narrow("GET", path), 403)["detail"].endswith("drift:read")
    bad = problem_of(home("GET", path, params={"device": "A"}), 422)
    assert bad["errors"][0]["pointer"] == "#/query/device"
    foreign = {"device": "bed-0"}
    if path == "/v1/model/drift":
        problem_of(stranger("GET", path, params=foreign), 404)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"since": "2026-02-30"}, "#/query/since"),
        ({"since": "0001-01-01"}, "#/query/since"),
        ({"until": "9999-12-31"}, "#/query/until"),
        ({"since": "2026-02-03", "until": "2026-02-01"}, "#/query/since"),
        ({"version": "nine"}, "#/query/version"),
        ({"version": "../up"}, "#/query/version"),
    ],
)
def test_what_drift_cannot_be_of_is_pointed_at(
    calm: Asker, query: dict[str, str], pointer: str
) -> None:
    problem = problem_of(calm("GET", "/v1/model/drift", params=query), 422)
    assert problem["errors"][0]["pointer"] == pointer
