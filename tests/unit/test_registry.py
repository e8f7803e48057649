from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from filelock import FileLock

from noctis.errors import ModelError
from noctis.stages import LABELS
from registry import disk, store
from registry.manifest import (
    ARTEFACT,
    MANIFEST,
    Figures,
    Manifest,
    Night,
    digest_of,
    night_in_training,
    read_golden,
    read_manifest,
    verify,
)
from registry.store import Registry

FIGURES = Figures(
    kappa=0.5,
    kappa_interval=(0.4, 0.6),
    accuracy=0.7,
    macro_f1=0.6,
    macro_f1_interval=(0.5, 0.7),
    stage_f1=dict.fromkeys(LABELS, 0.6),
    epochs=100,
    subjects={"ann": [[25, 0, 0, 0], [0, 25, 0, 0], [0, 0, 25, 0], [0, 0, 0, 25]]},
)


def model_folder(root: Path, version: str, *, nights: tuple[Night, ...] = ()) -> Path:
    folder = root / f"source-{version}"
    folder.mkdir(parents=True)
    artefact = f"the artefact of {version}".encode()
    (folder / ARTEFACT).write_bytes(artefact)
    manifest = Manifest(
        name="stager",
        version=version,
        created=datetime.now(UTC),
        files={ARTEFACT: sha256(artefact).hexdigest()},
        features=("a", "b"),
        classes=LABELS,
        seed=1,
        parameters={},
        figures=FIGURES,
        nights=nights,
        libraries={},
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    return folder


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry = Registry(tmp_path / "models")
    for version in ("v1", "v2", "v3"):
        registry.publish(model_folder(tmp_path, version))
    return registry


def test_a_published_version_is_a_verified_copy(registry: Registry) -> None:
    assert registry.versions() == ["v1", "v2", "v3"]
    folder = registry.version_folder("v2")
    assert (folder / ARTEFACT).read_bytes() == b"the artefact of v2"
    assert verify(folder).full_name == "stager@v2"


def test_a_version_is_never_overwritten(registry: Registry, tmp_path: Path) -> None:
    other = model_folder(tmp_path / "other", "v1")
    with pytest.raises(ModelError, match="is immutable"):
        registry.publish(other)
    assert names_in(registry.folder / "versions") == ["v1", "v2", "v3"]


def test_publishing_is_all_or_nothing(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = model_folder(tmp_path, "v4")
    written: list[Path] = []
    write = disk.write

    def break_at_the_second(path: Path, content: bytes) -> None:
        if written:
            message = "the disk is full"
            raise OSError(message)
        written.append(path)
        write(path, content)

    monkeypatch.setattr(disk, "write", break_at_the_second)
    with pytest.raises(OSError, match="full"):
        registry.publish(source)
    assert written
    assert names_in(registry.folder / "versions") == ["v1", "v2", "v3"]
    monkeypatch.undo()
    assert registry.publish(source).version == "v4"


def test_a_half_written_draft_is_no_version_and_goes_with_the_next(
    registry: Registry, tmp_path: Path
) -> None:
    draft = registry.folder / "versions" / ".draft-left-by-a-crash"
    draft.mkdir()
    assert registry.versions() == ["v1", "v2", "v3"]
    registry.publish(model_folder(tmp_path, "v4"))
    assert not draft.exists()


def test_a_damaged_source_is_not_published(registry: Registry, tmp_path: Path) -> None:
    source = model_folder(tmp_path, "v4")
    (source / ARTEFACT).write_bytes(b"something else")
    with pytest.raises(ModelError, match="was changed"):
        registry.publish(source)
    with pytest.raises(ModelError, match=r"no version 'v4'"):
        registry.version_folder("v4")


def test_a_model_of_another_name_is_refused(tmp_path: Path) -> None:
    source = model_folder(tmp_path, "v1")
    with pytest.raises(ModelError, match="holds stager@v1"):
        Registry(tmp_path / "models", "snorer").publish(source)


def test_a_flipped_byte_in_the_artefact_is_refused(registry: Registry) -> None:
    path = registry.version_folder("v2") / ARTEFACT
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="was changed after publication"):
        registry.promote("champion", "v2")
    assert registry.resolve("champion") is None


def test_a_missing_and_an_unlisted_file_are_refused(registry: Registry) -> None:
    folder = registry.version_folder("v1")
    (folder / "extra.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"extra\.bin is not in its manifest"):
        verify(folder)
    (folder / "extra.bin").unlink()
    (folder / ARTEFACT).unlink()
    with pytest.raises(ModelError, match="is missing"):
        verify(folder)


def test_a_manifest_that_is_none_says_where(registry: Registry) -> None:
    folder = registry.version_folder("v1")
    with pytest.raises(ModelError, match=r"cannot read .*golden\.json"):
        read_golden(folder)
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace('"seed":1', '"seed":"one"'))
    with pytest.raises(ModelError, match="not valid at seed"):
        read_manifest(folder)


def test_an_alias_switches_and_rolls_back_step_by_step(registry: Registry) -> None:
    registry.promote("champion", "v1", approver="ann")
    registry.promote("champion", "v2")
    registry.promote("shadow", "v1")
    registry.promote("champion", "v3")
    assert registry.resolve("champion") == "v3"
    assert registry.rollback("champion").version == "v2"
    assert registry.resolve("champion") == "v2"
    registry.promote("champion", "v3")
    for expected in ("v2", "v1", None):
        registry.rollback("champion", approver="bob", reason="worse")
        assert registry.resolve("champion") == expected
    assert registry.resolve("shadow") == "v1"
    with pytest.raises(ModelError, match="nothing can be undone"):
        registry.rollback("champion")


def test_the_history_keeps_every_switch(registry: Registry) -> None:
    registry.promote("champion", "v1", approver="ann", reason="better")
    registry.promote("champion", "v2")
    registry.rollback("champion", approver="bob")
    history = registry.history()
    assert [(s.action, s.version, s.previous) for s in history] == [
        ("promote", "v1", None),
        ("promote", "v2", "v1"),
        ("rollback", "v1", "v2"),
    ]
    assert (history[0].approver, history[0].reason) == ("ann", "better")


def test_promoting_the_champion_again_does_not_count_for_a_rollback(
    registry: Registry,
) -> None:
    for version in ("v1", "v2", "v2"):
        registry.promote("champion", version)
    assert registry.rollback("champion").version == "v1"


def test_a_crash_before_the_history_is_written_does_not_mislead_a_rollback(
    registry: Registry,
) -> None:
    registry.promote("champion", "v1")
    history = (registry.folder / "history.jsonl").read_bytes()
    registry.promote("champion", "v2")
    (registry.folder / "history.jsonl").write_bytes(history)
    assert registry.rollback("champion").version == "v1"


def test_a_torn_line_of_the_history_is_passed_over(registry: Registry) -> None:
    registry.promote("champion", "v1")
    registry.promote("champion", "v2")
    path = registry.folder / "history.jsonl"
    path.write_bytes(path.read_bytes() + b'{"at": "2026-')
    registry.promote("champion", "v3")
    assert [switch.version for switch in registry.history()] == ["v1", "v2", "v3"]
    assert registry.rollback("champion").version == "v2"


def test_unknown_versions_and_aliases_are_refused(registry: Registry) -> None:
    with pytest.raises(ModelError, match=r"no version '\.\./v1'.*v1, v2, v3"):
        registry.promote("champion", "../v1")
    with pytest.raises(ModelError, match="'king' is no alias"):
        registry.promote("king", "v1")  # type: ignore[arg-type]


def test_many_switches_at_once_leave_one_alias_and_a_whole_history(
    registry: Registry,
) -> None:
    with ThreadPoolExecutor(4) as pool:
        switches = pool.map(lambda i: registry.promote("champion", f"v{i % 3 + 1}"), range(24))
        assert len(list(switches)) == 24
    history = registry.history()
    assert len(history) == 24
    assert history[-1].version == registry.resolve("champion")
    assert all(a.version == b.previous for a, b in pairwise(history))


def test_a_lock_that_is_held_is_named(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LOCK_SECONDS", 0.1)
    with (
        FileLock(registry.folder / ".lock"),
        pytest.raises(ModelError, match="held by another process"),
    ):
        registry.promote("champion", "v1")


def test_a_night_of_the_training_data_is_known_by_its_bytes(tmp_path: Path) -> None:
    learnt, renamed, new = (tmp_path / name for name in ("learnt", "renamed", "new"))
    for folder, bpm in ((learnt, 60), (renamed, 60), (new, 61)):
        folder.mkdir()
        (folder / "heart_rate.csv").write_text(f"t_s,bpm\n0,{bpm}\n")
    files = {"heart_rate.csv": digest_of(learnt / "heart_rate.csv")}
    night = Night(name="learnt", subject="ann", files=files)
    manifest = read_manifest(model_folder(tmp_path, "v1", nights=(night,)))
    assert night_in_training(learnt, manifest)
    assert night_in_training(renamed, manifest)
    assert not night_in_training(new, manifest)
