"""Devices with certificates on a home network: in, refused, renewed and revoked, end to end."""

import shutil
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from noctis import firmware_keys
from noctis.certificates import Authority, Certificate, make_key
from noctis.childproc import free_port
from noctis.identity import DeviceId
from noctis.storage import certificates, commands, devices
from noctis.storage.engine import create, transaction
from tests import images
from tests.acceptance.test_up import platform
from tests.home import HOME, WITHIN_S, Home, device, other_server
from tests.integration.broker_fixtures import eventually
from tests.listening import family, listening

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(400)]
SECONDS: Final = 1 / 86400

BOARDS = ("foreign", "expired", "misnamed", "attic")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("home")
    var, port = folder / "var", free_port(HOME)
    with platform(var, "--no-device", "--listen", HOME, "--listen-port", str(port)) as run:
        engine = create(run["database_url"], application="noctis-test")
        made = Home(folder, var, run, engine)
        for name in ("first", "second", "third", "fourth", "fifth", "sixth", *BOARDS):
            made.ask("device", "add", f"home/{name}")
        yield made
        engine.dispose()
    for left in run["processes"].values():
        assert not Path(f"/proc/{left}").exists()


def played_out(home: Home, name: str, files: Path, hours: str) -> None:
    """Have a device play a night and leave when all of it is acknowledged."""
    arguments = ("--hours", hours, "--speed", "max", "--once")
    with device(home, name, files, *arguments) as (process, said):
        assert process.wait(WITHIN_S) == 0, said.read_text()


def test_a_certified_device_delivers_its_night_to_the_database(home: Home) -> None:
    serial, files = home.certify("first")
    assert (files / "first.key").stat().st_mode & 0o777 == 0o600
    played_out(home, "first", files, "0.5")
    assert not home.wrong("first")
    assert home.good("first") == [serial]


def test_a_renewed_device_goes_on_with_nothing_lost_and_its_old_certificate_ends(
    home: Home,
) -> None:
    old, files = home.certify("second")
    kept = shutil.copytree(files, home.folder / "kept")
    played_out(home, "second", files, "0.25")
    new, files = home.certify("second")
    assert home.good("second") == [old, new]
    with device(home, "second", files, "--hours", "0.5", "--speed", "600") as (_, said):
        assert eventually(lambda: home.good("second") == [new], within_s=WITHIN_S), (
            said.read_text()
        )
    assert not home.wrong("second") or not {"altered", "stored twice"} & set(
        home.wrong("second")
    )
    played_out(home, "second", files, "0.5")
    assert not home.wrong("second")
    with device(home, "second", kept) as (_, said):
        assert eventually(lambda: "certificate revoked" in said.read_text(), within_s=WITHIN_S)


def test_a_revoked_device_is_cut_off_at_once_and_told_why(home: Home) -> None:
    _, files = home.certify("third")
    with device(home, "third", files, "--hours", "8") as (_, said):
        assert eventually(lambda: bool(certified_use(home, "third")), within_s=WITHIN_S), (
            said.read_text()
        )
        home.ask("ca", "revoke", "home/third")
        assert eventually(
            lambda: "refuses the connection: certificate revoked" in said.read_text(),
            within_s=WITHIN_S,
        ), said.read_text()
        assert "the connection to the broker is lost" in said.read_text()


def test_a_device_follows_what_it_is_told_over_tls_and_does_each_order_once(home: Home) -> None:
    serial, files = home.certify("fifth")
    with device(home, "fifth", files, "--hours", "8", "--speed", "60") as (_, said):
        followed = home.ask(
            *("device", "config", "home/fifth", "led=false", "report_s=30", "--wait", "40")
        )
        assert followed["in_force"]
        assert "its light stays off" in said.read_text()
        shown = home.ask("device", "identify", "home/fifth", "--seconds", "7")
        assert shown["state"] == "done"
        assert home.ask("device", "reboot", "home/fifth")["state"] == "done"
        assert said.read_text().count("shows itself for 7 s") == 1
        assert said.read_text().count("restarts") == 1
        assert eventually(lambda: told_after(home, "fifth", "software"), within_s=WITHIN_S)
        status = home.status("fifth")
        assert status is not None
        assert status.certificate == serial
        sent_again = ("--stream", status.stream, "--to", "3", "--wait", "40")
        home.ask("device", "resend", "home/fifth", *sent_again)
        assert not {"altered", "stored twice"} & set(home.wrong("fifth"))
        order_erase(home, "fifth", status.stream)
        assert eventually(
            lambda: (it := home.status("fifth")) is not None and it.stream != status.stream,
            within_s=WITHIN_S,
        ), said.read_text()


