"""Images of firmware: what they say of themselves, the manifest that is signed, the offer.

``docs/updates.md`` specifies the bytes; the device reads them in ``firmware/…/offer.cpp``.
"""

import hashlib
import json
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from noctis.errors import NoctisError

__all__ = ["LARGEST", "FirmwareError", "Image", "Manifest", "offer", "read_image"]

MAGIC: Final = b"noctis-image-1\n\0"
LARGEST: Final = 64 << 20
"""Bytes of the largest image that is stored."""

_ID: Final = struct.Struct("<I16s32s")
_MOST_URL: Final = 255
_MOST_OFFER: Final = 1536


class FirmwareError(NoctisError):
    """An image, a key or a manifest of firmware that is not what it should be."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image and what it says of itself; ``build`` rises with every release."""

    target: str
    version: str
    build: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is signed: an image, and which devices may take it.

    ``least``: builds below it need a step between. ``floor``: once the image stands, no build
    below it is taken any more. ``downgrade``: it may replace a higher build. ``expires``: unix
    seconds.
    """

    image: Image
    expires: int
    least: int = 0
    floor: int = 0
    downgrade: bool = False

    def encode(self) -> bytes:
        """Return the bytes to sign; raise FirmwareError where they make no sense."""
        if not 0 <= self.floor <= self.image.build or self.least < 0:
            message = f"floor {self.floor} or least {self.least} makes no sense"
            raise FirmwareError(message, hint=f"the image is build {self.image.build}")
        members = {
            "target": self.image.target,
            "version": self.image.version,
            "build": self.image.build,
            "least": self.least,
            "floor": self.floor,
            "downgrade": int(self.downgrade),
            "expires": self.expires,
            "size": self.image.size,
            "sha256": self.image.sha256,
        }
        return json.dumps(members, separators=(",", ":")).encode("ascii")


def read_image(path: Path) -> Image:
    """Return what an image says of itself; raise FirmwareError for anything else."""
    try:
        size = path.stat().st_size
        if not 0 < size <= LARGEST:
            message = f"{path} has {size} bytes"
            raise FirmwareError(message, hint=f"an image has 1 to {LARGEST}")
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
            target, version, build = _find_id(path, data)
            return Image(target, version, build, size, hashlib.sha256(data).hexdigest())
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise FirmwareError(message) from error


def _find_id(path: Path, data: mmap.mmap) -> tuple[str, str, int]:
    at = data.find(MAGIC)
    if at < 0 or data.find(MAGIC, at + 1) >= 0 or at + len(MAGIC) + _ID.size > len(data):
        message = f"{path} is no image of Noctis' firmware"
        raise FirmwareError(message, hint="name a noctis-device, or PlatformIO's firmware.bin")
    build, *texts = _ID.unpack_from(data, at + len(MAGIC))
    target, version = (it.rstrip(b"\0").decode("ascii", "replace") for it in texts)
    if build == 0 or not _is_word(target) or not _is_word(version):
        message = f"{path} says that it is build {build} of {version!r} for {target!r}"
        raise FirmwareError(message, hint="build it with a version and a build number")
    return target, version, build


def _is_word(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and not set(text) & set('"\\')


def offer(rollout: str, url: str, key: str, signature: str, manifest: bytes) -> bytes:
    """Return the message that offers a signed image to a device."""
    if len(url) > _MOST_URL or not url.isascii() or not _is_word(url):
        message = f"{url!r} is no address that a device reads"
        raise FirmwareError(message, hint=f"plain ASCII, {_MOST_URL} characters at most")
    first = {"rollout": rollout, "url": url, "key": key, "signature": signature}
    whole = json.dumps(first, separators=(",", ":")).encode("ascii") + b"\n" + manifest
    if len(whole) > _MOST_OFFER:
        message = f"an offer of {len(whole)} bytes is not read by devices"
        raise FirmwareError(message, hint=f"{_MOST_OFFER} are the most: a shorter address")
    return whole
