import ast
import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from errno import ENOSPC
from importlib import import_module
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from api.app import create_app
from inference.model import DEFAULT_FOLDER
from inference.versions import load
from noctis import clock, faults
from noctis.errors import ConfigurationError, ModelError
from noctis.faults import InjectedError, Name
from noctis.settings import Settings

ROOT = Path(__file__).parents[2]
PACKAGES = ("noctis", "broker", "ingestor", "inference", "companion", "registry", "api", "cli")
ALLOWED = {"NOCTIS_FAULTS": "allowed"}


@pytest.fixture(autouse=True)
def _nothing_happens_afterwards() -> Iterator[None]:
    yield
    faults.clear()


def passages(name: Name, count: int) -> list[int]:
    """Return which of so many passages failed."""
    failed = []
    for number in range(1, count + 1):
        try:
            faults.point(name)
        except InjectedError:
            failed.append(number)
    return failed


@pytest.mark.parametrize(
    ("spec", "failed"),
    [
        ("database.commit=error", [1, 2, 3, 4, 5, 6]),
        ("database.commit=error@#3", [3]),
        ("database.commit=error@#2-4", [2, 3, 4]),
        ("database.commit=error@#5-", [5, 6]),
        ("database.commit=error@0@#1-5", []),
        ("database.connect=error", []),
        ("database.commit=error@#1; database.commit=error@#6 ;", [1, 6]),
    ],
)
def test_a_fault_happens_at_the_passages_that_its_rule_names(
    spec: str, failed: list[int]
) -> None:
    faults.use(spec, ALLOWED)
    assert passages("database.commit", 6) == failed
    assert sum(rule.happened for rule in faults.active()) == len(failed)


def test_a_probability_is_the_share_of_passages_at_which_it_happens() -> None:
    faults.use("database.commit=error@0.2", ALLOWED)
    assert 120 < len(passages("database.commit", 1000)) < 290


def test_latency_takes_its_time_and_leaves_the_event_loop_free() -> None:
    faults.use("mqtt.connect=latency:0.2", ALLOWED)

    async def main() -> int:
        turns = 0
        async with asyncio.TaskGroup() as group:
            passing = group.create_task(faults.apoint("mqtt.connect"))
            while not passing.done():
                await asyncio.sleep(0.01)
                turns += 1
        return turns

    assert asyncio.run(main()) > 5
    began = time.monotonic()
    assert faults.point("mqtt.connect") is False
    assert time.monotonic() - began >= 0.2


def test_what_is_dropped_is_left_to_the_caller() -> None:
    faults.use("mqtt.send=drop@#2", ALLOWED)
    assert [faults.point("mqtt.send") for _ in range(3)] == [False, True, False]


