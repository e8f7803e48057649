"""The keys that sign firmware: a folder of Ed25519 keys, the newest of which signs."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from noctis.firmware import FirmwareError

__all__ = ["FirmwareKey", "load", "load_all", "make"]


@dataclass(frozen=True, slots=True)
class FirmwareKey:
    """A key that signs; ``id`` is the first 8 bytes of the public key's SHA-256, in hex."""

    private: Ed25519PrivateKey
    made_ns: int = 0

    @property
    def public(self) -> str:
        """The public key in hex, as devices are given it."""
        return self.private.public_key().public_bytes_raw().hex()

    @property
    def id(self) -> str:
        """The name by which an offer says whose signature it bears."""
        return hashlib.sha256(bytes.fromhex(self.public)).hexdigest()[:16]

    def sign(self, manifest: bytes) -> str:
        """Return the signature of exactly these bytes, in hex."""
        return self.private.sign(manifest).hex()


def make(folder: Path) -> FirmwareKey:
    """Make a key in a folder; nobody but its owner can read it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = FirmwareKey(Ed25519PrivateKey.generate())
    pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / f"{key.id}.pem"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return load(path)


def load(path: Path) -> FirmwareKey:
    """Return the key in a file; raise FirmwareError where there is none."""
    try:
        private = load_pem_private_key(path.read_bytes(), password=None)
        made_ns = path.stat().st_mtime_ns
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        message = f"cannot read a key from {path}: {error}"
        raise FirmwareError(message, hint="noctis firmware key new makes one") from error
    if not isinstance(private, Ed25519PrivateKey):
        message = f"{path} is no Ed25519 key"
        raise FirmwareError(message, hint="noctis firmware key new makes one")
    return FirmwareKey(private, made_ns)


def load_all(folder: Path) -> list[FirmwareKey]:
    """Return a folder's keys, the newest last."""
    return sorted((load(it) for it in folder.glob("*.pem")), key=lambda it: it.made_ns)
