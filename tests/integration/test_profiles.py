"""Commands against this machine's database and against a facade: one way, one answer."""

import csv
import json
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine
from typing_extensions import override

from cli import profiles
from cli.errors import SignInError
from cli.facade import Facade as Client
from cli.facade import sign_in
from cli.profiles import Profile
from noctis import passphrases
from noctis.childproc import free_port
from noctis.identity import DeviceId
from noctis.stages import Stage
from noctis.status import LogLine, LogLines, Status
from noctis.storage import (
    accounts,
    devices,
    logs,
    operations,
    predictions,
    recordings,
    reports,
    users,
)
from noctis.storage.engine import transaction
from noctis.storage.recordings import Night
from tests.integration.consoles import Console
from tests.integration.facade_fixtures import Both, Facade, both, database, facade
from tests.integration.inference_fixtures import Night as NightSent
from tests.integration.inference_fixtures import store

__all__ = ["both", "database", "facade"]

pytestmark = pytest.mark.postgres

PASSWORD = "correct horse battery staple"
APP_SECRET = "of the robot's own"
START = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)
STATUS = Status(
    state="online",
    stream="00f1e2d3c4b5a697",
    oldest_seq=0,
    next_seq=9,
    backlog=7,
    firmware="1.2",
)


@pytest.fixture(scope="module")
def filled(both: Both) -> Both:
    """A tenant with users, an app, a device that reported, and a night."""
    codes = np.arange(900) // 20 % 4
    night = Night(
        state="closed",
        evening=START.date(),
        time_zone="Europe/Berlin",
        started_at=START,
        ended_at=START + timedelta(seconds=30 * 900),
        hypnogram=codes.astype(np.uint8).tobytes(),
        model_id=None,
        moved=3,
        closes_at=None,
    )
    hashed = passphrases.hash_passphrase(PASSWORD)
    with transaction(both[1]) as connection:
        for name, role in (("ann", "admin"), ("vic", "viewer")):
            users.add("t1", connection, name, role=role, password_hash=hashed)
        accounts.add("t1", connection, "robot@t1", "app", APP_SECRET, role="viewer")
        key = devices.get("t1", connection, "d1").id
        for days in (0, 7):
            later = timedelta(days=days)
            ends = {"started_at": START + later, "ended_at": night.ended_at + later}
            codes = night.hypnogram[days * 30 :]
            evening = START.date() + later
            made = replace(night, evening=evening, hypnogram=codes, **ends)
            recordings.add(connection, key, made)
        reports.store(connection, {DeviceId("t1", "d1"): STATUS})
        lines = LogLines(
            boot=3,
            now_ms=5000,
            lines=(LogLine(n=1, at_ms=4000, level="info", text="boot 3"),),
        )
        logs.store("t1", connection, "d1", lines)
        request = {"model": "stager", "version": "2"}
        operations.add("t1", connection, "replay", request, device=None, by="user:ann@t1")
    _lately_asleep(both[1])
    return both


def _lately_asleep(engine: Engine) -> None:
    """Store ten epochs of t1/d2 that have just been, the last of them without a stage yet."""
    begin = int(time.time()) - 10 * 30
    night = NightSent(10, seed=1, utc_s=begin)
    store(engine, night.frames(), device=DeviceId("t1", "d2"))
    with transaction(engine) as connection:
        key = devices.get("t1", connection, "d2").id
        model = predictions.model_id(connection, "stager", "1")
        rows = [
            predictions.Prediction(
                key,
                night.stream,
                seq,
                datetime.fromtimestamp(begin + 30 * (seq - 1), UTC),
                Stage.REM,
                None,
            )
            for seq in range(1, 10)
            for start in [datetime.fromtimestamp(begin + 30 * (seq - 1), UTC)]
        ]
        predictions.store(connection, model, rows)


@pytest.fixture(scope="module")
def console(filled: Both, tmp_path_factory: pytest.TempPathFactory) -> Console:
    """A console that is logged in as ann, and uses this machine's platform by itself."""
    made = Console(filled[0].database_url, tmp_path_factory.mktemp("console"))
    address = f"http://127.0.0.1:{filled[0].port}"
    for login, name in (("ann@t1", "far"), ("vic@t1", "looker")):
        done = made("login", address, "--user", login, "--profile", name, told=f"{PASSWORD}\n")
        assert done.returncode == 0, done.stderr
    assert made("profile", "use", "local").returncode == 0
    return made


