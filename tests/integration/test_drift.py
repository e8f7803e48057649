"""Drift on the real database: a fleet that stays as it was, and one whose radar is offset."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import REGISTRY
from pydantic import SecretStr
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from broker.server import MosquittoServer
from cli.main import app
from companion.drift import Drift
from drift import reference
from inference.model import DEFAULT_FOLDER
from noctis.childproc import Child
from noctis.errors import NoctisError
from noctis.features import NAMES
from noctis.settings import Settings
from noctis.storage import drift_reports, erasing, erasures, night_histograms
from noctis.storage.database import Database
from noctis.storage.drift_reports import Kept
from noctis.storage.engine import create, transaction
from registry import fingerprint
from registry.manifest import read_manifest
from tests.integration.broker_fixtures import eventually, password_of
from tests.integration.conftest import fresh_database
from tests.integration.fleets import ALL, Fleet, settle, shifted

pytestmark = [pytest.mark.postgres]
NIGHTS, CHANGED = 22, 9
CALM = Fleet.of("calm", (1, 8, 13), NIGHTS)
MOVED = Fleet.of("moved", (2, 9, 14), NIGHTS)
LEAVING = Fleet.of("leaving", (3, 10), 4)
STORED = 2 * 3 * NIGHTS + 2 * 4


@pytest.fixture(scope="module")
def url(postgres: str, migrated: str) -> Iterator[str]:
    """A database with a fleet that stays, and one whose heart rates are off by 5 bpm."""
    manifest = read_manifest(DEFAULT_FOLDER)
    known = fingerprint.read(DEFAULT_FOLDER)
    model = (manifest.name, manifest.version)
    with fresh_database(postgres, migrated) as made:
        engine = create(made, application="noctis-test")
        offset = shifted(NAMES.index("hr_mean"), 5.0)
        settle(engine, CALM, known, model)
        settle(engine, LEAVING, known, model)
        settle(engine, MOVED, known, model, change=offset, changed=CHANGED)
        engine.dispose()
        yield made


@pytest.fixture(scope="module")
def home(url: str) -> Iterator[Engine]:
    """The same with all that the companion has to say of it."""
    engine = create(url, application="noctis-test")
    work(url)
    yield engine
    engine.dispose()


def work(url: str) -> None:
    """Let the companion's part do its turns until nothing waits."""

    async def main() -> None:
        database = Database(
            Settings(database_url=SecretStr(url)), application="test", connections=2
        )
        part = Drift(database, Path("nowhere"), ALL)
        while await part.turn():
            pass
        database.close()

    asyncio.run(main())


def kept(engine: Engine) -> dict[tuple[str, str | None], Kept]:
    with transaction(engine) as connection:
        return {(it.tenant, it.device): it for it in drift_reports.newest(None, connection)}


def count(engine: Engine, table: str) -> int:
    with transaction(engine) as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())  # noqa: S608


def ask(url: str, folder: Path, *arguments: str, fails: bool = False) -> Any:  # noqa: ANN401
    """Return exit code and answer; None where an error that we can name is what comes."""
    done = CliRunner().invoke(
        app,
        ["model", "drift", "--var", str(folder), "--json", *arguments],
        env={"NOCTIS_DATABASE_URL": url},
    )
    if fails:
        assert isinstance(done.exception, NoctisError), done.exception
        return None
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.exit_code, json.loads(done.stdout)


def test_a_fleet_that_stays_is_stable_and_an_offset_is_found_by_its_channel(
    home: Engine,
) -> None:
    found = kept(home)
    assert set(found) >= {
        (fleet.tenant, device)
        for fleet in (CALM, MOVED)
        for device in (None, "bed-0", "bed-1", "bed-2")
    }
    calm, moved = found["calm", None], found["moved", None]
    assert (calm.verdict, moved.verdict) == ("stable", "drift")
    assert calm.body["changes"] == []
    assert (calm.body["nights"], calm.body["sleepers"]) == (3 * 14, 3)
    [change] = moved.body["changes"]
    assert change["stream"] == "hr_mean"
    assert change["since"] == evenings_of(home, "moved")[-CHANGED]
    assert change["by"] > 3
    kind = {"kind": "tenant", "verdict": "drift"}
    assert REGISTRY.get_sample_value("noctis_drift_reports", kind) == 1


