"""Experiments as the database keeps them, and what they tell."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from cli.main import app
from noctis.errors import StorageError
from noctis.identity import DeviceId
from noctis.stages import Stage
from noctis.storage import devices, experiments, labels, predictions, tenants
from noctis.storage.engine import Connection, transaction
from noctis.storage.errors import AlreadyExistsError, NotFoundError
from noctis.storage.experiments import Kind
from noctis.storage.labels import Label
from noctis.storage.origins import Origin
from noctis.storage.predictions import Prediction
from tests.integration.settling_fixtures import frame, send

pytestmark = pytest.mark.postgres

BEDS: Final = [DeviceId("home", f"bed-{number}") for number in range(8)]
EPOCHS: Final = 40
STREAM: Final = 77


@pytest.fixture
def home(engine: Engine) -> Iterator[Engine]:
    with transaction(engine) as connection:
        for tenant in ("home", "hotel"):
            tenants.add(connection, tenant)
        for bed in BEDS:
            devices.add(bed.tenant, connection, bed.device)
    return engine


def start(
    connection: Connection,
    name: str,
    kind: Kind,
    *,
    version: str = "next",
    tenant: str | None = None,
    share: float = 0.5,
) -> None:
    key = predictions.model_id(connection, "stager", version)
    experiments.start(tenant, connection, name, kind, model_id=key, share=share)


def test_two_experiments_that_choose_who_serves_do_not_meet(home: Engine) -> None:
    with transaction(home) as connection:
        start(connection, "one", "canary", tenant="home")
        for kind in ("canary", "ab"):
            with pytest.raises(AlreadyExistsError, match="'one' is in the way"):
                start(connection, "two", kind, version="other", tenant="home")
            with pytest.raises(AlreadyExistsError, match="'one' is in the way"):
                start(connection, "two", kind, version="other")
        start(connection, "guests", "ab", tenant="hotel")
        start(connection, "eyes", "shadow", version="other")
        start(connection, "more-eyes", "shadow", version="third")
        with pytest.raises(AlreadyExistsError, match="'eyes' is in the way"):
            start(connection, "again", "shadow", version="other", tenant="home")
        experiments.stop(connection, "one")
        start(connection, "two", "ab", tenant="home")
        running = [it.name for it in experiments.running(connection)]
    assert running == ["guests", "eyes", "more-eyes", "two"]


def test_what_makes_no_sense_is_refused(home: Engine) -> None:
    with transaction(home) as connection:
        with pytest.raises(StorageError, match="leaves nobody"):
            start(connection, "one", "canary", share=1.0)
        with pytest.raises(StorageError, match="no name"):
            start(connection, "One!", "canary")
        with pytest.raises(NotFoundError, match="inn"):
            start(connection, "one", "canary", tenant="inn")
        start(connection, "one", "shadow")
        experiments.stop(connection, "one")
        with pytest.raises(AlreadyExistsError, match="already"):
            start(connection, "one", "shadow")
        with pytest.raises(NotFoundError, match="experiment list"):
            experiments.stop(connection, "two")


def test_a_second_stop_keeps_the_first_ones_time(home: Engine) -> None:
    with transaction(home) as connection:
        start(connection, "one", "shadow")
        stopped = experiments.stop(connection, "one")
    with transaction(home) as connection:
        assert experiments.stop(connection, "one") == stopped


def judge(engine: Engine, version: str, origin: Origin, *, right: int, begin: datetime) -> None:
    """Store a version's stages of all beds; the first ``right`` of each are as the labels."""
    with transaction(engine) as connection:
        key = predictions.model_id(connection, "stager", version)
        for number, bed in enumerate(BEDS):
            device = devices.get(bed.tenant, connection, bed.device).id
            rows = [
                Prediction(
                    device,
                    STREAM + number,
                    seq,
                    begin + timedelta(seconds=30 * n),
                    truth(n) if n < right else Stage.WAKE,
                    (0.7, 0.1, 0.1, 0.1),
                )
                for n, seq in enumerate(range(1, EPOCHS + 1))
            ]
            predictions.store(connection, key, rows, origin=origin)


def truth(n: int) -> Stage:
    return Stage(n % 4)


def run(url: str, *arguments: str, code: int = 0) -> Any:  # noqa: ANN401 - any JSON value
    done = CliRunner().invoke(app, [*arguments, "--json"], env={"NOCTIS_DATABASE_URL": url})
    assert done.exit_code == code, (done.output, done.exception)
    return json.loads(done.stdout) if code == 0 else done.exception


def test_a_shadow_is_paired_with_what_was_served_and_held_against_labels(
    home: Engine, database_url: str
) -> None:
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    for number, bed in enumerate(BEDS):
        send(home, frame(1, EPOCHS, utc=begin, stream=STREAM + number), device=bed)
    judge(home, "champion", Origin.SERVED, right=20, begin=begin)
    judge(home, "next", Origin.SHADOW, right=40, begin=begin)
    with transaction(home) as connection:
        start(connection, "eyes", "shadow")
        since = begin - timedelta(minutes=1)
        connection.execute(text("UPDATE experiments SET started_at = :t"), {"t": since})
        for bed in BEDS:
            told = [Label(begin + timedelta(seconds=30 * n), truth(n)) for n in range(EPOCHS)]
            labels.put(bed.tenant, connection, bed.device, told, source="psg", by="ann")
    report = run(database_url, "experiment", "show", "eyes", "--source", "psg")["report"]
    pairs = report["comparison"]
    assert pairs["epochs"] == EPOCHS * len(BEDS)
    assert pairs["agreement"] == pytest.approx(25 / 40)
    assert pairs["own"]["minutes"]["rem"] == 10 * len(BEDS) / 2
    assert pairs["other"]["minutes"]["rem"] == 5 * len(BEDS) / 2
    said = report["labels"]
    assert (said["subjects"], said["verdict"], said["against"]) == (8, "superior", "served")
    assert said["kappa_difference"] == pytest.approx(0.5, abs=0.1)


def test_arms_are_told_apart_by_what_was_served(home: Engine, database_url: str) -> None:
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    for number, bed in enumerate(BEDS):
        send(home, frame(1, EPOCHS, utc=begin, stream=STREAM + number), device=bed)
    judge(home, "champion", Origin.SERVED, right=20, begin=begin)
    with transaction(home) as connection:
        start(connection, "trial", "ab", tenant="home")
        since = begin - timedelta(minutes=1)
        connection.execute(text("UPDATE experiments SET started_at = :t"), {"t": since})
        trial = experiments.get(connection, "trial")
    judge(home, "next", Origin.REPLAY, right=40, begin=begin)
    report = run(database_url, "experiment", "show", "trial")["report"]
    picked = sum(trial.picks(bed) for bed in BEDS)
    assert (report["version"]["devices"], report["version"]["epochs"]) == (picked, 0)
    assert report["version"]["others"] == picked * EPOCHS
    rest = len(BEDS) - picked
    assert (report["champion"]["devices"], report["champion"]["epochs"]) == (
        rest,
        rest * EPOCHS,
    )
    assert report["champion"]["minutes"]["rem"] == 5 * rest / 2
    error = run(database_url, "experiment", "show", "trial", "--source", "psg", code=1)
    assert "beside itself" in str(error)