@pytest.mark.parametrize(
    "command",
    [
        ("device", "list", "t1"),
        ("device", "show", "t1/d1"),
        ("device", "config", "t1/d2"),
        ("device", "logs", "t1/d1"),
        ("user", "list", "t1"),
        ("app", "list", "t1"),
        ("operation", "list", "t1"),
        ("watch", "t1/d2"),
        ("night", "list", "t1"),
        ("night", "list", "t1/d1", "--since", "2026-03-01", "--until", "2026-03-02"),
        ("night", "show", "t1/d1"),
        ("night", "compare", "t1/d1", "2026-03-01", "2026-03-08"),
        ("night", "trend", "t1/d1", "--weeks", "2", "--until", "2026-03-10"),
    ],
    ids=" ".join,
)
def test_database_and_facade_give_the_same_answer(
    console: Console, command: tuple[str, ...]
) -> None:
    here = console.value(*command)
    assert here
    assert console.value(*command, "--profile", "far") == here


def test_what_is_done_over_a_facade_is_done(console: Console) -> None:
    made = console.value("device", "add", "t1/far", "--profile", "far")
    assert made["username"] == "t1/far"
    renewed = console.value("device", "rotate", "t1/far", "--yes", "--profile", "far")
    assert renewed["password"] != made["password"]
    wanted = ("device", "config", "t1/far", "led=false", "report_s=60", "--profile", "far")
    assert console.value(*wanted)["desired"] == {"led": False, "report_s": 60}
    assert console.value("device", "config", "t1/far", "led=")["desired"] == {"report_s": 60}
    ordered = console.value("device", "identify", "t1/far", "--wait", "0", "--profile", "far")
    assert ordered["state"] == "pending"
    gone = console.value("device", "revoke", "t1/far", "--yes", "--profile", "far")
    assert gone["state"] == "revoked"
    assert console("user", "add", "bo@t1", "--profile", "far").returncode == 0
    assert console("user", "set-role", "bo@t1", "viewer", "--profile", "far").returncode == 0
    assert {"bo@t1": "viewer"}.items() <= {
        it["user"]: it["role"] for it in console.value("user", "list")
    }.items()
    assert console("user", "remove", "bo@t1", "--yes", "--profile", "far").returncode == 0
    assert "bo@t1" not in [it["user"] for it in console.value("user", "list")]


def test_nights_are_exported_alike_from_database_and_facade(
    console: Console, tmp_path: Path
) -> None:
    texts = []
    for where in ("local", "far"):
        file = tmp_path / f"{where}.csv"
        told = console.value("night", "export", "t1", "--output", str(file), "--profile", where)
        assert told["nights"] == 2
        texts.append(file.read_text())
    assert texts[0] == texts[1]
    [newest, older] = csv.DictReader(texts[0].splitlines())
    assert (newest["device"], newest["evening"]) == ("t1/d1", "2026-03-08")
    assert float(older["tib_min"]) - float(newest["tib_min"]) == 105.0
    both = ("night", "compare", "t1/d1", "2026-03-01", "2026-03-08")
    assert console.value(*both)["differences"]["tib_min"] == -105.0
    assert "-1:45" in console(*both).stdout


def test_apps_come_and_go_over_a_facade(console: Console) -> None:
    far = ("--profile", "far")
    made = console.value("app", "add", "tv@t1", "--role", "viewer", *far)
    assert made["username"] == "tv@t1"
    assert (
        console.value("app", "rotate", "tv@t1", "--yes", *far)["password"] != made["password"]
    )
    assert console.value("app", "set-role", "tv@t1", "none", *far)["role"] is None
    assert {"tv@t1": None}.items() <= {
        it["app"]: it["role"] for it in console.value("app", "list")
    }.items()
    assert console.value("app", "remove", "tv@t1", "--yes", *far)["removed"] is True
    assert "tv@t1" not in [it["app"] for it in console.value("app", "list")]


@pytest.mark.parametrize("where", ["local", "far"])
def test_an_operation_is_followed_cancelled_and_resumed(console: Console, where: str) -> None:
    at = ("--profile", where)
    [made] = console.value("operation", "list", "t1", *at)
    key = made["id"]
    assert console.value("operation", "show", "t1", key, *at) == made
    assert made["state"] == "queued"
    assert console.value("operation", "cancel", "t1", key, *at)["state"] == "cancelled"
    followed = console("operation", "follow", "t1", key, *at)
    assert followed.returncode == 1
    assert "cancelled" in followed.stdout
    assert console.value("operation", "resume", "t1", key, *at)["state"] == "queued"


@pytest.mark.parametrize("where", ["local", "far"])
def test_a_watch_tells_each_epoch_once_it_is_staged(console: Console, where: str) -> None:
    done = console("watch", "t1/d2", "--for", "2.5", "--profile", where)
    lines = done.stdout.splitlines()
    assert len(lines) == 9
    assert all("rem" in line and "bpm" in line for line in lines)
    nobody = console("watch", "t1/d1", "--json", "--profile", where)
    assert nobody.returncode == 1
    assert "noctis device show t1/d1" in nobody.stderr


