"""The models' routes: what is there, uploads, aliases; without database and broker."""

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from hashlib import sha256
from os import getpid
from pathlib import Path
from socket import gethostname
from typing import Any

import pytest
from fastapi import FastAPI

from api import archives
from api.app import create_app
from api.scopes import MODELS_READ, MODELS_WRITE
from companion.revision import NightStager
from inference.model import DEFAULT_FOLDER
from noctis.settings import Settings
from registry.manifest import MANIFEST, read_manifest
from registry.presence import Presence
from registry.store import Registry
from tests.facades import Asker, problem_of

SHIPPED = read_manifest(DEFAULT_FOLDER)
VERSIONS = "/v1/models/stager/versions"
CHALLENGER = "/v1/models/stager/aliases/challenger"
ZIP = {"Content-Type": "application/zip"}
ROOM = 1 << 20


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return create_app(Settings(var=tmp_path_factory.mktemp("var")))


@pytest.fixture
def models(app: FastAPI) -> Path:
    """The registry's folder, empty."""
    root: Path = app.state.noctis.settings.models
    shutil.rmtree(root, ignore_errors=True)
    return root


@pytest.fixture(scope="module")
def reader(app: FastAPI) -> Asker:
    return Asker(app, "t1", MODELS_READ)


@pytest.fixture(scope="module")
def platform(app: FastAPI) -> Asker:
    return Asker(app, "t1", MODELS_READ, MODELS_WRITE)


def files_of(version: str, **changes: object) -> dict[str, bytes]:
    """The shipped model's files under another version."""
    files = {it.name: it.read_bytes() for it in DEFAULT_FOLDER.iterdir() if it.is_file()}
    manifest = json.loads(files[MANIFEST]) | {"version": version} | changes
    return files | {MANIFEST: json.dumps(manifest).encode()}


def zip_of(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def publish(models: Path, *versions: str) -> None:
    for version in versions:
        folder = models.parent / f"draft-{version}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, content in files_of(version).items():
            (folder / name).write_bytes(content)
        Registry(models).publish(folder)


def test_models_are_listed_with_their_versions_and_aliases(models: Path, reader: Asker) -> None:
    publish(models, "1", "2", "3")
    Registry(models).promote("champion", "2")
    night, model = reader("GET", "/v1/models").json()["models"]
    assert (night["name"], night["versions"]) == ("night-stager", 1)
    assert (model["name"], model["versions"]) == ("stager", 4)
    assert {it["alias"]: it["version"] for it in model["aliases"]} == {
        "champion": "2",
        "challenger": None,
        "shadow": None,
    }
    assert reader("GET", "/v1/models/stager").json() == model
    first = reader("GET", VERSIONS, params={"page_size": 3}).json()
    rest = reader("GET", VERSIONS, params={"page_token": first["next_page_token"]}).json()
    assert rest["next_page_token"] is None
    found = {it["version"]: it for it in first["versions"] + rest["versions"]}
    assert list(found) == ["1", "2", SHIPPED.version, "3"]
    assert found["2"]["aliases"] == ["champion"]
    assert found[SHIPPED.version]["aliases"] == ["challenger", "shadow"]
    assert found[SHIPPED.version]["shipped"] is True
    assert found["1"]["kappa"] == SHIPPED.figures.kappa


def test_a_version_is_told_with_card_and_manifest(models: Path, reader: Asker) -> None:
    publish(models, "1")
    version = reader("GET", f"{VERSIONS}/1").json()
    assert version["card"] == (DEFAULT_FOLDER / "card.md").read_text()
    assert version["manifest"]["files"] == SHIPPED.files
    assert version["damage"] is None


def test_a_damaged_version_is_listed_as_damaged_and_says_not_where_it_lies(
    models: Path, reader: Asker
) -> None:
    publish(models, "1", "2")
    (models / "stager" / "versions" / "1" / MANIFEST).write_text("{")
    listed = reader("GET", VERSIONS).json()["versions"]
    told = {it["version"]: it["damage"] for it in listed}
    assert "manifest.json is not valid" in told["1"]
    assert told["2"] is None
    assert str(models) not in json.dumps(listed)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/napper",
        "/v1/models/napper/versions",
        "/v1/models/napper/aliases",
        "/v1/models/napper/aliases/champion/history",
        f"{VERSIONS}/nine",
    ],
)
def test_what_is_not_there_is_not_found(models: Path, reader: Asker, path: str) -> None:
    assert str(models) not in problem_of(reader("GET", path), 404)["detail"]


