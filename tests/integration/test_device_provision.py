"""``noctis device provision``: a device of the platform, in an image for its flash."""

import base64
import json
import re
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key
from typer.testing import CliRunner

from cli.device_provision import OFFSET
from cli.main import app
from noctis.certificates import Authority
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId
from noctis.storage import certificates, devices, tenants
from noctis.storage.engine import Engine, transaction
from tests.unit.test_nvs_image import blobs

pytestmark = pytest.mark.postgres
FIELDS = ("tenant", "device", "host", "port", "password", "ca", "certificate", "key", "keys")


def fields(identity: bytes) -> dict[str, bytes]:
    """Read an identity from docs/provisioning.md alone."""
    found = {}
    at = 3
    while at < len(identity) - 4:
        tag, size = identity[at], int.from_bytes(identity[at + 1 : at + 3], "little")
        found[FIELDS[tag - 1]] = identity[at + 3 : at + 3 + size]
        at += 3 + size
    return found


@pytest.fixture
def folder(tmp_path: Path, engine: Engine) -> Path:
    Authority.create().save(tmp_path / "ca")
    with transaction(engine) as connection:
        tenants.add(connection, "home")
    return tmp_path


def provision(
    folder: Path, url: str, *options: str, wifi_password: str = ""
) -> dict[str, object]:
    names = ["device", "provision", "home/bed", "--host", "192.168.1.10"]
    files = ["--out", str(folder / "bed.bin"), "--var", str(folder), "--json"]
    environment = {"NOCTIS_DATABASE_URL": url, "NOCTIS_WIFI_PASSWORD": wifi_password}
    done = CliRunner().invoke(app, [*names, *files, *options], env=environment)
    assert done.exit_code == 0, done.output
    told: dict[str, object] = json.loads(done.stdout)
    return told


def test_a_new_device_gets_a_key_and_a_certificate_in_an_image_for_its_flash(
    folder: Path, engine: Engine, database_url: str
) -> None:
    told = provision(folder, database_url, "--wifi", "Home", wifi_password="a password")
    assert told["offset"] == OFFSET
    assert f"{OFFSET:#x} {folder / 'bed.bin'}" in str(told["command"])
    image = folder / "bed.bin"
    assert stat.S_IMODE(image.stat().st_mode) == 0o600
    values = blobs(image.read_bytes())
    assert values["noctis", "wifi"] == b"\x04Home\x0aa password"
    brought = fields(values["noctis", "identity"])
    certificate = x509.load_der_x509_certificate(brought["certificate"])
    assert certificate.subject.rfc4514_string() == "CN=home/bed"
    authority = x509.load_der_x509_certificate(brought["ca"])
    certificate.verify_directly_issued_by(authority)
    key = load_der_private_key(brought["key"], None)
    assert key.public_key() == certificate.public_key()
    with transaction(engine) as connection:
        devices.get("home", connection, "bed")
        (known,) = certificates.list_of("home", connection, "bed")
    assert int(known.serial, 16) == certificate.serial_number
    secret = brought["key"]
    pem = certificate.public_bytes(Encoding.PEM)
    for file in folder.rglob("*"):
        if file.is_file() and file != image:
            assert secret not in file.read_bytes()
            assert pem not in file.read_bytes()


def test_a_device_without_a_certificate_gets_a_password_and_the_ca(
    folder: Path, engine: Engine, database_url: str
) -> None:
    provision(folder, database_url, "--password")
    brought = fields(blobs((folder / "bed.bin").read_bytes())["noctis", "identity"])
    assert set(brought) == {"tenant", "device", "host", "port", "password", "ca"}
    assert brought["port"] == (8883).to_bytes(2, "little")
    with transaction(engine) as connection:
        assert certificates.list_of("home", connection, "bed") == []


def test_a_claim_is_printed_for_the_devices_own_page_in_one_line(
    folder: Path, database_url: str
) -> None:
    names = ["device", "provision", "home/bed", "--host", "192.168.1.10", "--portal"]
    environment = {"NOCTIS_DATABASE_URL": database_url}
    done = CliRunner().invoke(app, [*names, "--var", str(folder)], env=environment)
    assert done.exit_code == 0, done.output
    (text,) = done.stdout.splitlines()
    assert re.fullmatch("[A-Za-z0-9_-]+", text)
    brought = fields(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert brought["device"] == b"bed"
    certificate = x509.load_der_x509_certificate(brought["certificate"])
    assert certificate.subject.rfc4514_string() == "CN=home/bed"


@pytest.mark.parametrize("options", [[], ["--portal", "--out", "bed.bin"]])
def test_it_is_said_what_to_make_and_only_one(
    folder: Path, database_url: str, options: list[str]
) -> None:
    names = ["device", "provision", "home/bed", "--host", "192.168.1.10", *options]
    environment = {"NOCTIS_DATABASE_URL": database_url}
    done = CliRunner().invoke(app, [*names, "--var", str(folder)], env=environment)
    assert isinstance(done.exception, ConfigurationError)
    assert done.exception.hint == "name --out FILE, or --portal"
    assert not (folder / "bed.bin").exists()


def test_where_the_platform_listens_outside_is_known_without_being_named(
    folder: Path, database_url: str
) -> None:
    outside = {"host": "10.0.0.7", "port": 8883, "device_port": 8884}
    run = {"database_url": database_url, "outside": outside}
    (folder / "run.json").write_text(json.dumps(run))
    names = ["device", "provision", "home/bed", "--out", str(folder / "bed.bin")]
    done = CliRunner().invoke(app, [*names, "--var", str(folder), "--json"])
    assert done.exit_code == 0, done.output
    brought = fields(blobs((folder / "bed.bin").read_bytes())["noctis", "identity"])
    assert brought["host"] == b"10.0.0.7"
    assert brought["port"] == (8884).to_bytes(2, "little")


def test_a_device_of_a_platform_without_a_ca_gets_a_password_alone(
    folder: Path, database_url: str
) -> None:
    (folder / "ca" / "ca.key").unlink()
    provision(folder, database_url, "--password", "--port", "1883")
    brought = fields(blobs((folder / "bed.bin").read_bytes())["noctis", "identity"])
    assert set(brought) == {"tenant", "device", "host", "port", "password"}
    assert brought["port"] == (1883).to_bytes(2, "little")


def test_a_device_that_is_provisioned_again_stays_the_same_device(
    folder: Path, engine: Engine, database_url: str
) -> None:
    provision(folder, database_url)
    provision(folder, database_url)
    with transaction(engine) as connection:
        assert [it.name for it in devices.list_of("home", connection)] == ["bed"]
        assert len(certificates.list_of("home", connection, "bed")) == 2


def test_what_a_device_would_refuse_makes_no_image_and_no_device(
    folder: Path, engine: Engine, database_url: str
) -> None:
    names = ["device", "provision", "home/bed", "--host", "a broker"]
    files = ["--out", str(folder / "bed.bin"), "--var", str(folder)]
    done = CliRunner().invoke(app, [*names, *files], env={"NOCTIS_DATABASE_URL": database_url})
    assert done.exit_code != 0
    assert not (folder / "bed.bin").exists()
    with transaction(engine) as connection:
        assert devices.list_of("home", connection) == []


def test_an_id_is_what_the_firmware_reads(folder: Path, database_url: str) -> None:
    provision(folder, database_url)
    brought = fields(blobs((folder / "bed.bin").read_bytes())["noctis", "identity"])
    assert DeviceId(brought["tenant"].decode(), brought["device"].decode()) == DeviceId(
        "home", "bed"
    )