def test_the_status_of_a_platform_is_one_screen(console: Console) -> None:
    here = console.value("status")
    counts = {it["name"]: it for it in here["tenants"]}
    assert counts["t1"]["online"] == 1
    assert counts["t1"]["backlog"] == 7
    assert here["line"]["unstaged"] == 1
    assert here["line"]["per_minute"] == 1.0
    assert here["disk"]["database_bytes"] > 1 << 20
    far = console.value("status", "--profile", "far")
    assert far["tenants"][0]["online"] == 1
    assert far["tenants"][0]["backlog"] == 7
    states = {it["name"]: it["state"] for it in far["services"]}
    assert (states["database"], states["broker"]) == ("running", "not ready")
    assert far["model"] == here["model"]
    for where in ("local", "far"):
        shown = console("status", "--profile", where).stdout
        assert "t1" in shown
        assert len(shown.splitlines()) < 24


def test_nothing_is_destroyed_where_nobody_can_be_asked(console: Console) -> None:
    for command in (
        ("device", "revoke", "t1/d2"),
        ("device", "rotate", "t1/d2"),
        ("user", "remove", "vic@t1"),
    ):
        done = console(*command)
        assert done.returncode == 1
        assert "--yes" in done.stderr
    assert console.value("device", "show", "t1/d2")["revoked_at"] is None


def test_a_facade_that_is_in_use_is_asked_until_it_is_not(console: Console) -> None:
    assert console("profile", "use", "far").returncode == 0
    try:
        assert {it["device"].split("/")[0] for it in console.value("device", "list")} == {"t1"}
        for local in (("tenant", "list"), ("key", "list"), ("replay", "list"), ("doctor",)):
            refused = console(*local)
            assert refused.returncode == 1
            assert "NOCTIS_PROFILE=local" in refused.stderr
        assert console("tenant", "list", NOCTIS_PROFILE="local").returncode == 0
        [used] = [it for it in console.value("profile", "list") if it["used"]]
        assert used["profile"] == "far"
    finally:
        console("profile", "use", "local")
    assert {"t1/d1", "t2/d1"} <= {it["device"] for it in console.value("device", "list")}


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        (("device", "list", "t2", "--profile", "far"), 1, "sees the tenant t1 alone"),
        (("device", "show", "t1/nobody", "--profile", "far"), 1, "no device 'nobody'"),
        (("device", "add", "t1/d1", "--profile", "far"), 1, "already"),
        (
            ("device", "add", "t1/x", "--time-zone", "Nowhere", "--profile", "far"),
            1,
            "/time_zone",
        ),
        (("device", "revoke", "t1/d2", "--yes", "--profile", "looker"), 4, "another role"),
        (("user", "list", "--profile", "looker"), 4, "another role"),
        (("device", "list", "--profile", "nobody"), 1, "noctis login"),
    ],
    ids=lambda it: " ".join(it) if isinstance(it, tuple) else None,
)
def test_what_a_facade_refuses_is_told_with_what_to_do(
    console: Console, command: tuple[str, ...], code: int, told: str
) -> None:
    done = console(*command)
    assert done.returncode == code, done.stderr
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("http://127.0.0.1:{none}", "--user", "ann@t1"), 3, "nobody answers"),
        (("https://127.0.0.1:{port}", "--user", "ann@t1"), 3, "127.0.0.1"),
        (("http://127.0.0.1:{port}", "--user", "ann@t1"), 4, "password is wrong"),
        (("http://127.0.0.1:{port}/elsewhere", "--user", "ann@t1"), 4, "look at the URL"),
        (("http://sleep.invalid", "--user", "ann@t1"), 1, "--allow-http"),
        (("ftp://127.0.0.1", "--user", "ann@t1"), 1, "https://"),
        (("http://127.0.0.1:{port}", "--user", "ann"), 1, "name@tenant"),
        (("http://127.0.0.1:{port}",), 1, "--user"),
    ],
    ids=lambda it: " ".join(it) if isinstance(it, tuple) else None,
)
def test_a_login_that_fails_says_why_and_leaves_nothing(
    filled: Both, tmp_path: Path, arguments: tuple[str, ...], code: int, told: str
) -> None:
    here = Console("postgresql://nobody@127.0.0.1:1/nothing", tmp_path)
    given = [it.format(port=filled[0].port, none=free_port()) for it in arguments]
    done = here("login", *given, told="a wrong password\n")
    assert done.returncode == code, done.stderr
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert here.value("profile", "list") == []


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def signed_in(facade: Facade, login: str = "ann@t1", secret: str = PASSWORD) -> Profile:
    kind = "app" if login.startswith("robot") else "user"
    blank = Profile("p", f"http://127.0.0.1:{facade.port}", login, kind, "", 0.0)
    made = sign_in(blank, secret)
    profiles.save(made)
    return made


