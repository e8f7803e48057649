import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection
from typer.testing import CliRunner

from cli.main import app
from noctis.errors import StorageError, StorageUnavailableError
from noctis.storage import inventory, policies
from noctis.storage.models import epochs, epochs_untimed
from noctis.storage.packing import ROW
from noctis.storage.rows import conflicting
from noctis.storage.timescale import Edition, edition

pytestmark = pytest.mark.postgres


def test_every_table_is_shown_with_its_size_and_every_job(connection: Connection) -> None:
    found = inventory.take(connection)
    sizes = {it.name: it.bytes for it in found.tables}
    assert sizes["epochs"] > 0
    assert sizes["predictions"] > 0
    assert "alembic_version" in sizes
    assert "rollups" in {it.name for it in found.jobs}
    if found.edition is Edition.NONE:
        assert "epochs_hourly" in sizes
        assert (found.timescaledb, found.chunks, found.runs) == (None, [], [])


def test_plain_postgresql_says_that_it_has_no_policies(connection: Connection) -> None:
    if edition(connection) is not Edition.NONE:
        pytest.skip("this is TimescaleDB")
    assert policies.read(connection) == policies.Policies(None, None, None)
    week, window = timedelta(days=7), policies.Window(*(timedelta(hours=n) for n in (9, 2, 1)))
    with pytest.raises(StorageError, match="plain PostgreSQL: it has no compression"):
        policies.set_compression(connection, week)
    with pytest.raises(StorageError, match="it has no chunks"):
        policies.set_chunk_interval(connection, week)
    with pytest.raises(StorageError, match="it has no continuous aggregates"):
        policies.set_refresh(connection, window)


def test_the_command_line_shows_the_database(
    database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NOCTIS_DATABASE_URL", database_url)
    run = CliRunner()
    var = ["--var", str(tmp_path)]
    shown = json.loads(run.invoke(app, ["storage", "show", "--json", *var]).stdout)
    assert shown["notes"] == 0
    told = run.invoke(app, ["storage", "show", *var])
    assert told.exit_code == 0
    assert told.stdout.startswith(f"PostgreSQL {shown['postgresql']}")
    nothing = run.invoke(app, ["storage", "set", *var])
    assert "nothing is named" in str(nothing.exception)
    unclear = run.invoke(app, ["storage", "set", "--compress-after", "soon", *var])
    assert "'soon' is no span of time" in str(unclear.exception)


@pytest.mark.parametrize("table", [epochs, epochs_untimed])
def test_a_row_that_is_not_stored_is_never_taken_for_a_duplicate(
    connection: Connection, table: object
) -> None:
    rows = np.zeros(3, ROW)
    rows["seq"] = [1, 2, 3]
    with pytest.raises(StorageUnavailableError, match="neither new nor stored"):
        conflicting(connection, table, rows)  # type: ignore[arg-type]
