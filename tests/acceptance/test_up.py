"""``noctis up`` as a newcomer uses it: start, look, add, stop, start again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from noctis.childproc import free_port
from noctis.storage import recordings
from noctis.storage.engine import create, transaction
from noctis.storage.recordings import Recording
from tests.disks import needs_small_disk
from tests.disks import small_disk as small_disk_at

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(400)]
NOCTIS = Path(sys.executable).with_name("noctis")


@contextmanager
def platform(var: Path, *arguments: str) -> Iterator[dict[str, Any]]:
    """Run ``noctis up`` on a folder; yield its run file; end it with SIGTERM."""
    port = str(free_port())
    errors = var.with_suffix(".errors")
    with errors.open("a") as file:
        process = subprocess.Popen(
            [
                NOCTIS,
                "up",
                "--internal-port",
                "0",
                "--api-port",
                port,
                "--var",
                var,
                *arguments,
            ],
            stderr=file,
            stdout=file,
        )
    try:
        yield wait_until_it_runs(var, process, errors)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=120)
    assert code == 0, errors.read_text()
    assert not (var / "run.json").exists()


def wait_until_it_runs(
    var: Path, process: subprocess.Popen[bytes], errors: Path
) -> dict[str, Any]:
    for _ in range(1200):
        assert process.poll() is None, errors.read_text()
        try:
            run: dict[str, Any] = json.loads((var / "run.json").read_text())
        except (OSError, ValueError):
            run = {"processes": {}}
        ours = run["processes"].get("noctis") == process.pid
        if ours and (var / "credentials.json").exists():
            return run
        time.sleep(0.1)
    pytest.fail(f"the platform does not come up: {errors.read_text()}")


def noctis(*arguments: str) -> dict[str, Any]:
    result = subprocess.run(
        [NOCTIS, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    value: dict[str, Any] = json.loads(result.stdout)
    return value


def items(url: str, bearer: str, what: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {bearer}"}
    reply = httpx.get(url, headers=headers, timeout=10).raise_for_status()
    page: list[dict[str, Any]] = reply.json()[what]
    return page


def token(api: str, account: dict[str, str]) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": account["username"],
        "client_secret": account["password"],
    }
    reply = httpx.post(f"{api}/v1/auth/token", data=form, timeout=10).raise_for_status()
    text: str = reply.json()["access_token"]
    return text


def wait_for_predictions(
    api: str, bearer: str, device: str, count: int
) -> list[dict[str, Any]]:
    url = f"{api}/v1/devices/{device}/predictions?since=2020-01-01T00:00:00Z"
    for _ in range(300):
        found = items(url, bearer, "predictions")
        if len(found) >= count:
            return found
        time.sleep(0.2)
    pytest.fail(f"only {len(found)} predictions after a minute")


def wait_for_night(url: str) -> Recording:
    """Return the newest recording once it shows some sleep."""
    engine = create(url, application="noctis-test")
    try:
        for _ in range(300):
            with transaction(engine) as connection:
                found = recordings.list_of("home", connection, "bedroom")
            if found and (found[0].figures.tst_min or 0) > 0:
                return found[0]
            time.sleep(0.2)
    finally:
        engine.dispose()
    pytest.fail("no night with sleep after a minute")


def test_a_newcomer_sees_epochs_stages_and_nights_and_finds_them_again(folder: Path) -> None:
    var = folder / "var"
    with platform(var, "--speed", "max") as run:
        account = json.loads((var / "credentials.json").read_text())["app"]
        assert {"ingestor", "inference", "companion", "runner", "api", "internal"} <= set(
            run["processes"]
        )
        bearer = token(run["api"], account)
        [device] = items(f"{run['api']}/v1/devices", bearer, "devices")
        assert device["name"] == "bedroom"
        first = wait_for_predictions(run["api"], bearer, "bedroom", 20)
        recording = wait_for_night(run["database_url"])
        shown = noctis("night", "show", "home/bedroom", "--var", str(var), "--json")
        assert shown["id"] == str(recording.id)
        assert len(shown["hypnogram"]) == shown["epochs"] + shown["missing"]
        assert shown["figures"]["tib_min"] == len(shown["hypnogram"]) / 2
        assert {"wake", "light", "deep", "rem"} & set(shown["hypnogram"])  # so far
    with platform(var, "--no-device") as run:
        assert wait_for_night(run["database_url"]).id == recording.id
        bearer = token(run["api"], account)
        again = wait_for_predictions(run["api"], bearer, "bedroom", len(first))
    assert again[: len(first)] == first


def services(url: str) -> set[str]:
    """Return the services' accounts that may connect."""
    query = "SELECT username FROM accounts WHERE kind = 'service' AND revoked_at IS NULL"
    with psycopg.connect(url, connect_timeout=10) as connection:
        return {name for (name,) in connection.execute(query)}


