"""Exports against the devices' own logs, and the memory that they take."""

import csv
import io
import json
import sys
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner
from typing_extensions import override

from cli import export as command
from cli.main import app
from noctis import table_file as files
from noctis.epoch import Frame, Run
from noctis.errors import ConfigurationError, StorageUnavailableError
from noctis.features import COUNT, FEATURES, NAMES, dequantise
from noctis.identity import DeviceId
from noctis.slot import decode_slots
from noctis.stages import Stage
from noctis.storage import devices, predictions, tenants
from noctis.storage.engine import transaction
from noctis.storage.errors import NotFoundError
from noctis.storage.export import Page, pages
from noctis.storage.predictions import Prediction
from noctis.table_file import COLUMNS, Format
from tests.integration.flash_fixtures import Played, play_offline, store

pytestmark = pytest.mark.postgres
BED, COT = DeviceId("home", "bed"), DeviceId("home", "cot")


@pytest.fixture
def home(engine: Engine) -> Engine:
    with transaction(engine) as connection:
        for tenant, names in {"home": ("bed", "cot"), "away": ("bed",)}.items():
            tenants.add(connection, tenant)
            for name in names:
                devices.add(tenant, connection, name)
    return engine


@pytest.fixture
def bed(home: Engine, tmp_path: Path) -> Played:
    """A device that learnt the time after two hours and was started twice."""
    start = int(datetime.now(UTC).timestamp()) - 86400
    play_offline(BED, tmp_path, "--hours", 4, "--start", start, "--clock-after", 7200)
    played = play_offline(BED, tmp_path, "--hours", 3, "--start", start + 20000, "--seed", 2)
    store(home, played)
    return played


def run(*arguments: str, url: str) -> str:
    """Run a command in this process; return what it wrote on standard output."""
    done = CliRunner().invoke(app, arguments, env={"NOCTIS_DATABASE_URL": url})
    assert done.exit_code == 0, done.output
    return done.stdout


def told(played: Played) -> list[tuple[str, int, str]]:
    return [(line["stream"], line["seq"], line["record_hex"]) for line in played.log]


def exported(rows: list[dict[str, str]]) -> list[tuple[str, int, str]]:
    return [(row["stream"], int(row["seq"]), row["record_hex"]) for row in rows]


def test_the_csv_holds_what_the_device_says_it_made_byte_for_byte(
    bed: Played, database_url: str
) -> None:
    done = run("export", "home/bed", url=database_url)
    rows = list(csv.DictReader(io.StringIO(done)))
    assert tuple(rows[0]) == COLUMNS
    assert sorted(exported(rows)) == sorted(told(bed))
    times = {(line["stream"], line["seq"]): line["utc"] for line in bed.log}
    assert {row["placement"] for row in rows} == {"device", "anchored"}
    for row in rows:
        began = times[row["stream"], int(row["seq"])]
        if began is not None:
            assert datetime.fromisoformat(row["epoch_start"]).timestamp() == began


@pytest.mark.usefixtures("bed")
def test_physical_values_and_flags_are_those_of_the_record(database_url: str) -> None:
    done = run("export", "home/bed", url=database_url)
    rows = list(csv.DictReader(io.StringIO(done)))
    slots = np.array([list(bytes.fromhex(row["record_hex"])) for row in rows], np.uint8)
    codes, in_bed = decode_slots(slots)
    assert [row["in_bed"] == "true" for row in rows] == in_bed.tolist()
    texts = [[row[name] for name in NAMES] for row in rows]
    values = np.array([[float(it or "nan") for it in line] for line in texts])
    np.testing.assert_allclose(values, dequantise(codes), rtol=1e-8)


def test_parquet_holds_the_same_as_csv_and_knows_the_units(
    bed: Played, database_url: str, tmp_path: Path
) -> None:
    def write(form: str, name: str) -> dict[str, object]:
        arguments = ("export", "home", "--format", form, "--output", f"{tmp_path}/{name}")
        answer: dict[str, object] = json.loads(run(*arguments, "--json", url=database_url))
        return answer

    answer = write("parquet", "n.parquet")
    assert answer["rows"] == len(bed.log)
    assert answer["devices"] == {"bed": len(bed.log), "cot": 0}
    assert write("csv", "n.csv")["rows"] == len(bed.log)
    table = pq.read_table(tmp_path / "n.parquet")
    rows = list(csv.DictReader((tmp_path / "n.csv").read_text().splitlines()))
    assert table.column_names == list(rows[0])
    for name in ("device", "stream", "record_hex", "placement"):
        assert table[name].to_pylist() == [row[name] for row in rows]
    for name in ("epoch_start", "received_at"):
        times = [datetime.fromisoformat(row[name]) for row in rows]
        assert table[name].to_pylist() == times
    rates = [float(row["hr_mean"]) if row["hr_mean"] else None for row in rows]
    assert table["hr_mean"].to_pylist() == rates
    for feature in FEATURES:
        assert table.schema.field(feature.name).metadata[b"unit"] == feature.unit.encode()


def test_the_stages_of_the_newest_model_go_along_when_asked_for(
    bed: Played, home: Engine, database_url: str
) -> None:
    first = bed.frames[0]
    with transaction(home) as connection:
        key = devices.get("home", connection, "bed").id
        for version, stage in (("1", Stage.WAKE), ("2", Stage.REM)):
            model = predictions.model_id(connection, "stager", version)
            chances = (0.1, 0.2, 0.3, 0.4)
            row = Prediction(key, first.stream, first.first, None, stage, chances)
            predictions.store(connection, model, [row])
    done = run("export", "home/bed", "--stages", url=database_url)
    rows = {int(row["seq"]): row for row in csv.DictReader(io.StringIO(done))}
    assert len(rows) == len(bed.log)
    row = rows.pop(first.first)
    assert (row["stage"], row["model"], row["p_rem"]) == ("rem", "stager@2", "0.4000")
    assert {(row["stage"], row["model"], row["p_rem"]) for row in rows.values()} == {("",) * 3}