def test_only_its_owner_can_read_a_profile_and_no_password_is_in_it(
    filled: Both, own_folder: Path
) -> None:
    signed_in(filled[0])
    [file] = own_folder.rglob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert PASSWORD not in file.read_text()


@pytest.mark.usefixtures("own_folder")
@pytest.mark.parametrize(("login", "secret"), [("ann@t1", PASSWORD), ("robot@t1", APP_SECRET)])
def test_a_token_that_has_ended_is_renewed_once_for_all_who_use_it(
    filled: Both, login: str, secret: str
) -> None:
    old = signed_in(filled[0], login, secret)
    profiles.save(Profile(**{**_fields(old), "access_token": "ended", "expires_at": 1.0}))
    stale = profiles.load("p")
    seen: list[str] = []

    def ask() -> None:
        with Client(stale) as client:
            assert client.ask("GET", "/v1/devices")["devices"]
            seen.append(client.profile.access_token)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 4
    assert len(set(seen)) == 1
    assert profiles.load("p").access_token == seen[0]


@pytest.mark.usefixtures("own_folder")
def test_a_token_that_the_facade_takes_no_longer_is_renewed(filled: Both) -> None:
    old = signed_in(filled[0])
    profiles.save(Profile(**{**_fields(old), "access_token": "not.a.token"}))
    with Client(profiles.load("p")) as client:
        assert client.ask("GET", "/v1/devices")["devices"]
        client.revoke()
        gone = Profile(**{**_fields(client.profile), "access_token": "not.a.token"})
    profiles.save(gone)
    with Client(gone) as client, pytest.raises(SignInError, match="session has ended"):
        client.ask("GET", "/v1/devices")


def _fields(made: Profile) -> dict[str, Any]:
    return {name: getattr(made, name) for name in Profile.__dataclass_fields__}


class _Busy(BaseHTTPRequestHandler):
    """A facade that asks to wait, twice."""

    asked: list[float]

    def do_GET(self) -> None:
        self.asked.append(time.monotonic())
        is_busy = len(self.asked) < 3
        body = b'{"detail": "slower"}' if is_busy else b'{"devices": []}'
        self.send_response(429 if is_busy else 200)
        self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def busy() -> Iterator[tuple[str, list[float]]]:
    asked: list[float] = []
    handler = type("Busy", (_Busy,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_a_facade_that_asks_to_wait_is_waited_for(busy: tuple[str, list[float]]) -> None:
    url, asked = busy
    known = Profile("p", url, "ann@t1", "user", "token", time.time() + 600)
    with Client(known) as client:
        assert client.ask("GET", "/v1/devices") == {"devices": []}
    assert len(asked) == 3
    assert asked[2] - asked[0] >= 2


def test_a_profile_that_is_removed_ends_its_session(filled: Both, tmp_path: Path) -> None:
    here = Console("postgresql://nobody@127.0.0.1:1/nothing", tmp_path)
    address = f"http://127.0.0.1:{filled[0].port}"
    assert here("login", address, "--user", "ann@t1", NOCTIS_PASSWORD=PASSWORD).returncode == 0
    [file] = (tmp_path / "config").rglob("*.json")
    session = json.loads(file.read_text())["refresh_token"]
    [name] = [it["profile"] for it in here.value("profile", "list")]
    assert here.value("profile", "remove", name)["session_ended"] is True
    assert here.value("profile", "list") == []
    form = {"grant_type": "refresh_token", "refresh_token": session}
    assert filled[0].client.post("/v1/auth/token", data=form).status_code == 400


def test_names_complete_themselves_from_the_platform_in_use(console: Console) -> None:
    def completed(words: str, **more: str) -> list[str]:
        done = console(
            _NOCTIS_COMPLETE="complete_bash",
            COMP_WORDS=words,
            COMP_CWORD=str(len(words.split()) - (not words.endswith(" "))),
            **more,
        )
        return done.stdout.split()

    assert "device" in completed("noctis dev")
    assert completed("noctis device show t1/d") == ["t1/d1", "t1/d2"]
    assert completed("noctis night list t2/") == ["t2/d1"]
    assert completed("noctis device show t1/d1", NOCTIS_PROFILE="far") == ["t1/d1"]
    assert completed("noctis user list t") == ["t1", "t2"]
    nobody = "postgresql://x@127.0.0.1:1/x"
    assert completed("noctis device show t", NOCTIS_DATABASE_URL=nobody) == []