@pytest.mark.parametrize("name", ["..", "A", "%00", "a" * 65, "stager%0A", "%2e%2e"])
def test_a_name_that_no_model_can_have_is_pointed_at(reader: Asker, name: str) -> None:
    response = reader("GET", f"/v1/models/{name}/versions")
    if response.status_code != 404:  # the client itself has taken ".." away
        assert problem_of(response, 422)["errors"][0]["pointer"] == "#/path/model"


def upload(asker: Asker, content: bytes, **headers: str) -> Any:  # noqa: ANN401
    return asker("POST", VERSIONS, content=content, headers=ZIP | headers)


def test_an_upload_is_a_version_that_serves_nobody(models: Path, platform: Asker) -> None:
    response = upload(platform, zip_of(files_of("new")))
    assert response.status_code == 201, response.text
    assert response.headers["location"] == f"{VERSIONS}/new"
    assert platform("GET", response.headers["location"]).json() == response.json()
    assert response.json()["aliases"] == []
    assert problem_of(upload(platform, zip_of(files_of("new"))), 409)["detail"] == (
        "stager@new exists, and never changes"
    )
    assert Registry(models).versions() == ["new"]


def altered(name: str) -> Callable[[], bytes]:
    def make() -> bytes:
        files = files_of("new")
        return zip_of(files | {name: files[name][:-1] + b"\n "})

    return make


def renamed(name: str) -> Callable[[], bytes]:
    def make() -> bytes:
        files = files_of("new")
        return zip_of({name if it == "card.md" else it: files[it] for it in files})

    return make


def without(name: str) -> Callable[[], bytes]:
    return lambda: zip_of({k: v for k, v in files_of("new").items() if k != name})


def link() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        entry = zipfile.ZipInfo("card.md")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    return made.getvalue()


def bomb() -> bytes:
    return zip_of({**files_of("new"), "zeros.bin": bytes(ROOM + 1)})


def liar() -> bytes:
    """A bomb that says of itself that it is small."""
    content = bytearray(bomb())
    true = (ROOM + 1).to_bytes(4, "little")
    for place in (content.find(true), content.rfind(true)):
        content[place : place + 4] = (100).to_bytes(4, "little")
    return bytes(content)


