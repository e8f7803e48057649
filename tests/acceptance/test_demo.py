"""One night, end to end, as ``noctis demo`` plays it; and with every part killed on the way."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(280)]
NOCTIS = Path(sys.executable).with_name("noctis")
PARTS = ["device", "ingestor", "inference", "broker", "postgres"]
NIGHTS = os.environ.get("NOCTIS_NIGHTS")
RECORDED = ["sleep-accel/46343", "sleep-accel/8686948", "slpdb/slp04", "slpdb/slp59"]


def start(*arguments: str, errors: Path) -> subprocess.Popen[str]:
    with errors.open("w") as file:
        return subprocess.Popen(
            [NOCTIS, "demo", "--json", "--timeout", "240", *arguments],
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        )


def finish(process: subprocess.Popen[str], errors: Path) -> dict[str, Any]:
    try:
        out, _ = process.communicate(timeout=270)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.communicate(timeout=60)
        raise
    assert process.returncode == 0, f"{out}\n{errors.read_text()[-4000:]}"
    assert len(out.strip().splitlines()) == 1
    report: dict[str, Any] = json.loads(out)
    return report


def assert_exactly_once(report: dict[str, Any]) -> None:
    assert report["made"] > 0
    assert report["made"] == report["stored"] == report["predicted"]
    assert report["lost"] == report["duplicates"] == 0


def noctis(
    *arguments: str, environment: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [NOCTIS, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment, "COLUMNS": "400"},
    )


def running(var: Path, process: subprocess.Popen[str]) -> dict[str, int]:
    """Return the process ids of a running demo's parts, once its device runs."""
    while process.poll() is None:
        try:
            parts: dict[str, int] = json.loads((var / "run.json").read_text())["processes"]
        except (OSError, ValueError):
            parts = {}
        if "device" in parts:
            return parts
        time.sleep(0.05)
    pytest.fail("the demo ended before its device ran")


def made(var: Path) -> int:
    log = var / "device.jsonl"
    return log.read_bytes().count(b"\n") if log.exists() else 0


def moments(var: Path, process: subprocess.Popen[str], epochs: int) -> Iterator[int]:
    """Yield a number at the moments that part the night into equal stretches."""
    for number in range(1, len(PARTS) + 1):
        while process.poll() is None and made(var) < number * epochs // (len(PARTS) + 1):
            time.sleep(0.02)
        yield number


def test_a_made_up_night_arrives_exactly_once(folder: Path) -> None:
    errors = folder / "errors"
    report = finish(start("--hours", "2", errors=errors), errors)
    assert_exactly_once(report)
    assert report["made"] == 240
    assert report["agreement"]["accuracy"] > 0.3
    assert not report["night_in_training"]
    assert report["latency_ms"]["count"] > 200
    assert set(report) == {
        "made",
        "stored",
        "lost",
        "duplicates",
        "predicted",
        "agreement",
        "night_in_training",
        "latency_ms",
        "seconds",
    }


@pytest.mark.skipif(NIGHTS is None, reason="NOCTIS_NIGHTS names no folder of nights")
@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_night_arrives_exactly_once(name: str, folder: Path) -> None:
    errors = folder / "errors"
    report = finish(start("--night", f"{NIGHTS}/{name}", errors=errors), errors)
    assert_exactly_once(report)
    assert report["night_in_training"] == name.startswith("sleep-accel")


@pytest.mark.parametrize("persistence", ["--persistence", "--no-persistence"])
def test_every_part_killed_in_the_middle_changes_no_number(
    persistence: str, folder: Path
) -> None:
    var, errors = folder / "var", folder / "errors"
    process = start(
        "--hours", "4", "--speed", "1200", "--var", str(var), persistence, errors=errors
    )
    try:
        killed = {}
        running(var, process)
        for number in moments(var, process, 480):
            part = PARTS[number - 1]
            killed[part] = running(var, process)[part]
            os.kill(killed[part], signal.SIGKILL)
        report = finish(process, errors)
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert sorted(killed) == sorted(PARTS)
    told = errors.read_text()
    assert all(f"{part} ended with -9" in told for part in PARTS)
    assert_exactly_once(report)
    assert report["made"] == 480


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "no_such_night"),
        ({}, "stages.csv"),
        ({"stages.csv": "t_s,stage\n0,W\nsoon,N2\n"}, "soon"),
        ({"stages.csv": "t_s,stage\n", "heart_rate.csv": "t_s,bpm\n"}, "stages.csv"),
    ],
)
def test_a_night_that_cannot_be_read_is_named(
    content: dict[str, str] | None, complaint: str, folder: Path
) -> None:
    night = folder / "no_such_night"
    if content is not None:
        night.mkdir()
        for name, text in content.items():
            (night / name).write_text(text)
    result = noctis("demo", "--json", "--night", str(night))
    assert result.returncode == 1
    assert result.stdout == ""
    assert complaint in result.stderr


def test_a_port_in_use_is_named(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        result = noctis("up", "--var", str(folder / "var"), "--api-port", port)
    assert result.returncode == 1
    assert f"port {port}" in result.stderr
    assert "--api-port" in result.stderr


def test_a_machine_without_mosquitto_is_told_what_to_install(folder: Path) -> None:
    missing = {"NOCTIS_MOSQUITTO": str(folder / "mosquitto")}
    result = noctis("demo", "--json", "--hours", "0.1", environment=missing)
    assert result.returncode == 1
    assert "install mosquitto" in result.stderr
