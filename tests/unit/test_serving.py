import threading
from pathlib import Path

import pytest

from inference import champion as module
from inference.model import DEFAULT_FOLDER, Model
from inference.serving import Serving, active
from noctis import faults
from noctis.errors import ModelError
from noctis.settings import Settings
from registry.manifest import ARTEFACT, MANIFEST, read_golden, read_manifest
from registry.store import Registry
from tests.models import alter_golden, copy_of_the_shipped


def publish(root: Path, version: str, *, wrong: bool = False) -> Registry:
    registry = Registry(root / "models")
    folder = copy_of_the_shipped(root, version=version)
    if wrong:
        golden = read_golden(folder)
        golden.probabilities[0][0] += 0.5
        alter_golden(folder, golden)
    registry.publish(folder)
    return registry


def refusals() -> float:
    return module._refused._value.get()  # type: ignore[no-any-return]


def test_the_shipped_model_serves_until_there_is_a_champion(tmp_path: Path) -> None:
    serving = Serving(tmp_path / "models")
    shipped = serving.model
    assert shipped.version == read_manifest(DEFAULT_FOLDER).version
    assert serving.look() is shipped
    for version in ("v1", "v2"):
        registry = publish(tmp_path, version)
        registry.promote("champion", version)
        assert serving.look().version == version
        assert serving.look() is serving.model
    registry.rollback("champion")
    assert serving.look().version == "v1"
    registry.rollback("champion")
    assert serving.look().version == shipped.version
    assert active(Settings(var=tmp_path)).model.version == shipped.version


def test_a_champion_that_is_wrong_is_refused_and_the_former_serves_on(tmp_path: Path) -> None:
    serving = Serving(tmp_path / "models")
    shipped, before = serving.model, refusals()
    publish(tmp_path, "v1", wrong=True).promote("champion", "v1")
    assert serving.look() is shipped
    assert serving.look() is shipped
    assert refusals() == before + 1
    publish(tmp_path, "v2").promote("champion", "v2")
    assert serving.look().version == "v2"


@pytest.mark.parametrize("harm", ["flip", "tear", "remove", "tear the manifest"])
def test_files_that_were_tampered_with_are_refused_whatever_was_done(
    tmp_path: Path, harm: str
) -> None:
    serving = Serving(tmp_path / "models")
    shipped, before = serving.model, refusals()
    registry = publish(tmp_path, "v1")
    registry.promote("champion", "v1")
    folder = registry.version_folder("v1")
    path = folder / (MANIFEST if "manifest" in harm else ARTEFACT)
    content = path.read_bytes()
    match harm:
        case "flip":
            path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        case "remove":
            path.unlink()
        case _:
            path.write_bytes(content[: len(content) // 2])
    assert serving.look() is shipped
    assert refusals() == before + 1
    begun = active(Settings(var=tmp_path))
    assert begun.model.version == shipped.version
    assert "v1" in str(begun.refusal)


def harmed(path: Path) -> bytes:
    """Tear a file; return what it was."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return content


def test_who_begins_on_a_broken_champion_takes_the_nearest_before_it_that_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("v1", "v2", "v3"):
        registry = publish(tmp_path, version)
        registry.promote("champion", version)
    files = [registry.version_folder(version) / ARTEFACT for version in ("v2", "v3")]
    contents = [harmed(path) for path in files]
    serving = active(Settings(var=tmp_path))
    assert serving.model.version == "v1"
    assert "v3" in str(serving.refusal)
    assert module._standing_in._value.get() == 1  # type: ignore[attr-defined]
    for path, content in zip(files, contents, strict=True):
        path.write_bytes(content)
    assert serving.look().version == "v1"
    monkeypatch.setattr(serving, "_again_at", 0.0)
    assert serving.look().version == "v3"
    assert serving.refusal is None
    assert module._standing_in._value.get() == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("content", [b"", b"gone", b"\xff\xfe\x00", b"../versions/v1"])
def test_who_begins_on_an_alias_that_makes_no_sense_asks_the_history(
    tmp_path: Path, content: bytes
) -> None:
    registry = publish(tmp_path, "v1")
    registry.promote("champion", "v1")
    registry.alias_path("champion").write_bytes(content)
    with (registry.folder / "history.jsonl").open("ab") as history:
        history.write(b'{"at": \xff\n{"version": 7}\n')
    serving = active(Settings(var=tmp_path))
    assert serving.model.version == "v1"
    assert serving.refusal


def test_where_not_even_the_shipped_model_loads_the_reason_is_the_champions(
    tmp_path: Path,
) -> None:
    publish(tmp_path, "v1").promote("champion", "v1")
    faults.use("model.load=error", {"NOCTIS_FAULTS": "allowed"})
    try:
        with pytest.raises(ModelError, match="no model to serve"):
            active(Settings(var=tmp_path))
    finally:
        faults.clear()


def test_a_refused_champion_is_tried_again_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = Serving(tmp_path / "models")
    shipped = serving.model
    publish(tmp_path, "v1").promote("champion", "v1")
    faults.use("model.load=error@#1", {"NOCTIS_FAULTS": "allowed"})
    try:
        assert serving.look() is shipped
        assert serving.look() is shipped
        monkeypatch.setattr(serving, "_again_at", 0.0)
        assert serving.look().version == "v1"
    finally:
        faults.clear()


def test_who_asks_for_the_model_does_not_wait_for_a_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = Serving(tmp_path / "models")
    shipped = serving.model
    publish(tmp_path, "v1").promote("champion", "v1")
    loading, go_on = threading.Event(), threading.Event()

    def slow(folder: Path) -> Model:
        loading.set()
        assert go_on.wait(10)
        return load(folder)

    load = Model.load
    monkeypatch.setattr(serving, "_load_folder", slow)
    looker = threading.Thread(target=serving.look)
    looker.start()
    try:
        assert loading.wait(10)
        assert serving.model is shipped
    finally:
        go_on.set()
        looker.join(10)
    assert serving.model.version == "v1"
