"""A device is claimed over a serial line: our client, a pty, and the firmware's own core."""

import os
import pty
import shutil
import sys
import threading
import tty
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cli.device_claim import _bring
from cli.improv import Improv, Packet, Reader, command
from cli.serial_line import DeviceLine, LineError, opened_line
from noctis.certificates import Authority, make_key
from noctis.device_identity import Credential, DeviceIdentity, wifi_settings
from noctis.errors import ConfigurationError, IdentityError, NoctisError
from noctis.identity import DeviceId
from tests.boxes import NETWORK, WIFI_PASSWORD, Box, plugged

BESIDE = Path(sys.executable).with_name("noctis-device")
DEVICE = str(BESIDE) if BESIDE.exists() else shutil.which("noctis-device") or ""
WHO = DeviceId("home", "bed-1")
BY_PASSWORD = DeviceIdentity(WHO, "127.0.0.1", 1, Credential(password="a password"))


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Box]:
    if not DEVICE:
        pytest.skip("noctis-device is not built")
    with plugged(tmp_path / "box") as made:
        yield made


def certified() -> DeviceIdentity:
    authority = Authority.create()
    key, public_key = make_key()
    issued = authority.issue_device(WHO, public_key)
    credential = Credential(certificate=issued.pem, key=key)
    ca = authority.certificate.pem
    return DeviceIdentity(WHO, "127.0.0.1", 1, credential, ca, (bytes(32),))


def test_a_device_gets_wifi_and_an_identity_over_the_line(board: Box) -> None:
    identity = certified().encode()
    assert len(identity) < 2000
    network = wifi_settings(NETWORK, WIFI_PASSWORD)
    with board.line() as line:
        assert line.ask(Improv.INFO) == ["Noctis", "0.1.0", "host", "unclaimed"]
        assert line.ask(Improv.WIFI, network) == []
        assert network in board.kept
        _bring(line, identity)
        assert identity in board.kept
        answer = line.ask(Improv.LINK, seconds=10)
        while answer[0] != str(WHO):  # it restarts
            answer = line.ask(Improv.LINK, seconds=10)
        assert answer[1] == "no_platform"
        assert line.ask(Improv.INFO)[3] == str(WHO)


def test_a_network_that_is_not_there_is_said_so_and_not_kept(board: Box) -> None:
    network = wifi_settings(NETWORK, "wrong password")
    with board.line() as line, pytest.raises(LineError, match="cannot join"):
        line.ask(Improv.WIFI, network, seconds=30)
    assert network not in board.kept


def test_an_identity_that_is_broken_is_refused_and_the_one_before_stays(board: Box) -> None:
    good = BY_PASSWORD.encode()
    broken = good[:-1] + bytes([good[-1] ^ 1])
    with board.line() as line:
        _bring(line, good)
        with pytest.raises(LineError, match="refuses identity_end: invalid"):
            _bring(line, broken)
    assert good in board.kept


def test_a_scan_shows_the_network(board: Box) -> None:
    with board.line() as line:
        assert line.ask(Improv.SCAN) == [NETWORK, "-50", "YES"]


def test_a_line_on_which_nobody_answers_is_given_up() -> None:
    controller, end = pty.openpty()
    try:
        os.set_blocking(controller, False)
        tty.setraw(end)
        with pytest.raises(LineError, match="does not answer"):
            DeviceLine(controller).ask(Improv.STATE, seconds=0.3)
    finally:
        os.close(controller)
        os.close(end)


def test_a_line_is_opened_raw_and_carries_every_byte() -> None:
    controller, end = pty.openpty()
    result = bytes([Improv.INFO, 5, 4]) + b"\r\n\x03\x11"  # what a terminal would eat
    packet = b"IMPROV\x01\x04" + bytes([len(result)]) + result
    said: list[bytes] = []

    def answer() -> None:
        said.append(os.read(controller, 100))
        os.write(controller, packet + bytes([sum(packet) & 0xFF]))

    try:
        with opened_line(Path(os.ttyname(end))) as device:
            board = threading.Thread(target=answer)
            board.start()
            assert device.ask(Improv.INFO) == ["\r\n\x03\x11"]
            board.join(10)
        assert said == [command(Improv.INFO)]
    finally:
        os.close(controller)
        os.close(end)


def test_what_is_no_serial_line_is_said_so(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    for path in (file, tmp_path / "nothing"):
        with pytest.raises(ConfigurationError), opened_line(path):
            pass


def test_packets_are_found_between_lines_of_a_log() -> None:
    reader = Reader()
    packet = b"IMPROV\x01\x01\x01\x04\xe4"
    noise = b"boot: 0x10\nIMPROV\x01\x01\x01\x04\x00 IMPRO"
    data = noise + packet + b"\n" + packet
    found = [it for byte in data for it in reader.feed(bytes([byte]))]
    assert found == [Packet(1, b"\x04"), Packet(1, b"\x04")]


def test_the_example_of_improvs_page_is_spelled_as_it_says() -> None:
    said = command(Improv.WIFI, wifi_settings("MyWirelessAP", "mysecurepassword"))
    assert said[9:12] == bytes([0x01, 0x1E, 0x0C])
    assert said[12:24] == b"MyWirelessAP"
    assert said[24] == 0x10
    assert said[-1] == sum(said[:-1]) & 0xFF


@pytest.mark.parametrize(
    "wrong",
    [
        replace(BY_PASSWORD, host="broker/path"),
        replace(BY_PASSWORD, host=""),
        replace(BY_PASSWORD, port=0),
        replace(BY_PASSWORD, credential=Credential()),
        replace(BY_PASSWORD, credential=Credential(password="a\nb")),
        replace(BY_PASSWORD, update_keys=(bytes(31),)),
        replace(certified(), ca=""),
        replace(certified(), credential=Credential(certificate="x", key="y", password="z")),
    ],
    ids=range(8),
)
def test_an_identity_that_a_device_would_refuse_is_not_written(wrong: DeviceIdentity) -> None:
    with pytest.raises(NoctisError):
        wrong.encode()


def test_the_bytes_of_an_identity_are_as_specified() -> None:
    expected = (
        b"NI\x01"
        b"\x01\x04\x00home"
        b"\x02\x05\x00bed-1"
        b"\x03\x09\x00127.0.0.1"
        b"\x04\x02\x00\x01\x00"
        b"\x05\x0a\x00a password"
    )
    assert BY_PASSWORD.encode() == expected + zlib.crc32(expected).to_bytes(4, "little")


def test_a_secret_is_in_no_representation() -> None:
    assert "a password" not in repr(BY_PASSWORD)
    assert "PRIVATE" not in repr(certified())


@pytest.mark.parametrize(("name", "password"), [("", ""), ("n" * 33, ""), ("Home", "short")])
def test_a_network_that_wifi_does_not_have_is_refused(name: str, password: str) -> None:
    with pytest.raises(IdentityError):
        wifi_settings(name, password)
