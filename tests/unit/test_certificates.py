"""Certificates: made by us, read and judged by OpenSSL."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from noctis.certificate_requests import read_request
from noctis.certificates import (
    Authority,
    Certificate,
    make_key,
    make_request,
    read_certificate,
)
from noctis.errors import CertificateError
from noctis.identity import DeviceId

BEDROOM = DeviceId("home", "bedroom")
CA = Authority.create()


def certified(device: DeviceId = BEDROOM, *, by: Authority = CA, days: int = 30) -> Certificate:
    return by.issue_device(device, make_key()[1], days=days)


def verified(folder: Path, certificate: str, *options: str, crl: str = "") -> str:
    """Return what OpenSSL says of a certificate."""
    for name, text in (("ca", CA.certificate.pem), ("it", certificate), ("crl", crl)):
        (folder / f"{name}.pem").write_text(text)
    arguments = ["openssl", "verify", "-x509_strict", "-CAfile", "ca.pem", *options, "it.pem"]
    said = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)
    return said.stdout + said.stderr


def test_openssl_takes_a_devices_certificate_for_a_client_and_for_no_server(
    tmp_path: Path,
) -> None:
    pem = certified().pem
    assert verified(tmp_path, pem, "-purpose", "sslclient") == "it.pem: OK\n"
    refused = verified(tmp_path, pem, "-purpose", "sslserver")
    assert "unsuitable certificate purpose" in refused or "unsupported" in refused
    assert read_certificate(pem).name == "home/bedroom"


def test_openssl_takes_a_servers_certificate_for_its_own_hosts_alone(tmp_path: Path) -> None:
    hosts = ["192.168.1.7", "noctis.local", "fd00::7"]
    pem = CA.issue_server(hosts, make_key()[1]).pem
    for option, name in zip(
        ("-verify_ip", "-verify_hostname", "-verify_ip"), hosts, strict=True
    ):
        right = verified(tmp_path, pem, "-purpose", "sslserver", option, name)
        assert right == "it.pem: OK\n"
    assert "mismatch" in verified(tmp_path, pem, "-verify_ip", "192.168.1.8")
    assert "mismatch" in verified(tmp_path, pem, "-verify_hostname", "other.local")
    assert "OK" not in verified(tmp_path, pem, "-purpose", "sslclient")


def test_openssl_refuses_a_certificate_that_is_revoked_and_only_that(tmp_path: Path) -> None:
    gone, kept = certified(), certified()
    crl = CA.revocation_list([(gone.serial, datetime.now(UTC))])
    options = ("-crl_check", "-CRLfile", "crl.pem")
    assert "certificate revoked" in verified(tmp_path, gone.pem, *options, crl=crl)
    assert verified(tmp_path, kept.pem, *options, crl=crl) == "it.pem: OK\n"
    far = str(int((datetime.now(UTC) + timedelta(days=29)).timestamp()))
    still = verified(tmp_path, kept.pem, *options, "-attime", far, crl=crl)
    assert still == "it.pem: OK\n", "a list that runs out would lock every device out"


def test_a_certificate_of_another_ca_or_changed_by_a_byte_is_refused(tmp_path: Path) -> None:
    foreign = Authority.create()
    assert "OK" not in verified(tmp_path, certified(by=foreign).pem)
    genuine = x509.load_pem_x509_certificate(certified().pem.encode())
    data = bytearray(genuine.public_bytes(Encoding.DER))
    data[data.index(b"home/bedroom")] ^= 1
    changed = x509.load_der_x509_certificate(bytes(data))
    said = verified(tmp_path, changed.public_bytes(Encoding.PEM).decode())
    assert "certificate signature failure" in said


def test_a_device_that_is_certified_signs_no_certificate_itself() -> None:
    key, _ = make_key()
    with_key = CA.issue_device(BEDROOM, read_request(make_request(BEDROOM, key), BEDROOM))
    extensions = x509.load_pem_x509_certificate(with_key.pem.encode()).extensions
    assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign is False
    assert len({certified().serial for _ in range(20)}) == 20


def request(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
    *names: tuple[x509.ObjectIdentifier, str],
) -> str:
    subject = x509.Name([x509.NameAttribute(*name) for name in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(Encoding.PEM).decode()


RIGHT = (NameOID.COMMON_NAME, "home/bedroom")


@pytest.mark.parametrize(
    "names",
    [
        [],
        [(NameOID.COMMON_NAME, "home/kitchen")],
        [(NameOID.COMMON_NAME, "svc-ingestor-0")],
        [RIGHT, (NameOID.COMMON_NAME, "home/kitchen")],
        [RIGHT, (NameOID.ORGANIZATION_NAME, "somebody")],
        [(NameOID.ORGANIZATION_NAME, "home/bedroom")],
    ],
)
def test_a_request_for_another_name_is_refused(
    names: list[tuple[x509.ObjectIdentifier, str]],
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(CertificateError, match="is for"):
        read_request(request(key, *names), BEDROOM)


def test_a_weak_key_is_refused_and_a_strong_one_of_either_kind_is_taken() -> None:
    for strong in (
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
    ):
        assert read_request(request(strong, RIGHT), BEDROOM) == strong.public_key()
    for weak in (
        rsa.generate_private_key(65537, 1024),  # noqa: S505 - what must be refused
        ec.generate_private_key(ec.SECP224R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ):
        with pytest.raises(CertificateError, match="weak"):
            read_request(request(weak, RIGHT), BEDROOM)


def test_a_request_is_taken_only_from_who_holds_its_key() -> None:
    own = x509.load_pem_x509_csr(make_request(BEDROOM, make_key()[0]).encode())
    data = bytearray(own.public_bytes(Encoding.DER))
    data[-1] ^= 1
    forged = x509.load_der_x509_csr(bytes(data)).public_bytes(Encoding.PEM).decode()
    with pytest.raises(CertificateError, match="not signed by the key"):
        read_request(forged, BEDROOM)


@pytest.mark.parametrize("text", ["", "x", CA.certificate.pem, "-----BEGIN ", "\x00é" * 9])
def test_what_is_no_request_is_refused(text: str) -> None:
    with pytest.raises(CertificateError, match="no certificate request"):
        read_request(text, BEDROOM)


def test_a_name_that_a_certificate_cannot_hold_is_refused_with_the_reason() -> None:
    long = DeviceId("t" * 32, "d" * 32)
    with pytest.raises(CertificateError, match="64") as caught:
        make_request(long, make_key()[0])
    assert "65" in caught.value.hint
    assert certified(DeviceId("t" * 32, "d" * 31)).name == "t" * 32 + "/" + "d" * 31


def test_a_ca_is_kept_for_its_owner_alone_and_never_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    CA.save(folder)
    assert (folder / "ca.key").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert Authority.load(folder).certificate == CA.certificate
    with pytest.raises(CertificateError, match="already"):
        Authority.create().save(folder)
    (folder / "ca.key").write_text(Authority.create().key_pem)
    with pytest.raises(CertificateError, match="not the one"):
        Authority.load(folder)
    with pytest.raises(CertificateError, match="no CA"):
        Authority.load(tmp_path / "nowhere")
