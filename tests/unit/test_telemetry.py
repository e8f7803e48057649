import json
import os
import socket
import subprocess
import sys

import pytest

PROGRAM = """
import structlog
from noctis.telemetry import configure_logging
configure_logging("test", form={form!r})
def fail():
    password = "hunter" + str(1 + 1)
    raise ValueError("no")
try:
    fail()
except ValueError:
    structlog.get_logger().exception("failed", device="home/bedroom")
structlog.get_logger().debug("unheard")
"""


def lines(form: str) -> list[str]:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(form=form)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert result.stdout == ""
    return result.stderr.splitlines()


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_shows_no_local_variable(form: str) -> None:
    text = "\n".join(lines(form))
    assert "ValueError" in text
    assert "hunter2" not in text
    assert "unheard" not in text


def test_a_container_gets_one_json_value_a_line() -> None:
    [line] = lines("json")
    record = json.loads(line)
    assert record["event"] == "failed"
    assert record["service"] == "test"
    assert record["device"] == "home/bedroom"


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_line_is_one_write_so_that_processes_tangle_none(form: str) -> None:
    reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with reader, writer:
        subprocess.run(
            [sys.executable, "-c", PROGRAM.format(form=form)],
            stderr=writer,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            timeout=60,
            check=True,
        )
        reader.settimeout(0)
        assert b"failed" in (line := reader.recv(100_000))
        assert line.endswith(b"\n")
        with pytest.raises(BlockingIOError):
            reader.recv(100_000)