def order_erase(home: Home, name: str, stream: str) -> None:
    """Order what an erasure that keeps the device orders last, five minutes after its rows."""
    with transaction(home.engine) as connection:
        key = devices.get("home", connection, name).id
        commands.order_erase(connection, key, [int(stream, 16)])


def told_after(home: Home, name: str, reset: str) -> bool:
    """Tell whether a device has said, as a line and in its status, why it began anew."""
    status = home.status(name)
    is_told = any(f"after {reset}" in line for line in home.lines(name))
    return is_told and status is not None and status.reset == reset


def certified_use(home: Home, name: str) -> list[str]:
    with transaction(home.engine) as connection:
        known = certificates.list_of("home", connection, name)
    return [it.serial for it in known if it.used_at is not None]


def written(folder: Path, ca: Authority, issued: Certificate, key: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "ca.crt").write_text(ca.certificate.pem)
    (folder / "fourth.crt").write_text(issued.pem)
    (folder / "fourth.key").write_text(key)
    return folder


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("expired", "certificate expired"),
        ("foreign", "unknown CA"),
        ("tampered", "decrypt error"),
    ],
)
def test_a_bad_certificate_is_refused_with_the_reason(
    home: Home, kind: str, reason: str
) -> None:
    authority = Authority.load(home.var / "ca")
    signer = Authority.create() if kind == "foreign" else authority
    key, public_key = make_key()
    days = 0 if kind == "expired" else 30
    issued = signer.issue_device(DeviceId("home", "fourth"), public_key, days=days)
    files = written(home.folder / "bad" / kind, authority, issued, key)
    if kind == "tampered":
        der = x509.load_pem_x509_certificate(issued.pem.encode()).public_bytes(Encoding.DER)
        changed = x509.load_der_x509_certificate(der.replace(b"home/fourth", b"home/first1"))
        (files / "fourth.crt").write_bytes(changed.public_bytes(Encoding.PEM))
    with device(home, "fourth", files) as (_, said):
        assert eventually(
            lambda: f"refuses the connection: {reason}" in said.read_text(), within_s=WITHIN_S
        ), said.read_text()


def test_a_certificate_that_ends_ends_its_session_and_is_refused_then(home: Home) -> None:
    authority = Authority.load(home.var / "ca")
    key, public_key = make_key()
    issued = authority.issue_device(DeviceId("home", "fourth"), public_key, days=12 * SECONDS)
    with transaction(home.engine) as connection:
        certificates.record("home", connection, issued)
    files = written(home.folder / "bad" / "ending", authority, issued, key)
    with device(home, "fourth", files, "--hours", "8") as (_, said):
        assert eventually(lambda: bool(certified_use(home, "fourth")), within_s=10.0), (
            said.read_text()
        )
        assert eventually(
            lambda: "refuses the connection: certificate expired" in said.read_text(),
            within_s=WITHIN_S,
        ), said.read_text()
        assert "the connection to the broker is lost" in said.read_text()
        _, renewed = home.certify("fourth")
        for kind in ("key", "crt"):
            shutil.copy(renewed / f"fourth.{kind}", files)
        assert eventually(
            lambda: any("certificate expired" in line for line in home.lines("fourth")),
            within_s=WITHIN_S,
        ), said.read_text()


def served(home: Home, port: str) -> str:
    """Return the serial of the certificate that a port of the home network shows."""
    trusting = ssl.create_default_context(cafile=home.outside["ca"])
    with (
        socket.create_connection((HOME, home.ports[port]), 5) as raw,
        trusting.wrap_socket(raw, server_hostname=HOME) as link,
    ):
        der = link.getpeercert(binary_form=True)
    assert der is not None
    return f"{x509.load_der_x509_certificate(der).serial_number:x}"


def test_a_certificate_of_the_platform_that_is_about_to_end_is_renewed_while_it_runs(
    home: Home,
) -> None:
    _, files = home.certify("sixth")  # its only one: to end an older one ends its session too
    before = served(home, "apps"), served(home, "images")
    assert before[0] == before[1]
    with device(home, "sixth", files, "--hours", "8") as (_, said):
        assert eventually(lambda: "undelivered" in said.read_text(), within_s=WITHIN_S)
        key, public_key = make_key()
        ending = Authority.load(home.var / "ca").issue_server([HOME], public_key, days=5)
        (home.var / "outside" / "server.key").write_text(key)
        (home.var / "outside" / "server.crt").write_text(ending.pem)

        def renewed() -> bool:
            now = served(home, "apps"), served(home, "images")
            return now[0] == now[1] and now[0] not in {before[0], ending.serial}

        assert eventually(renewed, within_s=WITHIN_S)
        assert "is lost" not in said.read_text()
    errors = home.var.with_suffix(".errors").read_text()
    assert errors.count("was about to end: a new one") == 1


