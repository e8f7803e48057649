"""The binary messages, byte by byte; the bits of an epoch are those of ``features.toml``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from noctis.features import FEATURES
from noctis.frames import MAGIC
from noctis.slot import RUN, SLOT

__all__ = ["BINARY_MESSAGES"]

_VECTORS: Final = Path(__file__).parents[2] / "tests" / "vectors"
_RUN_WIDTHS: Final = {"reason": 3, "voids": 8, "boot": 32, "tick_s": 28, "utc_s": 32}


def _golden(name: str, member: str = "hex", place: int = 0) -> str:
    vectors = json.loads((_VECTORS / f"{name}.json").read_text("utf-8"))
    return str(vectors[place][member])


def _bytes(told: str, page: str, table: list[dict[str, Any]], example: str) -> dict[str, Any]:
    """Return a binary message; ``table``: its bytes, ``page``: the part of protocol.md."""
    return {
        "contentType": "application/octet-stream",
        "summary": told,
        "description": f"Little-endian; all of it stands in [protocol.md](protocol.md#{page}). "
        "The example is in hexadecimal.",
        "payload": {"type": "string", "format": "binary", "x-bytes": table},
        "examples": [{"payload": example}],
    }


def _field(offset: int | str, size: int | str, field: str) -> dict[str, Any]:
    return {"offset": offset, "size": size, "field": field}


def _slot() -> list[dict[str, Any]]:
    """Return the bits of an EPOCH slot, of the schema of the features."""
    made, at = [{"bit": 0, "width": 1, "field": "kind, 0"}], 1
    for feature in FEATURES:
        told = f"{feature.name}: {feature.title}, {feature.unit}"
        made.append({"bit": at, "width": feature.bits, "field": told})
        at += feature.bits
    return [
        *made,
        {"bit": at, "width": 1, "field": "in_bed"},
        {"bit": at + 1, "width": 8, "field": "CRC-8"},
    ]


def _run() -> list[dict[str, Any]]:
    assert tuple(_RUN_WIDTHS) == RUN.names  # noqa: S101 - of this very source
    made, at = [{"bit": 0, "width": 1, "field": "kind, 1"}], 1
    for name, width in _RUN_WIDTHS.items():
        made.append({"bit": at, "width": width, "field": name})
        at += width
    return [*made, {"bit": at, "width": 8, "field": "CRC-8"}]


def _frame() -> dict[str, Any]:
    made = _bytes(
        "Epochs of one run",
        "frame-38--14--count-bytes",
        [
            _field(0, 1, f"magic, 0x{MAGIC:02X}"),
            _field(1, 1, "version, 1"),
            _field(2, 1, "flags, 0"),
            _field(3, 1, "count, 1 to 64"),
            _field(4, 8, "stream"),
            _field(12, 4, "first: the sequence number of the first epoch"),
            _field(16, 4, "run_seq: the sequence number of the RUN, below first"),
            _field(20, SLOT, "the RUN slot"),
            _field(34, f"{SLOT} * count", "EPOCH slots of consecutive sequence numbers"),
            _field(f"34 + {SLOT} * count", 4, "CRC-32 of everything before"),
        ],
        _golden("frames"),
    )
    made["payload"] |= {"x-epoch-slot": _slot(), "x-run-slot": _run()}
    return made


_ACK: Final = [
    _field(0, 1, "version, 1"),
    _field(1, 1, "n, how many ranges"),
    _field(2, 8, "stream"),
    _field(
        10, "6 * n", "ranges: first u32, count u8, code u8 (0 stored, 1 refused, 2 disposed)"
    ),
    _field("10 + 6 * n", 4, "CRC-32 of everything before"),
]
_REQUEST: Final = [
    _field(0, 1, "version, 1"),
    _field(1, 3, "zeros"),
    _field(4, 8, "sent: means something to the device alone"),
    _field(12, 4, "CRC-32 of everything before"),
]
_REPLY: Final = [
    *_REQUEST[:3],
    _field(12, 8, "utc_ms: milliseconds since 1970"),
    _field(20, 4, "CRC-32 of everything before"),
]

BINARY_MESSAGES: Final[Mapping[str, dict[str, Any]]] = {
    "frame": _frame(),
    "acknowledgement": _bytes(
        "What is committed", "acknowledgement-14--6--n-bytes", _ACK, _golden("acks", place=1)
    ),
    "timeRequest": _bytes(
        "What time is it?", "the-time", _REQUEST, _golden("times", "request", 1)
    ),
    "timeReply": _bytes("The time", "the-time", _REPLY, _golden("times", "reply", 1)),
}
