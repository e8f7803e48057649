import json
import stat
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from noctis import firmware_keys
from noctis.firmware import MAGIC, FirmwareError, Image, Manifest, offer, read_image
from tests import images

IMAGE = Image("host", "0.2.0", 2, 9, "ab" * 32)


def test_an_image_says_what_it_is(tmp_path: Path) -> None:
    image = read_image(images.sound(tmp_path, 7))
    assert (image.target, image.version, image.build) == ("host", "0.7.0", 7)
    assert image.size == (tmp_path / "image-7").stat().st_size


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no image",
        MAGIC,
        MAGIC + bytes(52),
        (MAGIC + images.ID.pack(1, b"host", b"1")) * 2,
        MAGIC + images.ID.pack(0, b"host", b"1"),
        MAGIC + images.ID.pack(1, b"", b"1"),
        MAGIC + images.ID.pack(1, b'ho"st', b"1"),
        MAGIC + images.ID.pack(1, b"host", b"\xff"),
    ],
)
def test_what_says_nothing_of_itself_or_nonsense_is_no_image(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "image"
    path.write_bytes(content)
    with pytest.raises(FirmwareError):
        read_image(path)


def test_a_manifest_is_signed_to_the_byte(tmp_path: Path) -> None:
    key = firmware_keys.make(tmp_path)
    manifest = Manifest(IMAGE, 1_900_000_000, floor=1, downgrade=True).encode()
    assert json.loads(manifest)["downgrade"] == 1
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.public))
    signature = bytes.fromhex(key.sign(manifest))
    public.verify(signature, manifest)
    with pytest.raises(InvalidSignature):
        public.verify(signature, manifest + b" ")
    with pytest.raises(FirmwareError):
        Manifest(IMAGE, 1, floor=3).encode()


def test_keys_are_their_owners_alone_and_the_newest_is_the_last(tmp_path: Path) -> None:
    first, second = firmware_keys.make(tmp_path / "k"), firmware_keys.make(tmp_path / "k")
    assert [it.id for it in firmware_keys.load_all(tmp_path / "k")] == [first.id, second.id]
    for path in (tmp_path / "k").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR
    (tmp_path / "torn.pem").write_bytes(b"-----BEGIN")
    with pytest.raises(FirmwareError, match="key"):
        firmware_keys.load(tmp_path / "torn.pem")


def test_an_offer_that_a_device_would_not_read_is_not_made() -> None:
    whole = offer("r", "http://x", "k", "s", b"{}")
    assert whole.endswith(b"}\n{}")
    for url in ("http://x/" + "y" * 300, "http://é", "", 'http://"'):
        with pytest.raises(FirmwareError):
            offer("r", url, "k", "s", b"{}")
    with pytest.raises(FirmwareError, match="offer"):
        offer("r", "http://x", "k", "s", b" " * 1500)
