"""Recordings that a caller declares, through the facade."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import Engine

from noctis.stages import Stage
from noctis.storage import devices, predictions
from noctis.storage.engine import transaction
from tests.integration.facade_fixtures import Facade, both, database, facade, problem_of
from tests.integration.inference_fixtures import Night, store

__all__ = ["both", "database", "facade"]

pytestmark = pytest.mark.postgres

PATH = "/v1/recordings"
DAYS = count()
NIGHT = {"device": "d1", "kind": "night"}


@pytest.fixture
def span() -> dict[str, str]:
    """A span of an evening of its own."""
    start = datetime(2026, 3, 1, 22, tzinfo=UTC) + timedelta(days=next(DAYS))
    return between(start, start + timedelta(hours=8))


def between(start: datetime, end: datetime) -> dict[str, str]:
    return {"started_at": start.isoformat(), "ended_at": end.isoformat()}


def declare(facade: Facade, body: object, tenant: str = "t1") -> httpx.Response:
    headers = facade.speaker("recordings:write", tenant=tenant)
    return facade.client.post(PATH, json=body, headers=headers)


def read(facade: Facade, key: str, tenant: str = "t1") -> dict[str, Any]:
    reader = facade.speaker("recordings:read", tenant=tenant)
    found: dict[str, Any] = facade.client.get(f"{PATH}/{key}", headers=reader).json()
    return found


def change(facade: Facade, key: str, body: dict[str, Any]) -> httpx.Response:
    return facade.client.patch(f"{PATH}/{key}", json=body, headers=facade.speaker())


def test_a_declared_recording_shows_what_is_stored_of_its_span(
    facade: Facade, database: Engine
) -> None:
    night = Night(60, seed=7)
    store(database, night.frames(size=60))
    start = datetime.fromtimestamp(night.utc_s, UTC)
    with transaction(database) as connection:
        key = devices.get("t1", connection, "d1").id
        model = predictions.model_id(connection, "stager", "1")
        rows = [
            predictions.Prediction(
                key, night.stream, seq, start + timedelta(seconds=30 * (seq - 1)), stage, None
            )
            for seq, stage in enumerate([Stage.REM] * 60, 1)
        ]
        predictions.store(connection, model, rows)
    lead = timedelta(minutes=10)
    wanted = {**NIGHT, "kind": "study", "note": "the mask", "tags": ["mask"]}
    answer = declare(facade, {**wanted, **between(start - lead, start + 4 * lead)})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["location"] == f"{PATH}/{made['id']}"
    assert made == read(facade, made["id"])
    assert {name: made[name] for name in wanted} == wanted
    assert (made["declared_by"], made["state"], made["revision"]) == ("ann", "open", 1)
    assert (made["epochs"], made["missing"], made["model"]) == (60, 40, "stager@1")
    assert made["figures"]["rem_min"] == sum(night.in_bed) / 2
    hypnogram = facade.client.get(f"{PATH}/{made['id']}/hypnogram", headers=facade.speaker())
    codes = hypnogram.json()["codes"]
    assert [codes.index(code) for code in (6, 3)] == [0, 20 + list(night.in_bed).index(True)]


def test_the_same_again_is_answered_with_what_is_there(
    facade: Facade, span: dict[str, str]
) -> None:
    first = declare(facade, {**NIGHT, **span, "note": "mine"})
    again = declare(facade, {**NIGHT, **span, "note": "other"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["etag"] == first.headers["etag"]


def test_one_that_overlaps_another_of_its_kind_is_refused(
    facade: Facade, span: dict[str, str]
) -> None:
    made = declare(facade, {**NIGHT, **span}).json()
    later = datetime.fromisoformat(span["ended_at"]) - timedelta(minutes=5)
    other = between(later, later + timedelta(hours=1))
    problem = problem_of(declare(facade, {**NIGHT, **other}), 409)
    assert problem["type"] == "urn:noctis:problem:overlap"
    assert made["id"] in problem["detail"]
    assert declare(facade, {**NIGHT, **other, "kind": "nap"}).status_code == 201
    assert declare(facade, {**NIGHT, **other, "device": "d2"}).status_code == 201


def test_lists_are_of_one_kind_where_that_is_asked_for(
    facade: Facade, span: dict[str, str]
) -> None:
    made = {
        kind: declare(facade, {**NIGHT, **span, "kind": kind}).json()["id"]
        for kind in ("nap", "study")
    }
    for kind, key in made.items():
        params = {"kind": kind, "page_size": "1000"}
        page = facade.client.get(PATH, params=params, headers=facade.speaker()).json()
        assert {it["kind"] for it in page["recordings"]} == {kind}
        assert key in [it["id"] for it in page["recordings"]]
    params = {"kind": "found"}
    page = facade.client.get(PATH, params=params, headers=facade.speaker()).json()
    assert page["recordings"] == []


def test_its_bounds_and_its_kind_can_be_changed(facade: Facade, span: dict[str, str]) -> None:
    made = declare(facade, {**NIGHT, **span}).json()
    end = datetime.fromisoformat(span["ended_at"]) + timedelta(hours=1)
    moved = change(facade, made["id"], {"ended_at": end.isoformat()})
    assert moved.status_code == 200, moved.text
    assert moved.json()["revision"] == 2
    assert moved.json()["missing"] == 9 * 120
    nap = change(facade, made["id"], {"kind": "nap", "note": "short"})
    told = nap.json()
    assert (told["kind"], told["note"], told["revision"]) == ("nap", "short", 2)
    assert nap.headers["etag"] != moved.headers["etag"]
    assert read(facade, made["id"]) == told
    assert declare(facade, {**NIGHT, **span}).status_code == 201


def test_a_change_does_not_make_two_of_a_kind_overlap(
    facade: Facade, span: dict[str, str]
) -> None:
    declare(facade, {**NIGHT, **span})
    other = declare(facade, {**NIGHT, **span, "kind": "nap"}).json()
    problem = problem_of(change(facade, other["id"], {"kind": "night"}), 409)
    assert problem["type"] == "urn:noctis:problem:overlap"
    assert read(facade, other["id"]) == other


def test_a_deleted_one_is_gone_and_may_be_declared_anew(
    facade: Facade, span: dict[str, str]
) -> None:
    made = declare(facade, {**NIGHT, **span}).json()
    gone = facade.client.delete(f"{PATH}/{made['id']}", headers=facade.speaker())
    assert gone.status_code == 204
    problem_of(facade.client.get(f"{PATH}/{made['id']}", headers=facade.speaker()), 404)
    again = declare(facade, {**NIGHT, **span})
    assert again.status_code == 201
    assert again.json()["id"] != made["id"]


START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        (between(START, START), "#/ended_at"),
        (between(START, START + timedelta(minutes=4, seconds=30)), "#/ended_at"),
        (between(START, START + timedelta(hours=48, seconds=30)), "#/ended_at"),
        (between(START, START + timedelta(hours=8, seconds=1)), "#/ended_at"),
        (between(START, START + timedelta(hours=8, microseconds=1)), "#/ended_at"),
        (between(START, START - timedelta(hours=8)), "#/ended_at"),
        ({"started_at": "1999-12-31T23:00:00Z"}, "#/started_at"),
        ({"ended_at": "2199-01-01T00:00:00Z"}, "#/ended_at"),
        ({"started_at": "0001-01-01T00:00:00+14:00"}, "#/started_at"),
        ({"ended_at": "9999-12-31T23:59:30-14:00"}, "#/ended_at"),
        ({"started_at": "2026-03-01T22:00:00"}, "#/started_at"),
        ({"ended_at": 1_767_254_400}, "#/ended_at"),
        ({"kind": "found"}, "#/kind"),
        ({"device": "D1"}, "#/device"),
        ({"note": "a\0b"}, "#/note"),
        ({"figures": {}}, "#/figures"),
    ],
)
def test_what_cannot_be_a_recording_is_told_where(
    facade: Facade, change: dict[str, object], pointer: str
) -> None:
    whole = {**NIGHT, **between(START, START + timedelta(hours=8)), **change}
    [wrong] = problem_of(declare(facade, whole), 422)["errors"]
    assert wrong["pointer"] == pointer


def test_another_tenants_device_and_recording_are_not_found(
    facade: Facade, span: dict[str, str]
) -> None:
    made = declare(facade, {**NIGHT, **span, "device": "d2"}).json()
    problem_of(declare(facade, {**NIGHT, **span, "device": "d2"}, tenant="t2"), 404)
    theirs = facade.speaker(tenant="t2")
    body = {"kind": "nap", "ended_at": span["ended_at"]}
    for key in (made["id"], str(uuid4())):
        problem_of(facade.client.patch(f"{PATH}/{key}", json=body, headers=theirs), 404)
    assert read(facade, made["id"]) == made


def test_it_takes_the_scope_that_changes_recordings(
    facade: Facade, span: dict[str, str]
) -> None:
    narrow = facade.speaker("recordings:read")
    problem_of(facade.client.post(PATH, json={**NIGHT, **span}, headers=narrow), 403)
