"""The commands of docs/model.md, as they are written there, on made-up nights."""

import re
import shlex
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from cli.main import app
from inference.model import DEFAULT_FOLDER
from noctis.identity import DeviceId
from noctis.stages import Stage
from noctis.storage import devices, predictions, tenants
from noctis.storage.engine import transaction
from noctis.storage.predictions import Prediction
from registry.manifest import read_manifest
from registry.store import Registry
from tests.integration.inference_fixtures import store
from tests.integration.test_storage_ingest import frame
from tests.nights import device_is_there, write_night

trees = pytest.importorskip("training.trees", reason="the extra 'train' is not installed")
pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not device_is_there(), reason="noctis-device is not built"),
]

PAGE = Path(__file__).parents[2] / "docs" / "model.md"
NIGHT = datetime(2026, 3, 1, 22, tzinfo=UTC)


def commands() -> list[str]:
    """Return the lines of the page's blocks of shell."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the page has it, and trees that are quickly grown."""
    for seed in range(4):
        write_night(tmp_path / "nights" / "learn" / f"anna-{seed}", seed=seed, epochs=96)
    for seed in range(6):
        write_night(tmp_path / "nights" / "apart" / f"zoe-{seed}", seed=9 + seed, epochs=64)
    labels = "\n".join(f"{30 * at},N2" for at in range(20))
    (tmp_path / "psg.csv").write_text(f"t_s,stage\n{labels}\n")
    small = partial(trees.Parameters, folds=2, iterations=15, leaf_epochs=10)
    monkeypatch.setattr(trees, "Parameters", small)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stage_a_night(engine: Engine) -> None:
    """Store a night of home/bedroom with stages of the shipped model."""
    who = DeviceId("home", "bedroom")
    manifest = read_manifest(DEFAULT_FOLDER)
    with transaction(engine) as connection:
        tenants.add(connection, who.tenant)
        key = devices.add(who.tenant, connection, who.device).id
    store(engine, [frame(1, 20, stream=1, utc=NIGHT)], device=who, backlog=True)
    with transaction(engine) as connection:
        model = predictions.model_id(connection, manifest.name, manifest.version)
        starts = [NIGHT + timedelta(seconds=30 * at) for at in range(20)]
        rows = [
            Prediction(key, 1, 1 + at, start, Stage.LIGHT, (0.1, 0.7, 0.1, 0.1))
            for at, start in enumerate(starts)
        ]
        predictions.store(connection, model, rows)


def test_the_pages_commands_do_what_it_says(
    desk: Path, engine: Engine, database_url: str
) -> None:
    stage_a_night(engine)
    registry = Registry(desk / "var" / "models")
    serving, told = [], ""
    for line in commands():
        version = (registry.versions() or [""])[-1]
        arguments = shlex.split(line.replace("VERSION", version))
        assert arguments[0] == "noctis", line
        environment = {"NOCTIS_DATABASE_URL": database_url}
        done = CliRunner().invoke(app, arguments[1:], env=environment)
        assert done.exit_code == 0, (line, done.output, done.exception)
        told += done.output
        serving.append(registry.resolve())
    assert len(registry.versions()) == 1
    assert [it for it in dict.fromkeys(serving) if it] == registry.versions()
    assert serving[-1] is None
    assert [switch.approver for switch in registry.history()] == ["Ann Lee", "Ann Lee"]
    assert "the candidate is superior" in told
    assert "20 labels of home/bedroom are gone" in told
    assert len(list((registry.folder / "reports").iterdir())) == 1


def test_the_page_names_every_command_of_a_models_life() -> None:
    named = {" ".join(shlex.split(line)[1:3]) for line in commands()}
    life = {f"model {it}" for it in ("train", "list", "show", "evaluate", "compare")}
    life |= {"model promote", "model rollback"}
    assert named >= life | {"labels import", "labels list", "labels remove"}