def test_a_kill_ends_the_process_on_the_spot_and_is_logged_before() -> None:
    program = (
        "from noctis import faults; faults.configure(); print('before', flush=True); "
        "faults.point('ingestor.committed'); print('after', flush=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **ALLOWED, "NOCTIS_FAULT_POINTS": "ingestor.committed=kill"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert "after" not in done.stdout
    assert "ingestor.committed" in done.stdout.rpartition("before")[2]


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("database.comit=error", "names no point"),
        ("database.commit=explosion", "names no kind"),
        ("database.commit=drop", "nothing can be dropped"),
        ("database.commit=latency", "which need them"),
        ("database.commit=error:1", "seconds belong"),
        ("database.commit=latency:1.2.3", "number"),
        ("database.commit=error@0.1.1", "number"),
        ("mqtt.send=latency:1", "at once"),
        ("mqtt.connect=full", "nothing can be full"),
        ("mqtt.connect=torn", "nothing can be torn"),
        ("mqtt.connect=shift:5", "no clock is read"),
        ("clock.read=error", "nothing can be error"),
        ("clock.read=shift", "which need them"),
        ("mqtt.connect=latency:-1", "no time"),
        ("database.commit", "is no fault"),
        ("database.commit=error@#", "is no fault"),
        ("database.commit=error@often", "is no fault"),
    ],
)
def test_a_rule_that_makes_no_sense_is_named(spec: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        faults.use(spec, ALLOWED)
    assert not faults.active()


@pytest.mark.parametrize("allowed", [{}, {"NOCTIS_FAULTS": ""}, {"NOCTIS_FAULTS": "yes"}])
def test_nothing_is_taken_where_faults_are_not_allowed(allowed: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="not allowed"):
        faults.configure({**allowed, "NOCTIS_FAULT_POINTS": "database.commit=error"})
    assert passages("database.commit", 3) == []


@pytest.mark.parametrize("service", ["ingestor", "inference", "companion", "broker"])
def test_a_service_refuses_to_start_with_a_fault_that_it_does_not_know(
    service: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOCTIS_FAULTS", "allowed")
    monkeypatch.setenv("NOCTIS_FAULT_POINTS", "no.such=error")
    monkeypatch.setattr(sys, "argv", [service])
    assert import_module(f"{service}.__main__").main() == 2
    assert "names no point" in capsys.readouterr().err


def test_the_facade_refuses_to_start_with_a_fault_that_it_does_not_know(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NOCTIS_FAULTS", "allowed")
    monkeypatch.setenv("NOCTIS_FAULT_POINTS", "no.such=error")
    with pytest.raises(ConfigurationError, match="names no point"):
        create_app(Settings(var=tmp_path))


def test_an_order_ends_by_itself_and_leaves_what_the_process_was_started_with() -> None:
    faults.use("database.commit=error@#1", ALLOWED)
    faults.obey("order", "database.commit=error", 0.2, ALLOWED)
    faults.obey("order", "database.commit=error", 60, ALLOWED)  # it is obeyed already
    assert passages("database.commit", 2) == [1, 2]
    until = time.monotonic() + 0.2
    while time.monotonic() < until:
        time.sleep(0.02)
    assert passages("database.commit", 2) == []
    faults.expire()
    assert [it.order for it in faults.active()] == [""]


def test_an_order_that_is_withdrawn_lets_whoever_waits_go_on() -> None:
    faults.obey("order", "mqtt.connect=latency:600", 600, ALLOWED)
    faults.obey("other", "mqtt.publish=drop", 600, ALLOWED)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            passing = group.create_task(faults.apoint("mqtt.connect"))
            await asyncio.sleep(0.05)
            assert not passing.done()
            faults.withdraw("order")

    asyncio.run(asyncio.wait_for(main(), 30))
    assert [it.order for it in faults.active()] == ["other"]


def test_an_order_is_refused_where_faults_are_not_allowed() -> None:
    with pytest.raises(ConfigurationError, match="not allowed"):
        faults.obey("order", "database.commit=error", 60, {})
    assert not faults.active()


def test_who_is_exempt_passes_and_is_not_counted() -> None:
    faults.use("database.commit=error", ALLOWED)
    with faults.exempt():
        assert passages("database.commit", 2) == []
    assert [it.passages for it in faults.active()] == [0]
    assert passages("database.commit", 1) == [1]


def test_what_happens_is_counted_and_told_once_a_second_at_most() -> None:
    faults.use("mqtt.deliver=drop", ALLOWED)
    before = injected("mqtt.deliver")
    with capture_logs() as lines:
        assert all(faults.point("mqtt.deliver") for _ in range(50))
    assert injected("mqtt.deliver") - before == 50
    assert 1 <= len(lines) < 50


def injected(point: str) -> float:
    return REGISTRY.get_sample_value("noctis_faults_injected_total", {"point": point}) or 0.0


def test_a_full_disk_says_that_it_is_one() -> None:
    faults.use("registry.write=full; registry.read=error", ALLOWED)
    with pytest.raises(InjectedError) as caught:
        faults.point("registry.write")
    assert caught.value.errno == ENOSPC
    with pytest.raises(InjectedError) as caught:
        faults.point("registry.read")
    assert caught.value.errno != ENOSPC


def test_devices_are_told_a_wrong_time_by_a_clock_that_is_to_be_wrong() -> None:
    faults.use("clock.read=shift:-3600", ALLOWED)
    assert abs(clock.now_ns() / 1e9 + 3600 - time.time()) < 60
    faults.clear()
    assert abs(clock.now_ns() / 1e9 - time.time()) < 60


def test_a_torn_registry_is_refused_as_a_real_one_is() -> None:
    faults.use("registry.read=torn", ALLOWED)
    with pytest.raises(ModelError):
        load(DEFAULT_FOLDER)
    faults.clear()
    load(DEFAULT_FOLDER)


def test_every_point_that_is_listed_is_in_the_code_and_every_one_there_is_listed() -> None:
    assert _points_in_the_code() == set(faults.POINTS)


def test_the_page_on_faults_lists_every_point() -> None:
    page = (ROOT / "docs" / "faults.md").read_text("utf-8")
    rows = {line.strip() for line in page.splitlines() if line.startswith("| `")}
    for name, says in faults.POINTS.items():
        assert f"| `{name}` | {says} |" in rows


def _points_in_the_code() -> set[str]:
    found = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and _passes(node.func):
                    found |= {str(it.value) for it in node.args if isinstance(it, ast.Constant)}
    return found


def _passes(function: ast.expr) -> bool:
    if not isinstance(function, ast.Attribute):
        return False
    return function.attr in {"point", "apoint", "shift"} or function.attr.startswith("_pass")