def test_a_verdict_that_changes_is_logged_once(home: Engine, url: str) -> None:
    with transaction(home) as connection:
        connection.execute(text("DELETE FROM drift_reports"))
    with structlog.testing.capture_logs() as logs:
        work(url)
        work(url)
    warned = [it for it in logs if it["event"] == "drift_verdict"]
    assert [it["changes"] for it in warned if it["subject"] == "moved"] == [["hr_mean"]]
    assert not [it for it in warned if it["subject"].startswith("calm")]


def evenings_of(engine: Engine, tenant: str) -> list[str]:
    with transaction(engine) as connection:
        query = (
            "SELECT DISTINCT evening::text FROM recordings r JOIN tenants t "
            "ON t.id = r.tenant_id WHERE t.name = :tenant AND state = 'closed' ORDER BY 1"
        )
        return list(connection.scalars(text(query), {"tenant": tenant}))


def test_what_is_computed_on_demand_is_what_the_companion_keeps(
    home: Engine, url: str, tmp_path: Path
) -> None:
    with transaction(home) as connection:
        connection.execute(text("DELETE FROM night_histograms WHERE confidence IS NOT NULL"))
    code, moved = ask(url, tmp_path, "--tenant", "moved")
    assert (code, moved) == (1, {"subject": "moved", **kept(home)["moved", None].body})
    assert ask(url, tmp_path, "--tenant", "calm")[0] == 0
    code, bed = ask(url, tmp_path, "--tenant", "moved", "--device", "bed-2")
    assert bed == {"subject": "moved/bed-2", **kept(home)["moved", "bed-2"].body}
    code, shown = ask(url, tmp_path)
    assert code == 1
    assert {it["subject"] for it in shown} >= {"calm", "moved", "moved/bed-2"}
    code, none = ask(url, tmp_path, "--tenant", "moved", "--until", "2020-01-01")
    assert (code, none["verdict"], none["nights"]) == (1, "unknown", 0)
    first = evenings_of(home, "calm")[0]
    assert ask(url, tmp_path, "--tenant", "calm", "--since", first)[1]["nights"] == 3 * NIGHTS


def test_people_are_shown_what_drifts_since_when_and_what_to_look_at(
    home: Engine, url: str, tmp_path: Path
) -> None:
    since = evenings_of(home, "moved")[-CHANGED]
    arguments = ["model", "drift", "--var", str(tmp_path)]
    environment = {"NOCTIS_DATABASE_URL": url, "COLUMNS": "120"}
    for more in (["--tenant", "moved"], []):
        done = CliRunner().invoke(app, [*arguments, *more], env=environment)
        assert done.exit_code == 1
        assert "hr_mean" in done.stdout
    done = CliRunner().invoke(app, [*arguments, "--tenant", "moved"], env=environment)
    shown = " ".join(done.stdout.split())
    assert f"hr_mean: another mean since {since}" in shown
    assert "→ heart rate: firmware of the radar" in shown


def test_what_a_person_acknowledges_is_told_no_more_of_the_tenant_and_of_its_devices(
    home: Engine, url: str, tmp_path: Path
) -> None:
    said = ["--by", "Ada", "--reason", "all radars were changed"]
    for wrong in (["calm", *said], ["moved"], ["nobody", *said], ["moved/none", *said]):
        assert ask(url, tmp_path, "--acknowledge", *wrong, fails=True) is None
    code, done = ask(url, tmp_path, "--acknowledge", "moved", *said)
    assert (code, list(done["changes"]), done["by"]) == (0, ["hr_mean"], "Ada")
    work(url)
    found = kept(home)
    assert {it.verdict for (tenant, _), it in found.items() if tenant == "moved"} == {"stable"}
    for body in (found["moved", None].body, found["moved", "bed-1"].body):
        assert body["changes"] == []
        assert body["acknowledged"] == [done]
    assert ask(url, tmp_path, "--tenant", "moved", "--device", "bed-1")[0] == 0
    assert found["calm", None].body["acknowledged"] == []
    with transaction(home) as connection:
        connection.execute(text("DELETE FROM drift_acknowledgements"))
        connection.execute(text("DELETE FROM drift_reports"))
    work(url)
    assert kept(home)["moved", None].verdict == "drift"


