"""A service in a process of its own: signals are for processes."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from noctis.childproc import free_port
from noctis.errors import ProcessError
from noctis.supervise import Service, run

PROGRAM = """
import asyncio, sys
from noctis.supervise import Service, run

async def work():
    print("working", flush=True)
    while True:
        await asyncio.sleep(1)

async def fail():
    await asyncio.sleep(0.1)
    raise ValueError("broken part")

async def drain():
    print("draining", flush=True)
    await asyncio.sleep({drain_s})
    print("drained", flush=True)

parts = {parts}
run(Service("test", parts, ready=lambda: True, drain=drain, drain_s=1.0), metrics_port={port})
print("stopped", flush=True)
"""


@contextmanager
def program(*, parts: str = "(work,)", drain_s: float = 0.1) -> Iterator["Program"]:
    made = Program(parts, drain_s)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.communicate()


class Program:
    def __init__(self, parts: str, drain_s: float) -> None:
        self.port = free_port()
        text = PROGRAM.format(parts=parts, drain_s=drain_s, port=self.port)
        self.process = subprocess.Popen(
            [sys.executable, "-c", text],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        while True:
            line = self.process.stdout.readline().strip()
            if "[info" not in line:
                return line

    def get(self, path: str) -> int:
        address = f"http://127.0.0.1:{self.port}{path}"
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_the_service_in_order(number: signal.Signals) -> None:
    with program() as service:
        assert service.line() == "working"
        service.process.send_signal(number)
        assert [service.line() for _ in range(3)] == ["draining", "drained", "stopped"]
        assert service.process.wait(10) == 0


def test_a_drain_that_takes_too_long_is_cut_short() -> None:
    with program(drain_s=60) as service:
        assert service.line() == "working"
        service.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        assert service.line() == "draining"
        assert service.process.wait(10) == 0
        assert time.monotonic() - started < 8


def test_a_second_signal_ends_it_at_once() -> None:
    with program(drain_s=60) as service:
        assert service.line() == "working"
        service.process.send_signal(signal.SIGTERM)
        assert service.line() == "draining"
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(10) == -signal.SIGTERM


def test_a_part_that_fails_ends_the_whole_with_its_reason() -> None:
    with program(parts="(work, fail)") as service:
        output, _ = service.process.communicate(timeout=20)
        assert service.process.returncode == 1
        assert "broken part" in output


def test_monitors_see_readiness_go_as_soon_as_the_drain_begins() -> None:
    with program(drain_s=0.8) as service:
        assert service.line() == "working"
        pages = ("/readyz", "/healthz", "/metrics", "/nothing")
        assert [service.get(page) for page in pages] == [200, 200, 200, 404]
        service.process.send_signal(signal.SIGTERM)
        assert service.line() == "draining"
        assert [service.get(page) for page in pages[:2]] == [503, 200]


def test_a_metrics_port_that_somebody_has_is_named() -> None:
    async def idle() -> None:
        os.sched_yield()

    service = Service("test", (idle,), ready=lambda: True, drain=idle)
    with program() as other:
        assert other.line() == "working"
        with pytest.raises(ProcessError, match=str(other.port)):
            run(service, metrics_port=other.port)