@pytest.mark.usefixtures("bed")
def test_a_span_of_time_cuts_at_epochs_wherever_their_start_comes_from(home: Engine) -> None:
    everything = list(pages("home", home, "bed"))
    starts = np.concatenate([page.epoch_start for page in everything])
    placements = np.concatenate([page.placement for page in everything])
    since, until = (np.quantile(starts.astype(np.int64), q) for q in (0.1, 0.6))
    inside = (starts.astype(np.int64) >= int(since)) & (starts.astype(np.int64) < int(until))
    assert len(np.unique(placements[inside])) == 2
    ends = [datetime.fromtimestamp(int(end), UTC) for end in (since, until)]
    got = np.concatenate(
        [it.epoch_start for it in pages("home", home, "bed", since=ends[0], until=ends[1])]
    )
    assert sorted(got.tolist()) == sorted(starts[inside].tolist())
    assert 0 < inside.sum() < len(starts)


@pytest.mark.usefixtures("bed")
def test_a_corrected_run_is_cut_and_told_where_its_correction_puts_it(home: Engine) -> None:
    before = list(pages("home", home, "bed"))
    with transaction(home) as connection:
        connection.execute(text("UPDATE runs SET shift = '-30 days' WHERE utc IS NOT NULL"))
    since = datetime.now(UTC) - timedelta(days=20)
    assert not list(pages("home", home, "bed", since=since))
    after = list(pages("home", home, "bed"))
    assert {int(p) for page in after for p in page.placement} == {1, 2}
    moved = before[0].epoch_start - after[0].epoch_start
    assert set(moved.tolist()) == {timedelta(days=30)}


@pytest.mark.parametrize("size", [1, 7, 64])
def test_pages_of_any_size_hold_each_epoch_once(bed: Played, home: Engine, size: int) -> None:
    found = list(pages("home", home, "bed", size=size))
    assert max(len(page) for page in found) <= size
    keys = [
        (int(stream), int(seq))
        for page in found
        for stream, seq in zip(page.stream, page.seq, strict=True)
    ]
    assert len(keys) == len(set(keys))
    assert {(f"{stream:016x}", seq) for stream, seq in keys} == {it[:2] for it in told(bed)}


@pytest.mark.usefixtures("bed")
def test_another_tenants_device_is_not_found(home: Engine) -> None:
    assert not list(pages("away", home, "bed"))
    with pytest.raises(NotFoundError):
        list(pages("away", home, "cot"))


def test_an_error_half_way_leaves_no_file(
    bed: Played, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaking(*arguments: object, **options: object) -> Iterator[Page]:
        yield from pages(*arguments, **options, size=50)  # type: ignore[arg-type]
        message = "gone"
        raise StorageUnavailableError(message)

    monkeypatch.setattr(command, "pages", breaking)
    monkeypatch.setenv("NOCTIS_DATABASE_URL", database_url)
    target = tmp_path / "night.csv"
    target.write_text("what was there before")
    with pytest.raises(StorageUnavailableError):
        command.export("home/bed", output=target, var=tmp_path)
    assert target.read_text() == "what was there before"
    assert not target.with_name("night.csv.part").exists()
    monkeypatch.undo()
    monkeypatch.setenv("NOCTIS_DATABASE_URL", database_url)
    command.export("home/bed", output=target, var=tmp_path)
    assert len(target.read_text().splitlines()) == 1 + len(bed.log)
    assert target.stat().st_mode & 0o077 == 0


def long_stream(engine: Engine, rows: int) -> None:
    """Store so many epochs of a device whose run never ends, by the server's own hand."""
    start = datetime.now(UTC) - timedelta(days=300)
    run = Run(reason=0, voids=0, boot=1, tick_s=0, utc_s=int(start.timestamp()))
    codes = np.zeros((1, COUNT), np.int16)
    store(engine, Played(COT, [], [Frame(7, 1, 0, run, codes, np.ones(1, bool))]))
    names = ", ".join(["tenant_id", "device_id", "stream", "run_seq", "in_bed", *NAMES])
    with transaction(engine, 60) as connection:
        connection.execute(
            text(
                f"INSERT INTO epochs (seq, epoch_start, received_at, {names}) "  # noqa: S608
                f"SELECT n, epoch_start + n * interval '30 s', received_at, {names} "
                f"FROM epochs, generate_series(2, :rows) n WHERE stream = 7"
            ),
            {"rows": rows},
        )


class Nowhere(io.RawIOBase):
    """Forgets what is written to it."""

    size = 0

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, data: Any) -> int:
        length = memoryview(data).nbytes
        self.size += length
        return length


def test_memory_does_not_grow_with_the_number_of_epochs(
    home: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = 100_000
    long_stream(home, rows)
    monkeypatch.setattr(files, "ROW_GROUP", 1 << 14)
    arrow = pa.default_memory_pool()
    forms: tuple[Format, ...] = ("csv", "parquet")
    for form in forms:
        sink, count, peaks = Nowhere(), 0, []
        table = files.table_file(form, sink)
        tracemalloc.start()
        for page in pages("home", home, "cot"):
            table.write(page)
            count += len(page)
            peaks.append(tracemalloc.get_traced_memory()[1] + arrow.max_memory())
        tracemalloc.stop()
        table.close()
        assert count == rows
        assert sink.size > rows
        assert peaks[-1] < 1.2 * peaks[len(peaks) // 4]


def test_parquet_without_pyarrow_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match="extra 'parquet'"):
        files.table_file("parquet", io.BytesIO())
