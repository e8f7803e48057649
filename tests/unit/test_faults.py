import ast
import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from api.app import create_app
from noctis import faults
from noctis.errors import ConfigurationError
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
        ("database.commit=latency", "latency needs them"),
        ("database.commit=error:1", "seconds belong"),
        ("database.commit=latency:1.2.3", "number"),
        ("database.commit=error@0.1.1", "number"),
        ("mqtt.send=latency:1", "at once"),
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
                    found |= {it.value for it in node.args if isinstance(it, ast.Constant)}
    return found


def _passes(function: ast.expr) -> bool:
    if not isinstance(function, ast.Attribute):
        return False
    return function.attr in {"point", "apoint"} or function.attr.startswith("_pass")