@pytest.mark.broker
def test_the_service_killed_in_the_midst_of_it_ends_with_the_same_reports(
    home: Engine, url: str, broker: MosquittoServer, tmp_path: Path
) -> None:
    work(url)
    expected = {key: it.body for key, it in kept(home).items()}
    with transaction(home) as connection:
        connection.execute(text("TRUNCATE night_histograms, drift_reports"))
    environment = {
        **os.environ,
        "NOCTIS_VAR": str(tmp_path),
        "NOCTIS_BROKER_PORT": str(broker.port),
        "NOCTIS_BROKER_PASSWORD": password_of("svc-companion-0"),
        "NOCTIS_NIGHT_STAGER": "false",  # the nights stay as they were
        "NOCTIS_DATABASE_URL": url,
    }

    def start() -> Child:
        return Child(
            [sys.executable, "-m", "companion"],
            log=tmp_path / "companion.log",
            environment=environment,
        )

    child = start()
    assert eventually(lambda: count(home, "night_histograms") > 0, within_s=60), child.tail()
    child.kill()
    child = start()
    try:
        done = eventually(lambda: len(kept(home)) == len(expected), within_s=60)
        assert done, child.tail()
        same = eventually(
            lambda: {key: it.body for key, it in kept(home).items()} == expected, within_s=60
        )
        assert same, child.tail()
    finally:
        child.kill()
    assert count(home, "night_histograms") == STORED


def test_a_night_that_is_revised_is_read_again_and_reported_on(home: Engine, url: str) -> None:
    work(url)
    before = kept(home)
    with transaction(home) as connection:
        connection.execute(
            text(
                "UPDATE recordings SET revision = revision + 1 WHERE id = (SELECT r.id "
                "FROM recordings r JOIN devices d ON d.id = r.device_id "
                "JOIN tenants t ON t.id = d.tenant_id WHERE t.name = 'calm' "
                "AND d.name = 'bed-1' ORDER BY r.started_at DESC LIMIT 1)"
            )
        )
    work(url)
    after = kept(home)
    renewed = {key for key in after if after[key].made_at != before[key].made_at}
    assert renewed == {("calm", None), ("calm", "bed-1")}


def test_an_erased_device_leaves_no_histogram_and_no_report(home: Engine, url: str) -> None:
    work(url)
    with transaction(home, 60) as connection:
        erasure = erasures.request("leaving", connection, "bed-1", by="test")
        [subject] = erasing.subjects(connection, erasure)
        while erasing.step(connection, erasure, subject):
            pass
        left = connection.execute(
            text("SELECT count(*) FROM night_histograms WHERE device_id = :key"),
            {"key": subject.id},
        ).scalar_one()
        erasing.finish(connection, erasure, [subject])
    assert left == 0
    assert {key[1] for key in kept(home) if key[0] == "leaving"} == {"bed-0"}
    work(url)
    assert kept(home)["leaving", None].body["sleepers"] == 1


def test_nights_of_another_version_tell_nothing_of_the_stages(home: Engine) -> None:
    model = reference.load(Path("nowhere")).model
    last = CALM.first_evening.date()
    with transaction(home, 60) as connection:
        waiting = night_histograms.waiting(connection, CALM.first_evening, ALL, limit=9999)
        for night in waiting[-4:]:
            night_histograms.make(connection, night)
        spans = {"since": last, "until": CALM.first_evening.date().replace(year=9999)}
        own = night_histograms.read("calm", connection, None, **spans, model=model)
        others = night_histograms.read("calm", connection, None, **spans, model="stager@0")
    assert own
    assert {int(it.stages.sum()) for it in own} == {120}
    assert [it.confidence for it in own] == pytest.approx([0.7] * len(own))
    assert {int(it.stages.sum()) for it in others} == {0}
    assert {it.confidence for it in others} == {None}
