import os
import socket
from pathlib import Path

import pytest
import structlog

from broker.connections import connections_of
from noctis import trace
from noctis.identity import DeviceId


@pytest.fixture(autouse=True)
def _unfollowed() -> object:
    yield
    trace.follow("")


def told(devices: str, device: DeviceId) -> list[str]:
    trace.follow(devices)
    with structlog.testing.capture_logs() as logs:
        trace.tell("epoch_committed", device, 0xF1, [41, 42], code=0)
    return [it["trace"] for it in logs]


@pytest.mark.parametrize(
    ("devices", "is_followed"),
    [
        ("", False),
        ("home/bedroom", True),
        ("home/*", True),
        ("lab/x, home/bedroom", True),
        ("home/bed", False),
        ("*/bedroom", True),
    ],
)
def test_the_epochs_of_devices_that_are_asked_for_are_told(
    devices: str,
    is_followed: bool,  # noqa: FBT001
) -> None:
    bedroom = DeviceId("home", "bedroom")
    lines = ["home/bedroom:00000000000000f1:41", "home/bedroom:00000000000000f1:42"]
    assert told(devices, bedroom) == (lines if is_followed else [])
    assert not told(devices, DeviceId("hotel", "room-1"))


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="Linux alone tells it")
def test_the_connections_of_a_process_are_counted() -> None:
    before = connections_of(os.getpid())
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert connections_of(os.getpid()) == before
        with socket.create_connection(server.getsockname()):
            accepted, _ = server.accept()
            with accepted:
                assert connections_of(os.getpid()) == before + 2
    assert connections_of(os.getpid()) == before
