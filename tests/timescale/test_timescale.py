"""On a real TimescaleDB: upgrades, compression, late frames, rollups."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from cli.main import app
from noctis.epoch import Frame, Run
from noctis.errors import StorageError
from noctis.features import COUNT
from noctis.identity import DeviceId
from noctis.storage import devices, epochs, migrate, policies, tenants, timescale
from noctis.storage.engine import transaction
from noctis.storage.ingest import Received, Verdict, ingest
from noctis.storage.timescale import Edition, edition
from tests.integration.rollup_life import (
    Life,
    before,
    catch_up,
    compare,
    direct_hours,
    stored_hours,
)
from tests.integration.upgrades import REVISIONS, check_downgrades, check_upgrade

pytestmark = pytest.mark.postgres

BED = DeviceId("home", "bed")


@pytest.mark.timeout(600)  # from each of the revisions, in WebAssembly
def test_upgrades_from_every_revision_keep_every_row(timescale_url: str) -> None:
    for revision in REVISIONS:
        check_upgrade(timescale_url, revision)
        migrate.downgrade(timescale_url, "base")


def test_going_back_one_by_one_and_up_again_keeps_every_row(timescale_url: str) -> None:
    check_downgrades(timescale_url)


def test_epochs_are_a_hypertable_of_weeks_as_the_models_say(
    engine: Engine, timescale_url: str
) -> None:
    migrate.check(timescale_url)
    with transaction(engine) as connection:
        chunk = connection.scalar(
            text(
                "SELECT time_interval FROM timescaledb_information.dimensions "
                "WHERE hypertable_name = 'epochs'"
            )
        )
    assert chunk == timedelta(days=7)


class Sender:
    """A device whose epochs began 40 days ago."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=40)
        self._run = Run(0, 0, 1, 0, int(self.start.timestamp()))
        with transaction(engine) as connection:
            tenants.add(connection, BED.tenant)
            devices.add(BED.tenant, connection, BED.device)

    def frame(self, number: int) -> Frame:
        random = np.random.default_rng(number)
        codes = random.integers(0, 30, (64, COUNT)).astype(np.int16)
        return Frame(5, 1 + 64 * number, 0, self._run, codes, np.ones(64, np.bool_))

    def send(self, frame: Frame, *, backlog: bool) -> Verdict:
        with transaction(self._engine, 60) as connection:
            return ingest(connection, [Received(BED, frame, backlog)])[0]

    def compress(self) -> int:
        with transaction(self._engine, 60) as connection:
            if edition(connection) is not Edition.FULL:
                pytest.skip("the Apache edition has no compression")
            done = text("SELECT count(compress_chunk(c, true)) FROM show_chunks('epochs') c")
            return connection.execute(done).scalar_one()


@pytest.mark.parametrize("backlog", [True, False])
def test_late_frames_and_duplicates_find_their_way_into_compressed_chunks(
    engine: Engine, *, backlog: bool
) -> None:
    sender = Sender(engine)
    for number in (0, 1, 3):
        assert sender.send(sender.frame(number), backlog=backlog).stored == 64
    assert sender.compress() >= 1
    with transaction(engine) as connection:
        connection.execute(
            text("SET timescaledb.max_tuples_decompressed_per_dml_transaction = 1")
        )
    duplicates = [sender.send(sender.frame(n), backlog=backlog).duplicate for n in range(4)]
    assert duplicates == [64, 64, 0, 64]
    assert sender.send(sender.frame(2), backlog=backlog).duplicate == 64
    frame = sender.frame(1)
    codes = frame.codes.copy()
    codes[5, 5] ^= 1
    changed = sender.send(replace(frame, codes=codes), backlog=backlog)
    assert (changed.stored, changed.duplicate, changed.conflict) == (0, 63, 1)
    with transaction(engine) as connection:
        span = (sender.start, sender.start + timedelta(days=1))
        assert epochs.extent(BED.tenant, connection, BED.device, *span).count == 256
        assert len(epochs.read(BED.tenant, connection, BED.device, *span)) == 256


