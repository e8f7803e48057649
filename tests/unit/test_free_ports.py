import socket
from contextlib import suppress
from pathlib import Path

import pytest

from noctis import childproc
from noctis.childproc import free_port
from noctis.errors import ProcessError


def test_no_port_is_handed_out_twice_or_while_somebody_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(childproc, "_handed_out", set())
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        first = taken.getsockname()[1]
        monkeypatch.setattr(childproc, "_handed_out", set())
        monkeypatch.setattr(childproc, "_PORTS", range(first, first + 8))
        monkeypatch.setattr(childproc, "TRIES", 8)
        found: list[int] = []
        with suppress(ProcessError):
            for _ in range(8):
                found.append(free_port())  # noqa: PERF401 - what was found before the error
    assert 0 < len(found) < 8
    assert len(set(found)) == len(found)
    assert first not in found


def test_no_outgoing_connection_is_given_a_port_that_is_handed_out() -> None:
    lowest = 49152
    known = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if known.exists():
        lowest = int(known.read_text().split()[0])
    if lowest < 32_000:
        pytest.skip("this machine gives nearly every port to outgoing connections")
    assert max(free_port() for _ in range(200)) < lowest


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(ProcessError, match=r"192\.0\.2\.1"):
        free_port("192.0.2.1")
