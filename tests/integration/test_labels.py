"""Reference stages in a real database, and stored predictions held against them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import Engine
from typer.testing import CliRunner

from cli.main import app
from inference.model import DEFAULT_FOLDER
from noctis.errors import StorageError
from noctis.stages import Stage
from noctis.storage import devices, labels, predictions, tenants
from noctis.storage.engine import transaction
from noctis.storage.errors import NotFoundError
from noctis.storage.labels import Label
from noctis.storage.predictions import Prediction
from registry.manifest import read_manifest
from tests.integration.test_storage_ingest import BED, frame, home, send
from tests.nights import publish_copy

__all__ = ["home"]

pytestmark = pytest.mark.postgres
BEGIN = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=9)


def told(count: int, *, stage: Stage = Stage.LIGHT, after: float = 0) -> list[Label]:
    return [Label(BEGIN + timedelta(seconds=after + 30 * n), stage) for n in range(count)]


def run(url: str, *arguments: str, catch: bool = False) -> Result:
    environment = {"NOCTIS_DATABASE_URL": url}
    return CliRunner().invoke(app, arguments, env=environment, catch_exceptions=catch)


def value(result: Result) -> Any:  # noqa: ANN401 - any JSON
    return json.loads(result.stdout)


def test_what_a_source_says_of_a_time_again_replaces_what_it_said(home: Engine) -> None:
    with transaction(home) as connection:
        assert labels.put("home", connection, "bed", told(10), source="psg", by="ann") == 0
        assert labels.put("home", connection, "bed", told(5), source="diary", by="bob") == 0
        shifted = told(2, stage=Stage.REM, after=10)
        assert labels.put("home", connection, "bed", shifted, source="psg", by="cy") == 3
        found = labels.read("home", connection, "bed", "psg")
        assert found == [*shifted, *told(10)[3:]]
        part = labels.read(
            "home", connection, "bed", "psg", since=found[1].start, until=found[4].start
        )
        assert part == found[1:4]
        assert len(labels.read("home", connection, "bed", "diary")) == 5
    with transaction(home) as connection:
        imports = labels.list_of("home", connection)
    assert {(it.source, it.imported_by, it.labels) for it in imports} == {
        ("psg", "ann", 7),
        ("psg", "cy", 2),
        ("diary", "bob", 5),
    }


def test_labels_are_the_tenants_own(home: Engine) -> None:
    with transaction(home) as connection:
        tenants.add(connection, "other")
        devices.add("other", connection, "bed")
        labels.put("home", connection, "bed", told(3), source="psg", by="ann")
        assert labels.list_of("other", connection) == []
        assert labels.read("other", connection, "bed", "psg") == []
        assert labels.remove("other", connection, "bed") == 0
        with pytest.raises(NotFoundError):
            labels.put("other", connection, "sofa", told(1), source="psg", by="ann")
        assert len(labels.read("home", connection, "bed", "psg")) == 3


@pytest.mark.parametrize(
    ("labels_of", "source", "message"),
    [
        (told(2) + told(1, after=40), "psg", "overlap"),
        (told(1), "P.S.G.", "no name of a source"),
    ],
)
def test_labels_that_make_no_sense_are_refused(
    home: Engine, labels_of: list[Label], source: str, message: str
) -> None:
    with transaction(home) as connection, pytest.raises(StorageError, match=message):
        labels.put("home", connection, "bed", labels_of, source=source, by="ann")


def predict(engine: Engine, model: str, stages: list[Stage | None]) -> None:
    """Store a device's epochs from BEGIN on, and what a version says of them."""
    send(
        engine,
        frame(1, len(stages), stream=1, utc=BEGIN),
        device=BED,
        now=BEGIN + timedelta(hours=6),
    )
    with transaction(engine) as connection:
        key = devices.get(BED.tenant, connection, BED.device).id
        name, version = model.split("@")
        chances = (0.2, 0.6, 0.1, 0.1)
        rows = [
            Prediction(
                key,
                1,
                1 + n,
                BEGIN + timedelta(seconds=30 * n),
                stage,
                None if stage is None else chances,
            )
            for n, stage in enumerate(stages)
        ]
        predictions.store(connection, predictions.model_id(connection, name, version), rows)


def test_stored_predictions_are_held_against_imported_labels(
    home: Engine, database_url: str, tmp_path: Path
) -> None:
    model = read_manifest(DEFAULT_FOLDER).full_name
    predict(home, model, [Stage.LIGHT] * 20 + [None] * 4 + [Stage.REM] * 16)
    file = tmp_path / "stages.csv"
    names = ["N2"] * 22 + ["R"] * 10 + ["W"] * 8 + ["N3"] * 5
    lines = [f"{30 * n},{name}" for n, name in enumerate(names)]
    file.write_text("\n".join(["t_s,stage", *lines]))
    bed = ("--device", "home/bed")
    start = ("--start", f"{BEGIN + timedelta(seconds=9):%Y-%m-%dT%H:%M:%SZ}")
    brought = run(
        database_url, "labels", "import", str(file), *bed, "--source", "psg", *start, "--json"
    )
    assert value(brought)["labels"] == 45
    evaluate = ("model", "evaluate", "--tenant", "home", "--var", str(tmp_path))
    figures = value(run(database_url, *evaluate, "--json"))
    assert figures["confusion"] == [[0, 0, 0, 8], [0, 20, 0, 0], [0, 0, 0, 0], [0, 0, 0, 8]]
    assert (figures["epochs"], figures["unstaged"], figures["unmatched"]) == (36, 4, 5)
    assert figures["model"] == model
    assert set(figures["subjects"]) == {"bed"}
    until = ("--until", f"{BEGIN + timedelta(minutes=10):%Y-%m-%dT%H:%M:%S}")
    early = value(run(database_url, *evaluate, *until, *bed, "--json"))
    assert (early["epochs"], early["accuracy"]) == (20, 1.0)
    listed = value(run(database_url, "labels", "list", "home/bed", "--json"))
    assert [(it["source"], it["labels"]) for it in listed] == [("psg", 45)]
    assert "psg" in run(database_url, "labels", "list", "home").stdout
    gone = run(database_url, "labels", "remove", *bed, *until, "--json")
    assert value(gone) == {"device": "home/bed", "removed": 20}
    other = run(database_url, *evaluate, "--source", "diary", catch=True)
    assert other.exit_code == 1
    assert "no label of the source diary" in str(other.exception)
    publish_copy(tmp_path, "unused")
    unused = run(database_url, *evaluate, "--version", "unused", catch=True)
    assert "nothing of stager@unused is stored" in str(unused.exception)
