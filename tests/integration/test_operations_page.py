"""The commands of ``docs/operations.md``, as they stand there, on a real PostgreSQL."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import make_url

from noctis.childproc import Child, child_user, free_port
from noctis.identity import DeviceId
from noctis.storage import devices, migrate, tenants
from noctis.storage.binaries import find
from noctis.storage.census import count
from noctis.storage.engine import create, transaction
from noctis.storage.server import PostgresServer
from tests.integration.broker_fixtures import eventually
from tests.integration.flash_fixtures import play_offline, store

pytestmark = pytest.mark.postgres

PAGE: Final = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
BED: Final = DeviceId("home", "bed")


def block(name: str) -> str:
    """Return the commands of the page that follow a mark of that name."""
    found = re.search(rf"<!-- run: {name} -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
    assert found, name
    return found[1]


@pytest.fixture(scope="module")
def server(server_folder: Path) -> Iterator[PostgresServer]:
    """A database with an hour of a device."""
    with PostgresServer(server_folder / "operations") as made:
        migrate.upgrade(made.url)
        engine = create(made.url)
        with transaction(engine) as connection:
            tenants.add(connection, BED.tenant)
            devices.add(BED.tenant, connection, BED.device)
        store(engine, play_offline(BED, server_folder, "--hours", 1))
        engine.dispose()
        yield made


@pytest.fixture
def shell(server: PostgresServer, tmp_path: Path) -> Mapping[str, str]:
    """What the page's reader has set: where the database is, and the programs."""
    url = make_url(server.url)
    programs = find(major=None, copies=server.folder, user=server.user).program("psql")
    noctis = tmp_path / "noctis"
    noctis.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "from cli.main import main; main()" "$@"\n'
    )
    noctis.chmod(0o755)
    return {
        "PATH": f"{tmp_path}:{Path(programs).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "NOCTIS_DATABASE_URL": server.url,
        "PGHOST": "127.0.0.1",
        "PGPORT": str(url.port),
        "PGUSER": str(url.username),
        "PGPASSWORD": str(url.password),
    }


def run(commands: str, folder: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        ["sh", "-eu", "-c", commands],
        cwd=folder,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def epochs(url: str) -> list[tuple[int, int, str]]:
    engine = create(url)
    try:
        with transaction(engine) as connection:
            return sorted(count(BED.tenant, connection, BED.device).records)
    finally:
        engine.dispose()


def test_a_dump_is_restored_beside_the_database_and_is_the_same(
    server: PostgresServer, shell: Mapping[str, str], tmp_path: Path
) -> None:
    run(block("dump"), tmp_path, shell)
    restored = make_url(server.url).set(database="noctis_restored")
    url = restored.render_as_string(hide_password=False)
    run(block("restore"), tmp_path, {**shell, "NOCTIS_DATABASE_URL": url})
    assert epochs(url) == epochs(server.url)
    assert len(epochs(url)) == 120
    migrate.check(url)


def test_a_base_backup_is_whole_and_starts_as_it_was(
    server: PostgresServer, shell: Mapping[str, str], tmp_path: Path
) -> None:
    run(block("base"), tmp_path, shell)
    user, data = child_user("postgres"), server.folder.parent / "base"
    (tmp_path / "base").rename(data)
    data.chmod(0o700)
    if user is not None:
        run(f"chown -R {user.uid}:{user.gid} {data}", tmp_path, shell)
    port = free_port()
    program = find(major=None, copies=server.folder, user=user).program("postgres")
    options = ("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")
    child = Child(
        [program, "-D", str(data), "-p", str(port), *options],
        log=tmp_path / "log",
        user=user,
    )
    url = make_url(server.url).set(port=port).render_as_string(hide_password=False)
    try:
        assert eventually(lambda: answers(url), within_s=30), child.tail()
        assert epochs(url) == epochs(server.url)
    finally:
        child.stop(within_s=20)


def answers(url: str) -> bool:
    try:
        return bool(epochs(url))
    except Exception:  # noqa: BLE001 - it starts still
        return False


def test_every_page_and_command_that_the_page_names_is_there() -> None:
    docs = Path(__file__).parents[2] / "docs"
    pages = set(re.findall(r"\]\(([a-z-]+\.md)", PAGE))
    assert pages
    assert not [it for it in pages if not (docs / it).exists()]
    tests = set(re.findall(r"`(tests/[a-z_/]+\.py|scripts/[a-z_]+)`", PAGE))
    assert tests
    assert not [it for it in tests if not (docs.parent / it).exists()]
