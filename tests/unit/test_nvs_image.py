"""Images of NVS, read by a parser of the format as Espressif documents it."""

import struct
import zlib
from collections.abc import Iterator

import pytest

from cli.nvs_image import NAMESPACE, SIZE, nvs_image

PAGE, ENTRY = 4096, 32
ACTIVE, FULL, EMPTY = 0xFFFFFFFE, 0xFFFFFFFC, 0xFFFFFFFF
WRITTEN = 0b10
U8, BLOB_DATA, BLOB_INDEX = 0x01, 0x42, 0x48


def crc(data: bytes) -> int:
    return zlib.crc32(data, 0xFFFFFFFF)


def entries(page: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the first entry of each item with its number; check all that the format checks."""
    state, _, version = struct.unpack_from("<IIB", page)
    if state == EMPTY:
        assert page == b"\xff" * PAGE
        return
    assert state in {ACTIVE, FULL}
    assert version == 0xFE
    assert crc(page[4:28]) == struct.unpack_from("<I", page, 28)[0]
    bitmap = int.from_bytes(page[32:64], "little")
    number = 0
    while number < 126:
        at = 64 + number * ENTRY
        if (bitmap >> (2 * number)) & 0b11 != WRITTEN:
            assert page[at : at + ENTRY] == b"\xff" * ENTRY
            number += 1
            continue
        entry = page[at : at + ENTRY]
        assert crc(entry[0:4] + entry[8:32]) == struct.unpack_from("<I", entry, 4)[0]
        yield number, entry
        number += entry[2]  # its span


def blobs(image: bytes) -> dict[tuple[str, str], bytes]:
    """Return the blobs of an image by namespace and name."""
    namespaces: dict[int, str] = {}
    chunks: dict[tuple[int, str], dict[int, bytes]] = {}
    indexes: dict[tuple[int, str], tuple[int, int, int]] = {}
    for start in range(0, len(image), PAGE):
        page = image[start : start + PAGE]
        for number, entry in entries(page):
            space, kind, _, chunk = entry[:4]
            name = entry[8:24].split(b"\0")[0].decode()
            if space == 0:
                assert kind == U8
                namespaces[entry[24]] = name
            elif kind == BLOB_DATA:
                size, _, expected = struct.unpack_from("<HHI", entry, 24)
                at = 64 + (number + 1) * ENTRY
                data = page[at : at + size]
                assert crc(data) == expected
                chunks.setdefault((space, name), {})[chunk] = data
            else:
                assert kind == BLOB_INDEX
                indexes[space, name] = struct.unpack_from("<IBB", entry, 24)
    found = {}
    for (space, name), (size, count, first) in indexes.items():
        whole = b"".join(chunks[space, name][first + i] for i in range(count))
        assert len(whole) == size
        found[namespaces[space], name] = whole
    return found


@pytest.mark.parametrize("size", [1, 31, 32, 700, 1500, 3072])
def test_what_an_image_holds_is_read_back(size: int) -> None:
    value = bytes(i * 7 & 0xFF for i in range(size))
    image = nvs_image({"identity": value, "wifi": b"\x04Home\x0aa password"})
    assert len(image) == SIZE
    assert blobs(image) == {
        (NAMESPACE, "identity"): value,
        (NAMESPACE, "wifi"): b"\x04Home\x0aa password",
    }


def test_a_spare_page_stays_empty_for_the_device_to_write() -> None:
    image = nvs_image({"identity": bytes(3072), "wifi": bytes(98)})
    assert image[-PAGE:] == b"\xff" * PAGE
