"""The night-stager's life by the commands of docs/model.md: train, compare, promote, undo."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from inference.night import NIGHT_FOLDER, NIGHT_NAME, NightModel
from registry.manifest import read_manifest
from registry.store import Registry
from tests.nights import device_is_there, write_night

training = pytest.importorskip("training.night", reason="the extra train-net is missing")
train = pytest.importorskip("training.train", reason="the extra train-net is missing")
pytestmark = pytest.mark.skipif(not device_is_there(), reason="noctis-device is not built")

NAMED = ("--name", NIGHT_NAME)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desk")
    for seed in range(3):
        write_night(folder / "learn" / f"anna-{seed}", seed=seed, epochs=160)
    for seed in range(6):
        write_night(folder / "apart" / f"zoe-{seed}", seed=9 + seed, epochs=64)
    return folder


def noctis(desk: Path, *arguments: str, code: int | None = 0) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*arguments, "--var", str(desk / "var"), "--json"])
    assert code in {None, done.exit_code}, (arguments, done.output, done.exception)
    told = json.loads(done.stdout) if done.stdout.strip() else {}
    return told if isinstance(told, dict) else {"rows": told}


@pytest.fixture(scope="module")
def version(desk: Path) -> str:
    learn = ("--data", str(desk / "learn"), "--architecture", "night")
    nets = training.NetParameters(steps=3, width=4)
    small = partial(training.NightPlan, members=2, nets=nets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "NightPlan", small)
        patch.setattr(train, "NIGHT_COPIES", 1)
        made = noctis(desk, "model", "train", *learn)
    assert made["name"] == NIGHT_NAME
    return str(made["version"])


def test_a_trained_night_stager_is_listed_beside_the_shipped_one(
    desk: Path, version: str
) -> None:
    rows = noctis(desk, "model", "list", *NAMED)["rows"]
    assert [row["version"] for row in rows] == [read_manifest(NIGHT_FOLDER).version, version]
    assert rows[0]["aliases"] == ["shipped", "champion"]
    shown = noctis(desk, "model", "show", version, *NAMED)
    assert shown["architecture"] == "night"
    assert len(shown["figures"]["subjects"]) == 3


def test_whole_nights_are_evaluated_and_compared_by_the_gate(desk: Path, version: str) -> None:
    apart = ("--data", str(desk / "apart"))
    told = noctis(desk, "model", "evaluate", *NAMED, "--version", version, *apart)
    assert told["model"] == f"{NIGHT_NAME}@{version}"
    assert told["nights"] == len(told["subjects"]) == 6
    made = noctis(desk, "model", "compare", "shipped", version, *NAMED, *apart, code=None)
    assert made["candidate"]["model"].startswith(f"{NIGHT_NAME}@")
    assert made["decision"]["subjects"] == 6


def test_a_night_stager_is_promoted_by_a_person_and_rolled_back(
    desk: Path, version: str
) -> None:
    person = ("--approver", "Ann Lee", *NAMED)
    noctis(desk, "model", "promote", version, *person, code=1)
    switch = noctis(desk, "model", "promote", version, *person, "--override", "a test")
    assert switch["version"] == version
    registry = Registry(desk / "var" / "models", NIGHT_NAME)
    assert NightModel.load(registry.version_folder(str(registry.resolve()))).version == version
    assert noctis(desk, "model", "rollback", *person)["version"] is None


def test_a_night_stager_takes_no_other_models_name_and_no_other_takes_its(desk: Path) -> None:
    nights = ("--data", str(desk / "learn"))
    noctis(desk, "model", "train", *nights, "--architecture", "night", "--name", "x", code=1)
    noctis(desk, "model", "train", *nights, *NAMED, code=1)
    noctis(desk, "model", "evaluate", "--tenant", "home", *NAMED, code=1)
