"""The registry under power cuts at every step, and under several writers at once."""

import json
import os
import shutil
import subprocess
import sys
import time
from itertools import count, pairwise
from pathlib import Path

import pytest

from registry import disk
from registry.manifest import verify
from registry.store import Registry
from tests.power import Power, until_cut
from tests.unit.test_registry import model_folder

WRITERS, TURNS = 3, 4
VERSIONS = [f"w{number}" for number in range(TURNS)]
WRITER = """
import json, sys
from pathlib import Path
from noctis.errors import ModelError
from registry.store import Registry
root, sources, number = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
registry, mine = Registry(root), []
for turn in range(4):
    version = f"w{(number + turn) % 4}"
    try:
        registry.publish(sources / f"source-{version}")
        mine.append(version)
    except ModelError as error:
        assert "is immutable" in str(error), error
    registry.promote("champion", version, approver=str(number))
    registry.promote("shadow", version, approver=str(number))
print(json.dumps(mine))
"""


def life(registry: Registry, source: Path) -> None:
    """Everything that writes: a version, two aliases, back to a version and to none."""
    registry.publish(source)
    registry.promote("champion", "v2")
    registry.promote("shadow", "v2")
    registry.rollback("shadow")
    registry.rollback("champion")
    registry.promote("champion", "v2")


@pytest.mark.parametrize("lose", [False, True], ids=["all written", "unflushed lost"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_power_cut_at_any_step_leaves_a_whole_registry(tmp_path: Path, *, lose: bool) -> None:
    first, second = (model_folder(tmp_path, version) for version in ("v1", "v2"))
    Registry(tmp_path / "before").publish(first)
    Registry(tmp_path / "before").promote("champion", "v1")
    for step in count():
        root = tmp_path / f"step-{step}"
        shutil.copytree(tmp_path / "before", root)
        registry = Registry(root)

        def work(power: Power, registry: Registry = registry) -> None:
            disk.os = power  # type: ignore[assignment]
            life(registry, second)

        was_cut = until_cut(Power(step, lose=lose), work)
        assert_whole(registry, second)
        shutil.rmtree(root)
        if not was_cut:
            break
    assert step > 30


def assert_whole(registry: Registry, source: Path) -> None:
    for version in registry.versions():
        assert verify(registry.version_folder(version)).version == version
    assert registry.resolve("champion") in registry.versions()
    assert registry.resolve("shadow") in {None, *registry.versions()}
    for alias in ("champion", "shadow"):
        told = [it.version for it in registry.history() if it.alias == alias][-1:]
        assert registry.resolve(alias) in {*told, *registry.versions(), None}
    if "v2" not in registry.versions():
        registry.publish(source)
    registry.promote("champion", "v2", reason="after the cut")
    assert registry.history()[-1].reason == "after the cut"
    assert registry.rollback("champion").version == "v1"
    drafts = {path.name for path in (registry.folder / "versions").iterdir()}
    assert {name for name in drafts if name[0] != "."} == {"v1", "v2"}


def test_the_first_of_all_writes_survives_a_cut_too(tmp_path: Path) -> None:
    source = model_folder(tmp_path, "v1")
    for step in count():
        registry = Registry(tmp_path / f"step-{step}" / "models")

        def work(power: Power, registry: Registry = registry) -> None:
            disk.os = power  # type: ignore[assignment]
            registry.publish(source)

        was_cut = until_cut(Power(step, lose=True), work)
        if not was_cut:
            assert registry.versions() == ["v1"]
            break
        for version in registry.versions():
            verify(registry.version_folder(version))
    assert step > 10


def test_writers_at_once_leave_one_history_and_each_version_once(tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    for version in VERSIONS:
        model_folder(sources, version)
    registry = Registry(tmp_path / "models")
    arguments = [sys.executable, "-c", WRITER, str(tmp_path / "models"), str(sources)]
    writers = [
        subprocess.Popen([*arguments, str(number)], stdout=subprocess.PIPE, env=os.environ)
        for number in range(WRITERS)
    ]
    seen = set()
    try:
        while any(writer.poll() is None for writer in writers):
            version = registry.resolve("champion")
            if version is not None:
                assert verify(registry.version_folder(version)).version == version
                seen.add(version)
            time.sleep(0.02)
        told = [json.loads(writer.communicate(timeout=60)[0]) for writer in writers]
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    assert [writer.returncode for writer in writers] == [0] * WRITERS
    assert sorted(version for mine in told for version in mine) == VERSIONS
    assert seen
    for alias in ("champion", "shadow"):
        history = [switch for switch in registry.history() if switch.alias == alias]
        assert len(history) == WRITERS * TURNS
        assert all(after.previous == before.version for before, after in pairwise(history))
        assert history[-1].version == registry.resolve(alias)
