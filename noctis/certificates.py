"""X.509 certificates of servers and devices, and the development CA that issues them.

A device's certificate names it, ``CN=<tenant>/<device>``: the broker takes that for its user.
Everything is PEM text. Keys are ECDSA P-256 in PKCS #8, which OpenSSL, mbedTLS and the ESP32
read alike. Profiles follow RFC 5280: extended key usage keeps a device's certificate from
passing for a server's.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from noctis.errors import CertificateError
from noctis.identity import DeviceId
from noctis.private_files import write_private

__all__ = [
    "Authority",
    "Certificate",
    "PublicKey",
    "make_key",
    "make_request",
    "read_certificate",
]

CA_DAYS: Final = 3652
DEVICE_DAYS: Final = 397
SERVER_DAYS: Final = 397
BACKDATED: Final = timedelta(days=1)
"""Certificates begin that much before they are made: clocks differ."""

LONGEST_NAME: Final = 64

CERTIFICATE_FILE: Final = "ca.crt"
KEY_FILE: Final = "ca.key"

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate: its PEM text and what is remembered of it.

    ``serial`` and ``fingerprint`` (SHA-256 of the whole) are lower-case hexadecimal; ``name``
    is the common name.
    """

    pem: str
    name: str
    serial: str
    fingerprint: str
    not_before: datetime
    not_after: datetime


class Authority:
    """A CA: its own certificate, and the key that signs others."""

    def __init__(self, certificate: str, key: str) -> None:
        """Take both as PEM; raise CertificateError where they are no CA's or do not match."""
        self._certificate = _load_certificate(certificate)
        self._key = _load_private_key(key)
        if self._certificate.public_key() != self._key.public_key():
            message = "the CA's key is not the one of its certificate"
            raise CertificateError(message, hint="use the files of one `noctis ca init`")
        self.certificate = _described(self._certificate)

    @classmethod
    def create(cls, name: str = "Noctis development CA", *, days: int = CA_DAYS) -> Self:
        """Make a CA with a new key; it may sign certificates, and no further CA."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = _name(name)
        builder = _builder(issuer, issuer, key.public_key(), days)
        usage = _key_usage(key_cert_sign=True, crl_sign=True)
        signed = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(_described(signed).pem, _key_pem(key))

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Tell whether a folder holds a CA with its key."""
        return (folder / KEY_FILE).exists()

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the CA of a folder; raise CertificateError where there is none."""
        try:
            certificate = (folder / CERTIFICATE_FILE).read_text("ascii")
            key = (folder / KEY_FILE).read_text("ascii")
        except (OSError, ValueError) as error:
            message = f"there is no CA in {folder}: {error}"
            raise CertificateError(message, hint="make one with: noctis ca init") from error
        return cls(certificate, key)

    def save(self, folder: Path) -> None:
        """Write the CA into a folder, which is made if need be; its key last, mode 0600.

        Raise CertificateError where there is a CA already: its devices would be locked out.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.is_in(folder):
            message = f"there is a CA in {folder} already"
            raise CertificateError(message, hint="name another folder, or keep that one")
        write_private(folder / CERTIFICATE_FILE, self.certificate.pem)
        (folder / CERTIFICATE_FILE).chmod(0o644)
        write_private(folder / KEY_FILE, self.key_pem)

    @property
    def key_pem(self) -> str:
        """The private key, PKCS #8; for the CA's own file alone."""
        return _key_pem(self._key)

    def issue_device(
        self, device: DeviceId, public_key: PublicKey, *, days: float = DEVICE_DAYS
    ) -> Certificate:
        """Certify a device's key; it lets the device, and no server, prove its name."""
        usage = ExtendedKeyUsageOID.CLIENT_AUTH
        return self._issue(_name(str(device)), public_key, days, usage, ())

    def issue_server(
        self, hosts: Sequence[str], public_key: PublicKey, *, days: int = SERVER_DAYS
    ) -> Certificate:
        """Certify a server's key for host names and IP addresses, the first one its name."""
        if not hosts:
            message = "a server's certificate names no host"
            raise CertificateError(message, hint="name an address or a host name")
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        names = [_host(host) for host in hosts]
        return self._issue(_name(hosts[0][:LONGEST_NAME]), public_key, days, usage, names)

    def revocation_list(
        self, revoked: Iterable[tuple[str, datetime]], *, now: datetime | None = None
    ) -> str:
        """Return the signed list of revoked ``(serial, since)``, PEM.

        It is good for as long as the CA is: one that ran out would lock every device out, and
        the broker gets each new list at once. OpenSSL prefers the newer of two by the second.
        """
        issued = (now or datetime.now(UTC)).replace(microsecond=0)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(issued)
            .next_update(self._certificate.not_valid_after_utc)
            .add_extension(x509.CRLNumber(int(issued.timestamp())), critical=False)
            .add_extension(self._identifier(), critical=False)
        )
        for serial, since in revoked:
            entry = x509.RevokedCertificateBuilder(int(serial, 16), since.astimezone(UTC))
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    def _issue(
        self,
        subject: x509.Name,
        public_key: PublicKey,
        days: float,
        usage: x509.ObjectIdentifier,
        names: Sequence[x509.GeneralName],
    ) -> Certificate:
        builder = _builder(subject, self._certificate.subject, public_key, days)
        builder = (
            builder.add_extension(
                x509.BasicConstraints(ca=False, path_length=None), critical=True
            )
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(self._identifier(), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return _described(builder.sign(self._key, hashes.SHA256()))

    def _identifier(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())


def make_key() -> tuple[str, ec.EllipticCurvePublicKey]:
    """Make a P-256 key; return it as PKCS #8 PEM, and its public half."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _key_pem(key), key.public_key()


def make_request(device: DeviceId, key_pem: str) -> str:
    """Return a certificate request (PKCS #10, PEM) of a device, signed by its key."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(str(device)))
    request = builder.sign(_load_private_key(key_pem), hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode()


def read_certificate(pem: str) -> Certificate:
    """Return the first certificate of a PEM text; raise CertificateError for none."""
    return _described(_load_certificate(pem))


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: PublicKey, days: float
) -> x509.CertificateBuilder:
    now = datetime.now(UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    if not 0 < len(common) <= LONGEST_NAME:
        message = f"a certificate cannot bear the name {common!r}"
        hint = (
            f"a certificate's name has at most {LONGEST_NAME} letters; this has {len(common)}"
        )
        raise CertificateError(message, hint=hint)
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _load_certificate(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        message = "this is no certificate in PEM"
        raise CertificateError(message) from error


def _load_private_key(pem: str) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        message = "this is no private key in PEM"
        raise CertificateError(message) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        message = "the private key is not an ECDSA one"
        raise CertificateError(message, hint="make one with: noctis ca")
    return key


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode()


def _described(certificate: x509.Certificate) -> Certificate:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Certificate(
        pem=certificate.public_bytes(Encoding.PEM).decode(),
        name=str(names[0].value) if names else "",
        serial=f"{certificate.serial_number:x}",
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )
