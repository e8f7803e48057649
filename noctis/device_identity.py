"""What a claim brings a device: who it is, where its platform is, how it proves itself.

``docs/provisioning.md`` specifies the bytes; a device reads them with ``identity.hpp``.
"""

import re
import struct
import zlib
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from noctis.errors import CertificateError, IdentityError
from noctis.identity import DeviceId

__all__ = ["Credential", "DeviceIdentity", "wifi_settings"]

LONGEST: Final = 3072
LONGEST_HOST: Final = 64
_HOST: Final = re.compile(r"[A-Za-z0-9.:-]{1,64}")
_PASSWORD: Final = re.compile(r"[ -~]{1,64}")
_UPDATE_KEY_BYTES: Final = 32
_WIFI_NAME: Final = range(1, 33)
_WIFI_PASSWORD: Final = range(8, 65)


@dataclass(frozen=True, slots=True, repr=False)
class Credential:
    """How the device proves its name: a password, or a key and its certificate (PEM)."""

    password: str = ""
    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class DeviceIdentity:
    """An identity; ``ca`` is PEM, empty without TLS; ``update_keys`` are Ed25519's 32 bytes."""

    device: DeviceId
    host: str
    port: int
    credential: Credential
    ca: str = ""
    update_keys: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """Return the bytes; raise IdentityError for what a device would refuse."""
        self._check()
        who = self.credential
        fields = (
            self.device.tenant.encode(),
            self.device.device.encode(),
            self.host.encode(),
            struct.pack("<H", self.port),
            who.password.encode(),
            _certificate(self.ca),
            _certificate(who.certificate),
            _private_key(who.key),
            b"".join(self.update_keys),
        )
        body = b"NI\x01" + b"".join(
            struct.pack("<BH", tag, len(field)) + field
            for tag, field in enumerate(fields, start=1)
            if field
        )
        whole = body + struct.pack("<I", zlib.crc32(body))
        if len(whole) > LONGEST:
            message = f"the identity has {len(whole)} bytes, a device takes {LONGEST}"
            raise IdentityError(message, hint="use a CA and certificates with ECDSA keys")
        return whole

    def _check(self) -> None:
        who = self.credential
        if not _HOST.fullmatch(self.host):
            message = f"{self.host!r} is no host name or address that a device can use"
            raise IdentityError(message, hint="name the broker as the device reaches it")
        if not 0 < self.port < 1 << 16:
            message = f"there is no port {self.port}"
            raise IdentityError(message, hint="8883 is usual with TLS")
        certified = bool(who.certificate and who.key and self.ca) and not who.password
        if not certified and (who.certificate or who.key or not who.password):
            message = "a device proves its name by a password, or by a key with a certificate"
            raise IdentityError(
                message, hint="give one of the two; a certificate takes the CA's"
            )
        if who.password and not _PASSWORD.fullmatch(who.password):
            message = "a device's password has 1 to 64 printable characters of ASCII"
            raise IdentityError(message, hint="let the platform make one")
        if any(len(key) != _UPDATE_KEY_BYTES for key in self.update_keys):
            message = "a key that signs firmware has 32 bytes"
            raise IdentityError(message, hint="name the file of an Ed25519 public key in hex")


def wifi_settings(name: str, password: str) -> bytes:
    """Return a network as Improv brings it; raise IdentityError where Wi-Fi has none such."""
    ssid, secret = name.encode(), password.encode()
    if len(ssid) not in _WIFI_NAME:
        message = f"a Wi-Fi network's name has 1 to 32 bytes; {name!r} has {len(ssid)}"
        raise IdentityError(message, hint="spell it as your router does")
    if secret and len(secret) not in _WIFI_PASSWORD:
        message = "a Wi-Fi password has 8 to 63 characters"
        raise IdentityError(message, hint="leave it empty for an open network")
    return bytes([len(ssid)]) + ssid + bytes([len(secret)]) + secret


def _certificate(pem: str) -> bytes:
    if not pem:
        return b""
    try:
        return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    except ValueError as error:
        message = "this is no certificate in PEM"
        raise CertificateError(message) from error


def _private_key(pem: str) -> bytes:
    if not pem:
        return b""
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError) as error:
        message = "this is no private key in PEM"
        raise CertificateError(message) from error
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