def test_a_rolled_up_hour_is_refreshed_for_epochs_that_come_into_a_compressed_chunk(
    engine: Engine,
) -> None:
    sender = Sender(engine)
    sender.send(sender.frame(0), backlog=True)
    sender.compress()
    catch_up(engine, datetime.now(UTC))
    sender.send(sender.frame(1), backlog=True)
    catch_up(engine, datetime.now(UTC))
    with transaction(engine) as connection:
        compare(stored_hours(connection), direct_hours(connection, "epochs"))
        assert not connection.execute(text("SELECT FROM rollup_notes")).all()


def test_hours_are_what_the_epochs_are_whatever_comes_late(engine: Engine) -> None:
    life = Life(engine, 1)
    for turn in range(60):
        life.turn()
        if turn % 20 == 0:
            life.check_reading()
    mark = catch_up(engine, life.now)
    life.check_reading()
    assert mark is not None
    with transaction(engine) as connection:
        found, wanted = stored_hours(connection), direct_hours(connection, "epochs")
    compare(before(found, mark), before(wanted, mark))


def test_a_version_that_loses_rows_is_refused(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timescale, "OLDEST", (99, 0, 0))
    with (
        transaction(engine) as connection,
        pytest.raises(StorageError, match="loses rows"),
    ):
        timescale.enable(connection)


def test_policies_are_read_and_changed_and_saying_the_same_again_changes_nothing(
    engine: Engine,
) -> None:
    days, hours = (lambda n: timedelta(days=n)), (lambda n: timedelta(hours=n))
    usual = policies.Window(days(2), hours(2), hours(1))
    other = policies.Window(days(5), hours(3), hours(2))
    with transaction(engine, 60) as connection:
        if edition(connection) is not Edition.FULL:
            pytest.skip("the Apache edition has no policies")
        assert policies.read(connection) == policies.Policies(days(7), days(14), usual)
        assert policies.set_compression(connection, days(21))
        assert policies.set_chunk_interval(connection, days(3))
        assert policies.set_refresh(connection, other)
    with transaction(engine, 60) as connection:
        assert policies.read(connection) == policies.Policies(days(3), days(21), other)
        assert not policies.set_compression(connection, days(21))
        assert not policies.set_chunk_interval(connection, days(3))
        assert not policies.set_refresh(connection, other)
    with transaction(engine) as connection:
        with pytest.raises(StorageError, match="cannot be compressed after 3:00:00"):
            policies.set_compression(connection, hours(3))
        with pytest.raises(StorageError, match="cannot hold 999 days"):
            policies.set_chunk_interval(connection, days(999))
        with pytest.raises(StorageError, match="cannot be refreshed"):
            policies.set_refresh(connection, replace(other, since=hours(4)))


def test_the_command_line_shows_chunks_and_changes_policies(
    engine: Engine, timescale_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sender = Sender(engine)
    for number in range(4):
        sender.send(sender.frame(number), backlog=True)
    sender.compress()
    catch_up(engine, datetime.now(UTC))
    engine.dispose()
    monkeypatch.setenv("NOCTIS_DATABASE_URL", timescale_url)
    run = CliRunner()
    var = ["--var", str(tmp_path)]
    changed = run.invoke(app, ["storage", "set", "--compress-after", "9d", *var])
    assert "chunks are compressed after 9d" in changed.stdout
    shown = json.loads(run.invoke(app, ["storage", "show", "--json", *var]).stdout)
    assert shown["edition"] == "timescale"
    assert shown["policies"]["compress_after"] == 9 * 86_400
    chunks = {chunk["table"]: chunk for chunk in shown["chunks"]}
    assert chunks["epochs"]["is_compressed"]
    assert {chunk["bytes"] > 0 for chunk in shown["chunks"]} == {True}
    assert {it["name"] for it in shown["runs"]} >= {"policy_compression"}
    assert shown["compressed"][0] > shown["compressed"][1] > 0
    told = run.invoke(app, ["storage", "show", *var])
    assert told.exit_code == 0
    for part in ("TimescaleDB 2.", "epochs_hourly", "compression made", "refresh_"):
        assert part in told.stdout
