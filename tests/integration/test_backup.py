"""A backup is made of a platform that works, restored elsewhere, and completed by devices."""

import json
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from cli.main import app
from noctis.identity import DeviceId
from noctis.status import Status
from noctis.storage import accounts, devices, migrate, missing, reports, tenants
from noctis.storage.census import count
from noctis.storage.engine import create, transaction
from noctis.storage.server import PostgresServer
from tests.integration.flash_fixtures import Played, play_offline, store

pytestmark = pytest.mark.postgres
BED = DeviceId("home", "bed")


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, arguments)
    return done.exit_code, done.stdout, f"{done.stderr}{done.exception or ''}"


@pytest.fixture(scope="module")
def folder(server_folder: Path) -> Path:
    made = server_folder / "backups"
    made.mkdir(mode=0o755)
    return made


@pytest.fixture(scope="module")
def var(folder: Path) -> Iterator[Path]:
    """A platform's folder: its database runs and was told so, as ``noctis up`` does."""
    made = folder / "var"
    (made / "models" / "stager" / "1").mkdir(parents=True)
    (made / "models" / "stager" / "1" / "model.onnx").write_bytes(b"weights")
    (made / "keys").mkdir()
    (made / "keys" / "token.pem").write_text("secret")
    (made / "keys" / "token.pem").chmod(0o600)
    (made / "credentials.json").write_text("{}")
    (made / "log").mkdir()
    with PostgresServer(made / "postgres") as server:
        migrate.upgrade(server.url)
        (made / "run.json").write_text(json.dumps({"database_url": server.url}))
        yield made
        (made / "run.json").unlink()


@pytest.fixture(scope="module")
def engine(var: Path) -> Iterator[Engine]:
    url = json.loads((var / "run.json").read_text())["database_url"]
    made = create(url, application="noctis-test")
    with transaction(made) as connection:
        tenants.add(connection, "home")
        devices.add("home", connection, "bed")
        accounts.add("home", connection, str(BED), "device", "secret")
    yield made
    made.dispose()


def test_after_a_restore_devices_complete_what_was_stored_since_the_backup(
    folder: Path, var: Path, engine: Engine
) -> None:
    before = play_offline(BED, folder, "--hours", 4)
    store(engine, before)
    archive = folder / "monday.noctis"
    code, said, complaint = run("backup", str(archive), "--var", str(var), "--json")
    assert code == 0, complaint
    assert json.loads(said)["bytes"] == archive.stat().st_size
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    after = play_offline(BED, folder, "--hours", 3, "--seed", 2)
    store(engine, after)

    elsewhere = folder / "elsewhere"
    code, _, complaint = run("restore", str(archive), "--var", str(elsewhere), "--json")
    assert code == 0, complaint
    assert (elsewhere / "models/stager/1/model.onnx").read_bytes() == b"weights"
    assert stat.S_IMODE((elsewhere / "keys/token.pem").stat().st_mode) == 0o600
    assert not (elsewhere / "log").exists()
    with PostgresServer(elsewhere / "postgres") as server:
        migrate.check(server.url)
        restored = create(server.url, application="noctis-test")
        try:
            _complete(restored, before, after)
        finally:
            restored.dispose()


def _complete(restored: Engine, before: Played, after: Played) -> None:
    """What was stored is there, what came later is asked for, and it is whole again."""
    log = {(int(it["stream"], 16), it["seq"], it["record_hex"]) for it in after.log}
    old = {(int(it["stream"], 16), it["seq"], it["record_hex"]) for it in before.log}
    stream = after.frames[0].stream
    highest = max(seq for _, seq, _ in log)
    status = Status(
        state="online",
        stream=f"{stream:016x}",
        oldest_seq=0,
        next_seq=highest + 1,
        backlog=0,
    )
    with transaction(restored, 60) as connection:
        assert set(count("home", connection, "bed").records) == old
        assert connection.scalar(text("SELECT count(*) FROM accounts")) == 1
        reports.store(connection, {BED: status})
        ranges = missing.find("home", connection, "bed").ranges
    lost = {seq for _, seq, _ in log - old}
    assert lost
    asked = {seq for one in ranges for seq in range(one.first, one.last + 1)}
    assert asked >= lost
    assert len(asked) <= len(lost) + 20  # RUNs cannot be told from epochs
    store(restored, after)
    with transaction(restored, 60) as connection:
        records = count("home", connection, "bed").records
        assert sorted(records) == sorted(log)
        assert not missing.find("home", connection, "bed").ranges


@pytest.mark.usefixtures("engine")
def test_a_restore_touches_no_folder_that_is_in_use(folder: Path, var: Path) -> None:
    archive = folder / "other.noctis"
    assert run("backup", str(archive), "--var", str(var))[0] == 0
    code, _, complaint = run("restore", str(archive), "--var", str(var))
    assert code == 1
    assert "has a platform already" in complaint
    assert (var / "credentials.json").exists()


def test_what_is_no_backup_is_named_and_changes_nothing(folder: Path) -> None:
    for name, content in (("text", b"hello"), ("empty", b"")):
        wrong = folder / name
        wrong.write_bytes(content)
        code, _, complaint = run("restore", str(wrong), "--var", str(folder / "fresh"))
        assert code == 1
        assert "no backup" in complaint
    with tarfile.open(folder / "evil", "w") as archive:
        archive.add(folder / "text", "../outside")
    code, _, complaint = run("restore", str(folder / "evil"), "--var", str(folder / "fresh"))
    assert code == 1
    assert not (folder / "outside").exists()
    assert not (folder / "fresh" / "postgres").exists()


def test_a_backup_that_fails_leaves_nothing(folder: Path) -> None:
    nowhere = folder / "nowhere"
    nowhere.mkdir()
    address = {"database_url": "postgresql://noctis:x@127.0.0.1:1/noctis"}
    (nowhere / "run.json").write_text(json.dumps(address))
    target = folder / "half.noctis"
    assert run("backup", str(target), "--var", str(nowhere))[0] == 1
    assert not list(folder.glob("half*"))
    assert not list(folder.glob(".backup*"))
