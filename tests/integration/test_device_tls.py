"""The virtual device behind TLS: it gets in, or says on stderr why not."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cli.service import device_program
from noctis.certificates import Authority
from noctis.status import decode_status
from tests.integration.broker_fixtures import Client, eventually, password_of
from tests.integration.tls_fixtures import House, house

pytestmark = pytest.mark.broker
__all__ = ["house"]

WITHIN_S = 15.0


@contextmanager
def device(
    house: House, folder: Path, *more: str, port: int = 0, host: str = "127.0.0.1"
) -> Iterator[Path]:
    """Run a device; yield the file of what it says."""
    said = folder / "said"
    files = ["--nor", folder / "nor", "--log", folder / "log"]
    names = ["--tenant", "t1", "--device", "d1", "--hours", "1"]
    broker = ["--host", host, "--port", str(port or house.device_port)]
    with said.open("w") as output:
        process = subprocess.Popen(
            [device_program(), *names, *files, *broker, *more],
            stderr=output,
            stdout=output,
            env={"NOCTIS_DEVICE_PASSWORD": password_of("t1/d1")},
        )
    try:
        yield said
    finally:
        process.terminate()
        process.wait(10)


def own(house: House, identity: Path) -> list[str]:
    return [*trusting(house), "--tls-certificate", str(identity), "--tls-key", str(identity)]


def trusting(house: House) -> list[str]:
    file = house.folder / "trusted.crt"
    file.write_text(house.authority.certificate.pem)
    return ["--tls-ca", str(file)]


@pytest.fixture
def ear(house: House) -> Iterator[Client]:
    with Client(house.server.port, "svc-companion-0") as client:
        client.subscribe("noctis/v1/up/+/+/+/status")
        while client.topics():
            pass
        yield client


def next_online(ear: Client) -> str:
    """Return the serial that a device tells once it is connected."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        status = decode_status(ear.next(WITHIN_S).payload)
        if status.state == "online":
            return status.certificate
    pytest.fail("no device came")


def test_a_device_proves_who_it_is_by_its_certificate_and_tells_which_it_used(
    house: House, ear: Client, tmp_path: Path
) -> None:
    issued, file = house.certified("t1/d1")
    with device(house, tmp_path, *own(house, file)):
        assert next_online(ear) == issued.serial


def test_a_device_with_a_password_speaks_tls_too(
    house: House, ear: Client, tmp_path: Path
) -> None:
    with device(house, tmp_path, *trusting(house), port=house.password_port):
        assert next_online(ear) == ""


def test_a_renewed_certificate_is_used_from_the_next_connection_on(
    house: House, ear: Client, tmp_path: Path
) -> None:
    (old, file), (new, renewed) = house.certified("t1/d1"), house.certified("t1/d1")
    with device(house, tmp_path, *own(house, file)):
        assert next_online(ear) == old.serial
        renewed.replace(file)
        house.revoked.append((old.serial, "t1/d1"))
        house.reload()
        assert next_online(ear) == new.serial


def altered(house: House) -> Path:
    """Return a certificate with another name in it than was signed, and its key."""
    _, file = house.certified("t1/d9")
    pem, dash, key = file.read_text().partition("-----BEGIN PRIVATE KEY")
    data = x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    changed = x509.load_der_x509_certificate(data.replace(b"t1/d9", b"t1/d1"))
    file.write_text(changed.public_bytes(Encoding.PEM).decode() + dash + key)
    return file


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("expired", "certificate expired"),
        ("foreign", "unknown CA"),
        ("revoked", "certificate revoked"),
        ("tampered", "decrypt error"),
        ("none", "handshake failure"),
    ],
)
def test_a_device_that_is_refused_says_why(
    house: House, tmp_path: Path, kind: str, reason: str
) -> None:
    if kind == "none":
        options = trusting(house)
    elif kind == "tampered":
        options = own(house, altered(house))
    else:
        by = Authority.create() if kind == "foreign" else None
        issued, file = house.certified("t1/d1", by=by, days=0 if kind == "expired" else 9)
        options = own(house, file)
        if kind == "revoked":
            house.revoked.append((issued.serial, "t1/d1"))
            house.reload()
    with device(house, tmp_path, *options) as said:
        wanted = f"the broker refuses the connection: {reason}"
        assert eventually(lambda: wanted in said.read_text(), within_s=WITHIN_S), (
            said.read_text()
        )


def test_a_device_trusts_no_server_but_the_one_that_its_ca_certified_for_this_host(
    house: House, tmp_path: Path
) -> None:
    _, file = house.certified("t1/d1")
    stranger = house.folder / "stranger.crt"
    stranger.write_text(Authority.create().certificate.pem)
    refused = "the broker's certificate is refused: "
    with device(house, tmp_path, *own(house, file), host="localhost") as said:
        wanted = refused + "hostname mismatch"
        assert eventually(lambda: wanted in said.read_text(), within_s=WITHIN_S)
    with device(house, tmp_path, "--tls-ca", str(stranger)) as said:
        assert eventually(lambda: refused in said.read_text(), within_s=WITHIN_S)


def test_files_that_do_not_go_together_are_told_and_nothing_is_sent(
    house: House, tmp_path: Path
) -> None:
    (_, one), (_, other) = house.certified("t1/d1"), house.certified("t1/d1")
    options = [*trusting(house), "--tls-certificate", str(one), "--tls-key", str(other)]
    with device(house, tmp_path, *options) as said:
        wanted = f"--tls-key {other} holds no key in PEM, or not that of {one}"
        assert eventually(lambda: wanted in said.read_text(), within_s=WITHIN_S)
