"""Commands of whoever runs the platform, on its own database."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from noctis.identity import DeviceId
from noctis.status import Status
from noctis.storage import accounts, dead_letters, reports
from noctis.storage.engine import create, transaction
from tests.disks import FILLER, fill, needs_small_disk, small_disk
from tests.integration.conftest import fresh_database
from tests.integration.consoles import Console
from tests.integration.inference_fixtures import Night, add_devices, store

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def home(
    postgres: str, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Console, Engine]]:
    with fresh_database(postgres, migrated) as url:
        engine = create(url, application="noctis-test")
        add_devices(engine)
        yield Console(url, tmp_path_factory.mktemp("admin")), engine
        engine.dispose()


@pytest.fixture
def console(home: tuple[Console, Engine]) -> Console:
    return home[0]


@pytest.fixture
def database(home: tuple[Console, Engine]) -> Engine:
    return home[1]


def test_gaps_of_a_device_are_listed_and_what_is_gone_is_counted(
    console: Console, database: Engine
) -> None:
    nothing = console("epochs", "missing", "t1/d1")
    assert (nothing.returncode, "nothing is missing" in nothing.stdout) == (0, True)
    night = Night(40, seed=2)
    frames = night.frames()
    store(database, [*frames[:10], *frames[30:]])
    status = Status(
        state="online",
        stream=f"{night.stream:016x}",
        oldest_seq=16,
        next_seq=41,
        backlog=0,
    )
    with transaction(database) as connection:
        reports.store(connection, {DeviceId("t1", "d1"): status})
    found = console("epochs", "missing", "t1/d1")
    assert found.returncode == 1
    assert "16" in found.stdout
    assert "5 seqs are gone" in found.stdout
    lost = console("epochs", "loss", "t1", "--json")
    assert lost.returncode == 1
    assert '{"device": "t1/d1", "missing": 15, "lost": 5}' in lost.stdout
    assert '{"device": "t1/d2", "missing": 0, "lost": 0}' in lost.stdout


def test_a_message_that_nobody_understood_is_shown_with_what_that_means(
    console: Console, database: Engine
) -> None:
    assert console.value("letter", "list", "t2") == []
    with transaction(database) as connection:
        for _ in range(2):
            dead_letters.put(
                "t2",
                connection,
                "d1",
                topic="noctis/v1/up/7/t2/d1/epochs",
                reason="crc",
                detail="the CRC-32 is wrong",
                payload=b"\x01hello" * 60,
            )
    [row] = console.value("letter", "list", "t2")
    assert (row["device"], row["reason"], row["count"]) == ("t2/d1", "crc", 2)
    shown = console("letter", "show", "t2", row["letter"][:4]).stdout
    assert "bytes were changed on the way" in shown
    assert "01 68 65 6c 6c 6f" in shown
    assert ".hello.hello" in shown
    assert "of 360 bytes" in shown
    other = console("letter", "show", "t2", "ffffffff")
    assert other.returncode == 1
    assert "noctis letter list t2" in other.stderr


def test_a_tenant_is_shown_with_its_limits_as_they_hold(console: Console) -> None:
    assert console("tenant", "set-quota", "t2", "--devices", "5").returncode == 0
    shown = console.value("tenant", "show", "t2")
    assert shown["quota"]["devices"] == 5
    assert shown["quota"]["burst"] == 1000
    assert shown["devices"]["new"] == 1
    assert (shown["users"], shown["apps"], shown["retention_days"]) == (0, 0, 400)
    assert console("tenant", "show", "nobody").returncode == 1


def test_accounts_of_services_are_listed_and_removed(
    console: Console, database: Engine
) -> None:
    with transaction(database) as connection:
        accounts.set_service(connection, "svc-ingestor-3")
    assert console.value("service", "list") == [{"account": "svc-ingestor-3"}]
    assert console("service", "remove", "svc-ingestor-3").returncode == 0
    assert console.value("service", "list") == []
    again = console("service", "remove", "svc-ingestor-3")
    assert again.returncode == 1
    assert "noctis service list" in again.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("tenant", "list"),
        ("device", "list"),
        ("night", "show", "t1/d1"),
        ("status",),
        ("letter", "list", "t1"),
        ("watch", "t1/d1"),
        ("export", "t1"),
    ],
    ids=" ".join,
)
def test_a_database_that_is_away_is_told_in_a_line_and_a_number(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    done = Console("postgresql://nobody@127.0.0.1:1/nothing", tmp_path)(*command)
    assert done.returncode == 3
    assert "unavailable" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("url", "told"), [("nonsense", "database"), ("mysql://x@127.0.0.1/x", "database")]
)
def test_an_address_that_is_none_is_named(tmp_path: Path, url: str, told: str) -> None:
    done = Console(url, tmp_path)("tenant", "list")
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_cannot_be_written_is_named(console: Console, tmp_path: Path) -> None:
    done = console("night", "export", "t1", "--output", str(tmp_path / "no" / "nights.csv"))
    assert done.returncode == 1
    assert "--output" in done.stderr


@needs_small_disk
def test_a_disk_that_is_full_is_told_and_leaves_no_half_of_a_file(
    console: Console, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 1) as disk:
        fill(disk)
        done = console("export", "t1", "--output", str(disk / "t1.csv"))
        assert done.returncode == 1
        assert "make room" in done.stderr
        assert "Traceback" not in done.stderr
        assert [it.name for it in disk.iterdir()] == [FILLER]


def test_output_that_nobody_can_take_is_told_too(console: Console) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from cli.main import main; main()", "device", "list"],
            env={**os.environ, **console.environment},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "make room" in done.stderr
    assert "Traceback" not in done.stderr
    assert "ignored" not in done.stderr
