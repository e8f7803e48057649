"""``noctis model explain`` of stored epochs and of a night's folder."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from cli.main import app
from evaluation.staging import stage_night
from inference.model import DEFAULT_FOLDER, Model
from noctis.errors import ConfigurationError
from noctis.features import NAMES
from tests.integration.inference_fixtures import Night, add_devices, store
from tests.nights import device_is_there, write_night

pytestmark = pytest.mark.postgres


def explained(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["model", "explain", *arguments, "--draws", "2", "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    added = [one["log_odds"] for one in told["contributions"].values()]
    assert told["base_log_odds"] + sum(added) == pytest.approx(told["log_odds"], abs=1e-4)
    assert list(told["contributions"]) == list(NAMES)
    return told


def at(night: Night, epoch: int, seconds: int = 12) -> str:
    moment = datetime.fromtimestamp(night.utc_s + 30 * epoch + seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}"


def test_what_was_told_of_a_stored_epoch_is_explained(
    engine: Engine, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOCTIS_DATABASE_URL", database_url)
    add_devices(engine)
    night = Night(80, seed=3)
    store(engine, night.frames(size=16))
    rows = np.column_stack((night.codes, night.in_bed)).astype(np.int16)
    meant = stage_night(Model.load(DEFAULT_FOLDER), rows)
    where = ("--device", "t1/d1", "--var", str(tmp_path))
    epoch = int(np.flatnonzero(meant.stages >= 0)[30])
    told = explained(*where, "--at", at(night, epoch))
    assert list(told["probability"].values()) == pytest.approx(
        meant.probabilities[epoch], abs=1e-4
    )
    assert told["contributions"]["hr_mean"]["log_odds"] != 0
    assert told["contributions"]["tilt_change"] == {
        "value": None,
        "unit": "deg",
        "log_odds": 0,
        "standard_error": 0,
    }
    with pytest.raises(ConfigurationError, match="has no stage"):
        explained(*where, "--at", at(night, 0))
    with pytest.raises(ConfigurationError, match="no stored epoch at"):
        explained(*where, "--at", at(night, 5000))


@pytest.mark.skipif(not device_is_there(), reason="noctis-device is not built")
def test_an_epoch_of_a_nights_folder_is_explained(tmp_path: Path) -> None:
    folder = write_night(tmp_path / "night", seed=4)
    where = ("--data", str(folder), "--var", str(tmp_path / "var"))
    told = explained(*where, "--epoch", "100", "--stage", "deep")
    assert told["stage"] == "deep"
    chance = told["probability"]["deep"]
    assert np.log(chance / (1 - chance)) == pytest.approx(told["log_odds"], abs=0.01)
    with pytest.raises(ConfigurationError, match="no such one epoch: night: 1"):
        explained(*where, "--epoch", "9999")
    with pytest.raises(ConfigurationError, match="one epoch is to be named"):
        explained(*where)
