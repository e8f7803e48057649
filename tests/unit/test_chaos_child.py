"""Runs in processes of their own: their verdicts, and how they end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.chaos.child import verdict_of

ROOT = Path(__file__).parents[2]
PLATFORM = """
import pathlib, sys, time
from tests.chaos.child import end_in_order
end_in_order()
here = pathlib.Path(sys.argv[1])
try:
    (here / "began").touch()
    time.sleep(60)
finally:
    time.sleep(0.5)
    (here / "ended").touch()
"""
WAITING = """
import sys
from tests.chaos.child import end_in_order, verdict_of
end_in_order()
verdict_of([sys.executable, "-c", *sys.argv[1:]], within_s=60)
"""


def says(text: str, code: int = 0) -> list[str]:
    return [sys.executable, "-c", f"print({text!r}, end=''); raise SystemExit({code})"]


def test_a_verdict_is_what_the_command_prints_and_it_holds_where_that_ends_with_0() -> None:
    assert verdict_of(says('{"lost": 0}'), within_s=30) == ({"lost": 0}, True)
    assert verdict_of(says('{"lost": 2}', 1), within_s=30) == ({"lost": 2}, False)
    assert verdict_of(says("", 1), within_s=30) == ({"broken": 1}, False)


def test_a_run_that_takes_too_long_is_told_to_end_and_waited_for(tmp_path: Path) -> None:
    verdict = verdict_of(
        [sys.executable, "-c", PLATFORM, str(tmp_path)], within_s=3, folder=ROOT
    )
    assert verdict == ({"broken": 1}, False)
    assert (tmp_path / "began").exists()
    assert (tmp_path / "ended").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_is_told_to_end_ends_its_run_first_even_if_told_twice(
    tmp_path: Path, number: signal.Signals
) -> None:
    waiting = subprocess.Popen(
        [sys.executable, "-c", WAITING, PLATFORM, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "began").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    waiting.send_signal(number)
    time.sleep(0.2)
    waiting.send_signal(number)
    assert waiting.wait(30) == 128 + number
    assert (tmp_path / "ended").exists()
