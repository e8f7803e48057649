"""A new champion through the facade: the gate decides, somebody answers for it."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from api.app import create_app
from api.scopes import MODELS_READ, MODELS_WRITE
from evaluation.comparison import compare
from inference.features import COUNT as FEATURE_COUNT
from inference.model import DEFAULT_FOLDER
from noctis.settings import Settings
from registry.store import Registry
from tests.facades import Asker, problem_of
from tests.models import graph_of, write_model
from tests.nights import publish_copy
from tests.unit.test_gate import LIMITS, night

CHAMPION = "/v1/models/stager/aliases/champion"
Body = dict[str, Any]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    made = create_app(Settings(var=tmp_path_factory.mktemp("var")))
    yield made
    made.state.noctis.database.close()


@pytest.fixture(scope="module")
def platform(app: FastAPI) -> Asker:
    return Asker(app, "t1", MODELS_READ, MODELS_WRITE)


@pytest.fixture(scope="module")
def registry(app: FastAPI) -> Registry:
    var = app.state.noctis.settings.var
    publish_copy(var, "equal")
    graph = graph_of((FEATURE_COUNT,))
    write_model(var / "draft", "bad", {"model.onnx": graph})
    Registry(var / "models").publish(var / "draft")
    return Registry(var / "models")


@pytest.fixture(scope="module")
def reports(registry: Registry) -> dict[str, Body]:
    """What the gate is told of both versions beside the shipped model."""
    nights = [night(f"night-{at}", f"s{at}", f"{at:x}") for at in range(6)]
    limits = LIMITS.model_copy(update={"latency_ratio": 1000.0})
    return {
        version: compare(
            registry.version_folder(version), DEFAULT_FOLDER, nights, limits=limits
        ).model_dump(mode="json")
        for version in ("equal", "bad")
    }


def promote(asker: Asker, version: str, etag: str = "*", **body: object) -> Any:  # noqa: ANN401
    path = f"/v1/models/stager/versions/{version}:promote"
    told = {"approver": "Ada", **body}
    return asker("POST", path, json=told, headers={"If-Match": etag} if etag else {})


def test_the_gate_refuses_with_its_reasons_and_lets_an_equal_version_serve(
    platform: Asker, registry: Registry, reports: dict[str, Body]
) -> None:
    etag = platform("GET", CHAMPION).headers["etag"]
    refused = problem_of(promote(platform, "bad", etag, report=reports["bad"]), 409)
    assert refused["detail"].startswith("stager@bad is not promoted: ")
    assert " falls by " in refused["detail"]
    assert "nothing shows" in problem_of(promote(platform, "equal", etag), 409)["detail"]
    problem_of(promote(platform, "equal", "", report=reports["equal"]), 428)
    problem_of(promote(platform, "equal", '"7-other"', report=reports["equal"]), 412)
    assert registry.resolve() is None
    done = promote(platform, "equal", etag, report=reports["equal"], reason="a try")
    assert done.json()["version"] == registry.resolve() == "equal"
    [switch] = registry.history()
    assert switch.approver == "Ada"
    assert switch.reason.startswith("a try; non-inferior to stager@")
    assert switch.reason.endswith("; asked by someone@t1")
    assert [it.suffix for it in (registry.folder / "reports").iterdir()] == [".json"]
    stale = promote(platform, "bad", done.headers["etag"], report=reports["bad"], override="x")
    assert "is on stager@" in problem_of(stale, 409)["detail"]
    forced = promote(platform, "bad", done.headers["etag"], override="a drill")
    assert forced.json()["version"] == "bad"
    assert registry.history()[-1].reason.startswith("override: a drill; not compared")
    registry.rollback()
    registry.rollback()


CHANGES: dict[str, tuple[Callable[[Body], object], int]] = {
    "the decision": (lambda it: it["decision"].update(verdict="superior", reasons=[]), 409),
    "the counts": (lambda it: it["candidate"]["counts"].clear(), 409),
    "one subject": (lambda it: it["candidate"]["counts"].popitem(), 409),
    "the matrices' shape": (lambda it: _each(it, "matrix", [[1]]), 409),
    "numbers beyond all": (lambda it: _each(it, "matrix", [[10**30] * 4] * 4), 409),
    "negative numbers": (lambda it: _each(it, "matrix", [[-5] * 4] * 4), 409),
    "the bins": (lambda it: _each(it, "bins", []), 409),
    "the limits": (lambda it: it["limits"].update(margin=1.0), 409),
    "the schema": (lambda it: it.update(more="x"), 422),
    "the date": (lambda it: it.update(made_at=10**40), 422),
}


def _each(report: Body, name: str, value: object) -> None:
    for counts in report["candidate"]["counts"].values():
        counts[name] = value


@pytest.mark.parametrize("name", CHANGES)
def test_a_report_that_was_changed_promotes_nothing(
    platform: Asker, registry: Registry, reports: dict[str, Body], name: str
) -> None:
    change, status = CHANGES[name]
    report = json.loads(json.dumps(reports["bad"]))
    change(report)
    problem = problem_of(promote(platform, "bad", report=report), status)
    if status == 422:
        assert problem["errors"][0]["pointer"].startswith("#/report/")
    assert registry.resolve() is None


def test_a_champion_needs_a_version_a_scope_and_somebody_who_answers(
    app: FastAPI, platform: Asker, registry: Registry
) -> None:
    problem_of(promote(platform, "nine", override="x"), 404)
    for approver in ("", "  ", "a\nb"):
        problem = problem_of(promote(platform, "equal", approver=approver, override="x"), 422)
        assert problem["errors"][0]["pointer"] == "#/approver"
    narrow = Asker(app, "t1", MODELS_READ)
    assert problem_of(promote(narrow, "equal", override="x"), 403)["detail"].endswith("write")
    assert registry.resolve() is None