@pytest.fixture(scope="module")
def image(home: Home) -> str:
    """An image of the platform's, by its hash; and the key that boards are to trust."""
    made = firmware_keys.make(home.var / "firmware-keys")
    (home.folder / "keys").write_text(f"{made.public}\n")
    sha256 = str(home.ask("firmware", "add", str(images.sound(home.folder, 7)))["sha256"])
    home.ask("firmware", "sign", sha256)
    return sha256


@contextmanager
def board(home: Home, name: str) -> Iterator[Path]:
    """Run a board that may be updated; yield the file of what it says.

    Its clock runs fast, and lines that come faster than a device's may are passed over: so a
    board of each test's own.
    """
    _, files = home.certify(name)
    pace = ("--speed", "60", "--hours", "40", "--trial", "60")
    keys = ("--update-keys", str(home.folder / "keys"))
    slots = home.folder / f"slots-{name}"
    with device(home, name, files, *pace, *keys, slots=slots) as (_, said):
        yield said


def far(home: Home, number: str) -> tuple[str, str | None]:
    each = home.ask("firmware", "rollouts", number)["each"][0]
    return each["state"], each["reason"]


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("foreign", "unable to get local issuer certificate"),
        ("expired", "certificate has expired"),
        ("misnamed", "no alternative certificate subject name"),
    ],
)
def test_a_server_of_images_that_is_not_the_platforms_is_refused_with_the_reason(
    home: Home, image: str, kind: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Authority.load(home.var / "ca")
    signer = Authority.create() if kind == "foreign" else own
    host = "elsewhere.example" if kind == "misnamed" else "127.0.0.1"
    key, public_key = make_key()
    certificate = signer.issue_server([host], public_key, days=0 if kind == "expired" else 1)
    with (
        other_server(certificate, key, home.folder / "servers" / kind) as url,
        board(home, kind) as said,
    ):
        monkeypatch.setenv("NOCTIS_FIRMWARE_URL", url)
        begun = home.ask("firmware", "rollout", image, "--devices", f"home/{kind}")
        number = str(begun["number"])
        refused = ("downloading", "untrusted_server")
        assert eventually(lambda: far(home, number) == refused, within_s=WITHIN_S), (
            far(home, number),
            home.lines(kind),
            said.read_text(),
        )
        assert eventually(
            lambda: any("untrusted_server" in it and why in it for it in home.lines(kind)),
            within_s=WITHIN_S,
        ), home.lines(kind)
        assert "the connection to the broker is lost" not in said.read_text()
        home.ask("firmware", "abort", number)


def test_a_board_at_home_fetches_its_firmware_over_tls(home: Home, image: str) -> None:
    with board(home, "attic") as said:
        begun = home.ask("firmware", "rollout", image, "--devices", "home/attic")
        number = str(begun["number"])
        assert eventually(lambda: far(home, number)[0] == "valid", within_s=WITHIN_S), (
            said.read_text()
        )
        assert eventually(
            lambda: "update: build 7 stands" in home.lines("attic"), within_s=WITHIN_S
        ), home.lines("attic")


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="Linux tells who listens")
def test_nothing_leaves_loopback_but_tls(home: Home) -> None:
    found = listening(family(home.run["processes"]))
    ports = set(home.ports.values())
    assert {port for address, port in found if address == HOME} == ports
    assert {address for address, _ in found} == {"127.0.0.1", HOME}
    trusting = ssl.create_default_context(cafile=home.outside["ca"])
    with (
        socket.create_connection((HOME, home.outside["port"]), 5) as raw,
        trusting.wrap_socket(raw, server_hostname=HOME) as link,
    ):
        assert link.version() in {"TLSv1.2", "TLSv1.3"}
    for port in ports - {home.ports["images"]}:
        with socket.create_connection((HOME, port), 5) as raw:
            raw.settimeout(5)
            raw.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00")
            try:
                answer = raw.recv(4)
            except ConnectionResetError:
                answer = b""
            assert answer[:1] != b"\x20", "it speaks MQTT in the clear"
