"""Stages on request: of what is stored and of what is sent, as the settler stored them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from inference.agenda import Job
from inference.model import DEFAULT_FOLDER, Model
from inference.questions import answer, ask, load
from noctis.features import NAMES, dequantise
from noctis.stages import LABELS
from noctis.storage import devices, predictions
from noctis.storage.engine import transaction
from tests.integration.facade_fixtures import Both, Facade, both, facade, problem_of
from tests.integration.inference_fixtures import Night, publish_model, store

__all__ = ["both", "facade"]

pytestmark = pytest.mark.postgres

COUNT = 300


@pytest.fixture(scope="module")
def night(both: Both) -> Night:
    """A night of t1/d1, stored and judged in parts, as the settler does."""
    made, (_, database) = Night(COUNT, seed=3), both
    store(database, made.frames(size=50))
    model = Model.load(DEFAULT_FOLDER)
    with transaction(database, 60) as connection:
        key = predictions.model_id(connection, model.name, model.version)
        device = devices.get("t1", connection, "d1").id
        for stretch in predictions.unsettled(connection, key):
            seqs = stretch.seq.tolist()
            for begin in range(0, len(seqs), 100):
                job = Job(device, stretch.stream, tuple(seqs[begin : begin + 100]))
                rows = answer(model, ask(load(connection, job, None)))
                predictions.store(connection, key, rows)
    return made


def moment(night: Night, epoch: int) -> datetime:
    return datetime.fromtimestamp(night.utc_s, UTC) + timedelta(seconds=30 * epoch)


def question(night: Night, begin: int = 0, end: int = COUNT) -> dict[str, Any]:
    since, until = moment(night, begin).isoformat(), moment(night, end).isoformat()
    return {"device": "d1", "since": since, "until": until}


def sent(night: Night, begin: int = 0, end: int = COUNT) -> list[dict[str, Any]]:
    values = dequantise(night.codes[begin:end]).tolist()
    return [
        {
            "in_bed": bool(flag),
            "features": {
                name: None if np.isnan(value) else value
                for name, value in zip(NAMES, row, strict=True)
            },
        }
        for flag, row in zip(night.in_bed[begin:end], values, strict=True)
    ]


def post(facade: Facade, body: object, path: str = "/v1/predict") -> dict[str, Any]:
    response = facade.client.post(path, json=body, headers=facade.speaker("predict"))
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def said(rows: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    return [(row["stage"], row["probability"]) for row in rows]


def test_what_is_stored_is_staged_with_the_very_numbers_that_were_stored(
    facade: Facade, night: Night
) -> None:
    path = "/v1/devices/d1/predictions?page_size=1000"
    known = facade.client.get(path, headers=facade.speaker()).json()["predictions"]
    found = post(facade, question(night))
    assert len(known) == COUNT
    assert found["model"] == known[0]["model"]
    places = [(row["start"], row["stream"], row["seq"]) for row in found["stages"]]
    assert places == [(row["start"], row["stream"], row["seq"]) for row in known]
    assert said(found["stages"]) == said(known)
    assert {stage for stage, _ in said(known)} > {None, "wake"}
    part = post(facade, question(night, 130, 170))["stages"]
    assert said(part) == said(known)[130:170]


def test_what_is_sent_is_staged_as_if_it_were_stored(facade: Facade, night: Night) -> None:
    stored = post(facade, question(night))["stages"]
    found = post(facade, {"epochs": sent(night)})["stages"]
    assert said(found) == said(stored)
    assert [row["index"] for row in found] == list(range(COUNT))
    last = post(facade, {"epochs": sent(night), "last": 2})["stages"]
    assert last == found[-2:]


def test_a_missing_epoch_keeps_its_place(facade: Facade, night: Night) -> None:
    rows: list[Any] = sent(night)
    rows[200] = None
    found = post(facade, {"epochs": rows})["stages"]
    assert [row["index"] for row in found] == [n for n in range(COUNT) if n != 200]
    whole = post(facade, {"epochs": sent(night)})["stages"]
    closed_up = post(facade, {"epochs": [row for row in rows if row]})["stages"]
    assert said(found)[:200] == said(whole)[:200]
    assert said(found)[200:] != said(whole)[201:]
    assert said(found)[200:] != said(closed_up)[200:]


def test_a_stage_is_explained_from_base_to_log_odds(facade: Facade, night: Night) -> None:
    at = (moment(night, COUNT - 1) + timedelta(seconds=12)).isoformat()
    found = post(facade, {"device": "d1", "at": at}, "/v1/predict:explain")
    again = post(facade, {"epochs": sent(night)}, "/v1/predict:explain")
    assert again == found
    for stage in LABELS:
        steps = sum(row[stage] for row in found["contributions"].values())
        assert found["base"][stage] + steps == pytest.approx(found["log_odds"][stage], abs=1e-4)
    assert found["contributions"].keys() == set(NAMES)


def test_another_tenants_epochs_are_not_staged(facade: Facade, night: Night) -> None:
    theirs = facade.speaker(tenant="t2")
    asked = question(night)
    found = facade.client.post("/v1/predict", json=asked, headers=theirs).json()
    assert found["stages"] == []  # t2 has a device of that name
    for device in ("d2", "d3"):
        other = facade.client.post(
            "/v1/predict", json={**asked, "device": device}, headers=theirs
        )
        problem_of(other, 404)
    why = {"device": "d2", "at": asked["since"]}
    problem_of(facade.client.post("/v1/predict:explain", json=why, headers=theirs), 404)


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/predict:explain"])
def test_who_may_not_ask_is_told_so(facade: Facade, path: str) -> None:
    reader = facade.speaker("predictions:read")
    problem_of(facade.client.post(path, json={"epochs": [None]}, headers=reader), 403)


def one(**features: object) -> dict[str, Any]:
    return {"epochs": [{"in_bed": True, "features": features}]}


SPAN = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-01T01:00:00Z"}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#"),
        ([], "#"),
        ({"device": "d1"}, "#"),
        ({"device": "d1", **SPAN, "epochs": [None]}, "#"),
        ({"device": "d1", **SPAN, "until": SPAN["since"]}, "#/since"),
        ({"device": "D1", **SPAN}, "#/device"),
        ({"device": "a\0", **SPAN}, "#/device"),
        ({"device": "d1", **SPAN, "since": "0001-01-01T00:00:00Z"}, "#/since"),
        ({"device": "d1", **SPAN, "until": "9999-12-31T23:59:59-14:00"}, "#/until"),
        ({"device": "d1", **SPAN, "until": 10**30}, "#/until"),
        ({"device": "d1", **SPAN, "last": 0}, "#/last"),
        ({"device": "d1", **SPAN, "last": 10**30}, None),
        ({"epochs": []}, "#/epochs"),
        ({"epochs": [None] * 1441}, "#/epochs"),
        ({"epochs": [{"in_bed": "yes", "features": {}}]}, "#/epochs/0/in_bed"),
        (
            {"epochs": [{"in_bed": True, "features": {"hr_mean": 1e308}}]},
            "#/epochs/0/features/hr_mean",
        ),
        (
            {"epochs": [{"in_bed": True, "features": {"hr_mean": "60"}}]},
            "#/epochs/0/features/hr_mean",
        ),
        ({"epochs": [{"in_bed": True, "features": {"x": 1}}]}, "#/epochs/0/features/x"),
    ],
)
def test_a_question_that_makes_no_sense_is_told_where(
    facade: Facade, body: object, pointer: str | None
) -> None:
    headers = {**facade.speaker(), "Content-Type": "application/json"}
    response = facade.client.post("/v1/predict", content=json.dumps(body), headers=headers)
    if pointer is None:
        assert response.json()["stages"] == []
    else:
        assert problem_of(response, 422)["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_value_that_is_no_number_is_refused(facade: Facade, number: str) -> None:
    body = f'{{"epochs": [{{"in_bed": true, "features": {{"hr_mean": {number}}}}}]}}'
    headers = {**facade.speaker(), "Content-Type": "application/json"}
    for path in ("/v1/predict", "/v1/predict:explain"):
        problem = problem_of(facade.client.post(path, content=body, headers=headers), 422)
        assert problem["errors"][0]["pointer"] == "#/epochs/0/features/hr_mean"


def test_a_span_of_too_many_epochs_is_refused(facade: Facade, both: Both) -> None:
    long = Night(1441, utc_s=int(datetime(2026, 3, 1, tzinfo=UTC).timestamp()))
    store(both[1], long.frames(size=64), backlog=True)
    response = facade.client.post(
        "/v1/predict", json=question(long, 0, 1441), headers=facade.speaker()
    )
    problem = problem_of(response, 422)
    assert problem["type"] == "urn:noctis:problem:too-much"
    assert problem["errors"][0]["pointer"] == "#/until"
    assert len(post(facade, question(long, 1, 1441) | {"last": 1})["stages"]) == 1


@pytest.mark.usefixtures("night")
def test_nothing_is_explained_where_there_is_no_stage(facade: Facade, night: Night) -> None:
    for body in (
        {"device": "d1", "at": moment(night, 1).isoformat()},
        {"device": "d1", "at": "2020-01-01T00:00:00Z"},
        {"epochs": [None]},
        {"epochs": sent(night, 0, 1)},
    ):
        response = facade.client.post(
            "/v1/predict:explain", json=body, headers=facade.speaker()
        )
        problem = problem_of(response, 422)
        assert problem["type"] == "urn:noctis:problem:no-stage"
        assert problem["errors"][0]["pointer"] == ("#/at" if "at" in body else "#/epochs")


def test_another_champion_answers_from_its_promotion_on(facade: Facade) -> None:
    publish_model(facade.var, "next").promote("champion", "next")
    body = {"epochs": [None]}
    names = (post(facade, body)["model"] for _ in range(2000))
    assert any(name == "stager@next" for name in names)