def test_replicas_share_the_work_and_leave_nothing_behind_when_they_are_fewer(
    folder: Path,
) -> None:
    var = folder / "var"
    with platform(var, "--replicas", "2", "--speed", "max") as run:
        assert {"ingestor", "ingestor-1", "inference", "inference-1"} <= set(run["processes"])
        account = json.loads((var / "credentials.json").read_text())["app"]
        wait_for_predictions(run["api"], token(run["api"], account), "bedroom", 20)
        several = services(run["database_url"])
    with platform(var, "--no-device") as run:
        assert not {"ingestor-1", "inference-1"} & set(run["processes"])
        assert several - services(run["database_url"]) == {"svc-ingestor-1", "svc-live-1"}


def test_a_device_that_is_added_while_the_platform_runs_can_send(folder: Path) -> None:
    var = folder / "var"
    with platform(var, "--no-device") as run:
        assert noctis("tenant", "add", "hotel", "--var", str(var), "--json") == {
            "tenant": "hotel"
        }
        added = noctis("device", "add", "hotel/room-1", "--var", str(var), "--json")
        app = noctis("app", "add", "desk@hotel", "--var", str(var), "--json")
        played = subprocess.run(
            [
                NOCTIS.with_name("noctis-device"),
                *("--tenant", "hotel", "--device", "room-1", "--hours", "0.25", "--once"),
                *("--port", str(run["broker"]["port"]), "--speed", "max"),
                *("--nor", folder / "nor", "--log", folder / "log"),
            ],
            env={**os.environ, "NOCTIS_DEVICE_PASSWORD": added["password"]},
            timeout=60,
            check=False,
        )
        assert played.returncode == 0
        bearer = token(run["api"], app)
        assert len(wait_for_predictions(run["api"], bearer, "room-1", 30)) == 30
    assert (folder / "log").read_text().count("\n") == 30


def test_a_platform_that_was_killed_starts_again_on_what_it_left_behind(folder: Path) -> None:
    var, port = folder / "var", str(free_port())
    errors = folder / "errors"
    with errors.open("a") as file:
        killed = subprocess.Popen(
            [NOCTIS, "up", "--var", var, "--internal-port", "0", "--api-port", port],
            stderr=file,
            stdout=file,
        )
    left = wait_until_it_runs(var, killed, errors)["processes"]
    killed.kill()
    killed.wait(timeout=10)
    with platform(var, "--api-port", port) as run:
        assert not set(left.values()) & set(run["processes"].values())
        assert not [pid for pid in left.values() if Path(f"/proc/{pid}").exists()]


def test_a_second_platform_on_the_same_folder_is_refused(folder: Path) -> None:
    var = folder / "var"
    with platform(var, "--no-device"):
        second = subprocess.run(
            [NOCTIS, "up", "--var", var, "--api-port", str(free_port())],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert second.returncode == 1
    assert "runs on" in second.stderr


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 64 MiB."""
    with small_disk_at(folder / "small", 64) as small:
        yield small


@needs_small_disk
def test_a_disk_without_room_is_named_before_anything_starts(small_disk: Path) -> None:
    result = subprocess.run(
        [NOCTIS, "up", "--var", small_disk / "var", "--api-port", str(free_port())],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "COLUMNS": "400"},
    )
    assert result.returncode == 1
    assert "MiB are free" in result.stderr
    assert "--var" in result.stderr
    assert sorted(path.name for path in (small_disk / "var").iterdir()) == ["log"]