REFUSALS: dict[str, tuple[Callable[[], bytes], str]] = {
    "altered graph": (altered("model.onnx"), "model.onnx was changed after publication"),
    "altered vectors": (altered("golden.json"), "golden.json was changed"),
    "no vectors": (without("golden.json"), "golden.json is missing"),
    "no manifest": (without(MANIFEST), "cannot read manifest.json"),
    "one folder up": (renamed("../card.md"), "'../card.md' is no name"),
    "from the root": (renamed("/card.md"), "'/card.md' is no name"),
    "in a folder": (renamed("a/card.md"), "'a/card.md' is no name"),
    "in a folder of Windows": (renamed("..\\card.md"), "is no name"),
    "hidden": (renamed(".card"), "'.card' is no name"),
    "link": (link, "'card.md' is no name"),
    "bomb": (bomb, "zeros.bin is encrypted, or too large"),
    "bomb that lies": (liar, "torn or damaged"),
    "many files": (lambda: zip_of({f"file{n}": b"" for n in range(33)}), "holds 33 files"),
    "no files": (lambda: zip_of({}), "holds 0 files"),
    "torn": (lambda: zip_of(files_of("new"))[:-1000], "torn or damaged"),
    "other stages": (
        lambda: zip_of(files_of("new", classes=["wake", "asleep"])),
        "tells wake, asleep",
    ),
    "other model": (
        lambda: zip_of(files_of("new", name="napper")),
        "holds napper@new, not a stager",
    ),
    "version that climbs": (
        lambda: zip_of(files_of("../../up")),
        "manifest.json is not valid at version",
    ),
    "empty": (lambda: b"", "torn or damaged"),
    "no zip": (lambda: b"no zip", "torn or damaged"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_no_version_is_refused_and_leaves_nothing(
    models: Path, platform: Asker, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(archives, "MOST_BYTES", ROOM)
    make, told = REFUSALS[name]
    problem = problem_of(upload(platform, make()), 422)
    assert told in problem["errors"][0]["detail"]
    assert problem["errors"][0]["pointer"] == "#"
    assert "noctis-upload" not in problem["detail"]
    assert not models.exists() or not any(models.rglob("manifest.json"))


def test_a_graph_that_computes_otherwise_than_its_golden_vectors_is_refused(
    models: Path, platform: Asker
) -> None:
    files = files_of("new")
    golden = json.loads(files["golden.json"])
    golden["probabilities"][0] = [0.25, 0.25, 0.25, 0.25]
    files["golden.json"] = json.dumps(golden).encode()
    manifest = json.loads(files[MANIFEST])
    manifest["files"]["golden.json"] = sha256(files["golden.json"]).hexdigest()
    files[MANIFEST] = json.dumps(manifest).encode()
    problem = problem_of(upload(platform, zip_of(files)), 422)
    assert "misses its golden vectors" in problem["detail"]
    assert not models.exists()


def test_an_upload_that_is_no_zip_by_its_own_account_is_refused(platform: Asker) -> None:
    response = platform("POST", VERSIONS, content=b"{}")
    problem_of(response, 415)


def test_an_upload_of_more_than_the_limit_is_cut_off(platform: Asker) -> None:
    problem_of(upload(platform, bytes((128 << 20) + 1)), 413)


def test_an_alias_moves_for_whoever_knows_where_it_points(
    models: Path, platform: Asker
) -> None:
    publish(models, "1", "2")
    state = platform("GET", CHALLENGER)
    assert state.json()["version"] is None
    etag = {"If-Match": state.headers["etag"]}
    problem_of(platform("PUT", CHALLENGER, json={"version": "1"}), 428)
    problem_of(
        platform("PUT", CHALLENGER, json={"version": "1"}, headers={"If-Match": '"x"'}), 412
    )
    moved = platform("PUT", CHALLENGER, json={"version": "1"}, headers=etag)
    assert moved.json()["version"] == "1"
    assert moved.headers["etag"] == moved.json()["etag"] != state.headers["etag"]
    late = platform("PUT", CHALLENGER, json={"version": "2"}, headers=etag)
    assert problem_of(late, 412)["type"] == "urn:noctis:problem:changed"
    assert late.headers["etag"] == moved.headers["etag"]
    now = {"If-Match": moved.headers["etag"]}
    unknown = platform("PUT", CHALLENGER, json={"version": "9"}, headers=now)
    assert problem_of(unknown, 422)["errors"][0]["pointer"] == "#/version"
    assert Registry(models).resolve("challenger") == "1"


def test_an_alias_goes_back_with_an_approver_and_its_history_tells(
    models: Path, platform: Asker
) -> None:
    publish(models, "1", "2")
    path = "/v1/models/stager/aliases/champion"
    for version in ("1", "2"):
        Registry(models).promote("champion", version, approver="ann")
    etag = {"If-Match": platform("GET", path).headers["etag"]}
    problem_of(platform("POST", f"{path}:rollback", json={"approver": "bob"}), 428)
    nobody = platform("POST", f"{path}:rollback", json={"approver": ""}, headers=etag)
    assert problem_of(nobody, 422)["errors"][0]["pointer"] == "#/approver"
    order = {"approver": "bob", "reason": "too much REM"}
    back = platform("POST", f"{path}:rollback", json=order, headers=etag)
    assert back.json()["version"] == "1"
    problem_of(platform("POST", f"{path}:rollback", json=order, headers=etag), 412)
    again = platform("POST", f"{path}:rollback", json=order, headers={"If-Match": "*"})
    assert again.json()["version"] is None
    nothing = platform("POST", f"{path}:rollback", json=order, headers={"If-Match": "*"})
    problem_of(nothing, 409)
    first = platform("GET", f"{path}/history", params={"page_size": 3}).json()
    rest = platform(
        "GET", f"{path}/history", params={"page_token": first["next_page_token"]}
    ).json()
    told = first["switches"] + rest["switches"]
    assert [(it["action"], it["version"], it["approver"]) for it in told] == [
        ("rollback", None, "bob"),
        ("rollback", "1", "bob"),
        ("promote", "2", "ann"),
        ("promote", "1", "ann"),
    ]
    assert told[1]["reason"] == "too much REM; asked by someone@t1"
    assert rest["next_page_token"] is None


def test_the_champion_does_not_move_past_the_gate(models: Path, platform: Asker) -> None:
    publish(models, "1")
    path = "/v1/models/stager/aliases/champion"
    response = platform("PUT", path, json={"version": "1"}, headers={"If-Match": "*"})
    assert problem_of(response, 409)["type"] == "urn:noctis:problem:gate"
    assert Registry(models).resolve() is None


def test_a_reload_takes_the_champion_at_once_and_says_what_it_refuses(
    models: Path, platform: Asker
) -> None:
    publish(models, "1", "2")
    Registry(models).promote("champion", "1")
    told = platform("POST", "/v1/models/stager:reload").json()
    assert (told["champion"], told["looked"]) == ("stager@1", True)
    [process] = told["processes"]
    me = {"process": f"api {gethostname()}/{getpid()}", "model": "stager@1"}
    assert process == {**me, "is_champion": True, "refusal": None}
    Registry(models).promote("champion", "2")
    (models / "stager" / "versions" / "2" / "model.onnx").write_bytes(b"x")
    told = platform("POST", "/v1/models/stager:reload").json()
    assert told["champion"] == "stager@2"
    [process] = told["processes"]
    refusal = process.pop("refusal")
    assert process == {**me, "is_champion": False}
    assert "model.onnx was changed" in refusal
    assert str(models) not in refusal
    problem_of(platform("POST", "/v1/models/napper:reload"), 404)


def test_a_reload_tells_of_the_processes_of_the_model_that_the_path_names(
    models: Path, platform: Asker
) -> None:
    shipped = NightStager(models).look()
    assert shipped is not None
    Presence(models / "stager", "inference").tell("stager@0", None)
    told = platform("POST", "/v1/models/night-stager:reload").json()
    assert (told["champion"], told["looked"]) == (shipped.full_name, False)
    [process] = told["processes"]
    assert process["process"].startswith("companion ")
    assert (process["model"], process["is_champion"]) == (shipped.full_name, True)
    told = platform("POST", "/v1/models/stager:reload").json()
    assert [it["process"].split()[0] for it in told["processes"]] == ["api", "inference"]
    assert [it["is_champion"] for it in told["processes"]] == [True, False]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("GET", "/v1/models/stager"),
        ("GET", VERSIONS),
        ("GET", f"{VERSIONS}/1"),
        ("GET", "/v1/models/stager/aliases"),
        ("GET", CHALLENGER),
        ("GET", f"{CHALLENGER}/history"),
    ],
)
def test_who_may_not_read_models_reads_none(app: FastAPI, method: str, path: str) -> None:
    problem = problem_of(Asker(app, "t1", MODELS_WRITE)(method, path), 403)
    assert problem["detail"] == "the token lacks models:read"


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("POST", VERSIONS, {"content": b"no zip", "headers": ZIP}),
        ("PUT", CHALLENGER, {"json": {"version": "1"}}),
        ("POST", f"{CHALLENGER}:rollback", {"json": {"approver": "bob"}}),
        ("POST", "/v1/models/stager:reload", {}),
    ],
)
def test_who_may_not_change_models_changes_none(
    reader: Asker, method: str, path: str, options: dict[str, Any]
) -> None:
    problem = problem_of(reader(method, path, **options), 403)
    assert problem["detail"] == "the token lacks models:write"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/version"),
        ({"version": "../1"}, "#/version"),
        ({"version": "1", "reason": "a\0b"}, "#/reason"),
        ({"version": "1", "reason": "x" * 1001}, "#/reason"),
        ({"version": 10**30}, "#/version"),
        ([], "#"),
    ],
)
def test_an_order_that_makes_no_sense_is_pointed_at(
    platform: Asker, body: object, pointer: str
) -> None:
    response = platform("PUT", CHALLENGER, json=body, headers={"If-Match": "*"})
    assert problem_of(response, 422)["errors"][0]["pointer"] == pointer
