"""The life of a model on a real database: settled, held against labels, promoted, undone."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine
from typer.testing import CliRunner

from cli.main import app
from evaluation.datasets import Recording, load
from inference.features import COUNT as FEATURE_COUNT
from inference.model import DEFAULT_FOLDER
from inference.serving import active
from inference.settler import Settler
from inference.trials import Trials
from noctis.epoch import Frame, Run
from noctis.errors import ConfigurationError, ModelError
from noctis.features import COUNT
from noctis.identity import DeviceId
from noctis.settings import Settings
from noctis.storage import devices, tenants
from noctis.storage.database import Database
from noctis.storage.engine import transaction
from noctis.topics import SHARDS
from registry.manifest import read_manifest
from registry.store import Registry
from tests.integration.inference_fixtures import store, wait_settled
from tests.models import graph_of, write_model
from tests.nights import device_is_there, publish_copy, write_night

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.usefixtures("several_connections"),
    pytest.mark.skipif(not device_is_there(), reason="noctis-device is not built"),
]
BEGIN = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
SUBJECTS = 6
SHIPPED = read_manifest(DEFAULT_FOLDER)


@dataclass(frozen=True)
class Clinic:
    """Nights as folders, and the same nights as stored epochs of a device each."""

    engine: Engine
    url: str
    var: Path
    nights: Path
    recordings: Sequence[Recording]

    def noctis(self, *arguments: str) -> Any:  # noqa: ANN401 - any JSON
        """Run a command of the line; return the JSON that it prints."""
        done = CliRunner().invoke(
            app,
            [*arguments, "--var", str(self.var), "--json"],
            env={"NOCTIS_DATABASE_URL": self.url},
            catch_exceptions=False,
        )
        return json.loads(done.stdout)

    def settle(self, model: str) -> None:
        """Let the settler judge what the champion has not judged yet."""
        settings = Settings(var=self.var, database_url=SecretStr(self.url))
        database = Database(settings, application="noctis-test", connections=2)
        settler = Settler(database, Trials(active(settings)), frozenset(range(SHARDS)))

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(settler.run())
                await asyncio.to_thread(self._await, model)
                running.cancel()

        asyncio.run(main())
        database.close()

    def _await(self, model: str) -> None:
        for stream, recording in enumerate(self.recordings, 1):
            rows = wait_settled(self.engine, stream, len(recording.rows), within_s=60)
            assert {row.model for row in rows} == {model}

    def label(self) -> None:
        """Import the reference stages of all nights."""
        start = f"{BEGIN:%Y-%m-%dT%H:%M:%SZ}"
        for recording in self.recordings:
            name = recording.night.name
            self.noctis(
                *("labels", "import", str(self.nights / name / "stages.csv")),
                *("--device", f"clinic/{name}", "--source", "psg", "--start", start),
            )


@pytest.fixture
def clinic(engine: Engine, database_url: str, tmp_path: Path) -> Clinic:
    for seed in range(SUBJECTS):
        write_night(tmp_path / "nights" / f"bed-{seed}", seed=seed, epochs=64)
    cache = tmp_path / "var" / "cache" / "nights"
    recordings = load(tmp_path / "nights", cache=cache)
    with transaction(engine) as connection:
        tenants.add(connection, "clinic")
        for recording in recordings:
            devices.add("clinic", connection, recording.night.name)
    for stream, recording in enumerate(recordings, 1):
        rows = recording.rows
        run = Run(0, 0, 1, 5, int(BEGIN.timestamp()))
        frames = [
            Frame(
                stream,
                1 + at,
                0,
                run,
                rows[at : at + 32, :COUNT],
                rows[at : at + 32, COUNT] == 1,
            )
            for at in range(0, len(rows), 32)
        ]
        store(engine, frames, device=DeviceId("clinic", recording.night.name), backlog=True)
    return Clinic(engine, database_url, tmp_path / "var", tmp_path / "nights", recordings)


def test_what_is_stored_and_labelled_has_the_figures_of_the_nights_themselves(
    clinic: Clinic,
) -> None:
    clinic.settle(SHIPPED.full_name)
    clinic.label()
    stored = clinic.noctis("model", "evaluate", "--tenant", "clinic")
    played = clinic.noctis("model", "evaluate", "--data", str(clinic.nights))
    figures = ("confusion", "kappa", "kappa_interval", "calibration_error", "subjects")
    assert {name: stored[name] for name in figures} == {name: played[name] for name in figures}
    assert stored["epochs"] == played["epochs"] > 300
    assert stored["unmatched"] == 0


def test_a_refused_version_serves_nothing_and_one_that_passes_does_until_it_is_undone(
    clinic: Clinic,
) -> None:
    registry = Registry(clinic.var / "models")
    publish_copy(clinic.var, "equal")
    write_model(clinic.var / "bad", "bad", {"model.onnx": graph_of((FEATURE_COUNT,))})
    registry.publish(clinic.var / "bad")
    asked = ("--data", str(clinic.nights), "--approver", "Ann Lee")
    with pytest.raises(ModelError, match="stager@bad is not promoted: kappa"):
        clinic.noctis("model", "promote", "bad", *asked)
    assert active(Settings(var=clinic.var)).model.full_name == SHIPPED.full_name
    switch = clinic.noctis("model", "promote", "equal", *asked)
    assert (switch["version"], switch["approver"]) == ("equal", "Ann Lee")
    clinic.settle("stager@equal")
    undone = clinic.noctis("model", "rollback", "--reason", "a drill")
    assert (undone["version"], undone["previous"]) == (None, "equal")
    assert active(Settings(var=clinic.var)).model.full_name == SHIPPED.full_name


def test_stored_nights_with_labels_decide_as_their_folders_do(clinic: Clinic) -> None:
    clinic.label()
    publish_copy(clinic.var, "equal")
    limit = ("--latency-ratio", "100")
    made = [
        clinic.noctis("model", "compare", "equal", "shipped", *where, *limit)
        for where in (("--tenant", "clinic"), ("--data", str(clinic.nights)))
    ]
    stored, played = (it["candidate"]["counts"] for it in made)
    assert {name.removeprefix("clinic/"): it for name, it in stored.items()} == played
    approved = ("--approver", "Ann Lee", "--tenant", "clinic", *limit)
    for wrong in (("--source", "diary"), ("--data", str(clinic.nights))):
        with pytest.raises(ConfigurationError):
            clinic.noctis("model", "promote", "equal", *approved, *wrong)
    switch = clinic.noctis("model", "promote", "equal", *approved)
    assert switch["version"] == "equal"
    assert f"on {SUBJECTS} subjects" in switch["reason"]
