"""Write the golden bytes in ``tests/vectors`` that the C++ and the Python tests share.

The encoder here is the specification spelled out bit by bit, and shares no code with
``noctis.slot``: two implementations and this one must agree. ``--check`` only compares.
"""

import json
import math
import random
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

sys.path.insert(0, str(Path(__file__).parent.parent))

from noctis.features import FEATURES, Feature

VECTORS = Path("tests/vectors")
WIDTHS = [feature.bits for feature in FEATURES]
RUN_WIDTHS = {"reason": 3, "voids": 8, "boot": 32, "tick_s": 28, "utc_s": 32}
Fields = dict[str, Any]


def crc8(data: bytes) -> int:
    """Return the CRC-8 with polynomial 0x07 and initial value 0xA5, one bit at a time."""
    crc = 0xA5
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc


def pack(kind: int, fields: Sequence[tuple[int, int]]) -> bytes:
    """Return a slot: bit 0 is the kind, (value, width) follow, lowest bits first."""
    bits = [kind]
    for value, width in fields:
        bits += [value >> i & 1 for i in range(width)]
    bits += [0] * (104 - len(bits))
    data = bytes(sum(bits[8 * i + j] << j for j in range(8)) for i in range(13))
    return data + bytes([crc8(data)])


def epoch_slot(codes: Sequence[int], *, in_bed: bool) -> bytes:
    """Return an EPOCH slot."""
    return pack(0, [*zip(codes, WIDTHS, strict=True), (int(in_bed), 1)])


def run_slot(run: Fields) -> bytes:
    """Return a RUN slot."""
    return pack(1, [(run[name], width) for name, width in RUN_WIDTHS.items()])


def frame(fields: Fields) -> bytes:
    """Return a frame."""
    body = struct.pack("<BBBB", 0x4E, 1, 0, len(fields["codes"]))
    body += struct.pack("<QII", int(fields["stream"], 16), fields["first"], fields["run_seq"])
    body += run_slot(fields["run"])
    for codes, in_bed in zip(fields["codes"], fields["in_bed"], strict=True):
        body += epoch_slot(codes, in_bed=in_bed)
    return body + struct.pack("<I", crc32(body))


def acknowledgement(fields: Fields) -> bytes:
    """Return an acknowledgement."""
    body = struct.pack("<BBQ", 1, len(fields["ranges"]), int(fields["stream"], 16))
    body += b"".join(struct.pack("<IBB", *entry) for entry in fields["ranges"])
    return body + struct.pack("<I", crc32(body))


def code_of(feature: Feature, value: float | None) -> int:
    """Return a feature's code of a value, or the missing code."""
    top = (1 << feature.bits) - 1
    if value is None:
        return top
    if feature.scale == "log":
        raw = math.log1p(max(value, 0.0) / feature.knee) / feature.step
    else:
        raw = (value - feature.minimum) / feature.step
    return min(max(math.floor(raw + 0.5), 0), top - 1)


def features(draw: random.Random) -> list[Fields]:
    """Return values and codes of each feature: ends, beyond the ends, inside, missing."""
    rows: list[Fields] = []
    for feature in FEATURES:
        low, high = feature.minimum, feature.maximum
        inside = [
            low + (high - low) * (draw.randrange(0, 1000) + 0.37) / 1000 for _ in range(6)
        ]
        ties = [low + feature.step * (n + 0.5) for n in range(4)]
        for value in [None, low, high, low - 1000.0, high + 1000.0, *inside, *ties]:
            code = code_of(feature, value)
            rows.append({"feature": feature.name, "value": value, "code": code})
    return rows


def draw_run(draw: random.Random) -> Fields:
    """Return a random run."""
    return {name: draw.getrandbits(width) for name, width in RUN_WIDTHS.items()}


def draw_codes(draw: random.Random) -> list[int]:
    """Return random codes of the 15 features."""
    return [draw.getrandbits(width) for width in WIDTHS]


def slots(draw: random.Random) -> list[Fields]:
    """Return slots: all zero, all ones, one bit at a time, random; and runs."""
    epochs = [([0] * len(WIDTHS), False), ([(1 << w) - 1 for w in WIDTHS], True)]
    for position in range(len(WIDTHS)):
        codes = [0] * len(WIDTHS)
        codes[position] = 1 << (WIDTHS[position] - 1)
        epochs.append((codes, False))
    epochs += [(draw_codes(draw), draw.random() < 0.5) for _ in range(16)]  # noqa: PLR2004
    runs = [dict.fromkeys(RUN_WIDTHS, 0), {n: (1 << w) - 1 for n, w in RUN_WIDTHS.items()}]
    runs += [draw_run(draw) for _ in range(8)]
    rows: list[Fields] = [
        {
            "kind": "epoch",
            "codes": codes,
            "in_bed": in_bed,
            "hex": epoch_slot(codes, in_bed=in_bed).hex(),
        }
        for codes, in_bed in epochs
    ]
    return rows + [{"kind": "run", **run, "hex": run_slot(run).hex()} for run in runs]


def frames(draw: random.Random) -> list[Fields]:
    """Return frames of 1, 2, 17 and 64 epochs."""
    rows = []
    for count in (1, 2, 17, 64):
        run_seq = draw.getrandbits(31)
        fields = {
            "stream": f"{draw.getrandbits(64):016x}",
            "first": run_seq + draw.randrange(1, 200),
            "run_seq": run_seq,
            "run": draw_run(draw),
            "codes": [draw_codes(draw) for _ in range(count)],
            "in_bed": [draw.random() < 0.5 for _ in range(count)],  # noqa: PLR2004
        }
        rows.append({**fields, "hex": frame(fields).hex()})
    return rows


def sealed(body: bytes) -> str:
    """Return bytes, as hex digits, with a right CRC-32 behind a body that may be wrong."""
    return (body + struct.pack("<I", crc32(body))).hex()


def bad_frames(good: bytes, two: bytes) -> list[Fields]:
    """Return frames that must be refused, each with the reason's word."""
    body, slot = good[:-4], slice(34, 48)
    run = bytearray(body)
    run[20] ^= 0x10
    rot = bytearray(body)
    rot[40] ^= 0x01
    kind = bytearray(body)
    kind[slot] = run_slot(dict.fromkeys(RUN_WIDTHS, 0))
    swapped = bytearray(body)
    swapped[20:34] = body[slot]
    before = bytearray(body)
    before[12:16] = before[16:20]
    return [
        {"reason": "length", "hex": ""},
        {"reason": "length", "hex": good[:51].hex()},
        {"reason": "length", "hex": sealed(body + b"\0")},
        {"reason": "length", "hex": sealed(two[:-5])},
        {"reason": "magic", "hex": sealed(b"\x4f" + body[1:])},
        {"reason": "version", "hex": sealed(body[:1] + b"\x02" + body[2:])},
        {"reason": "count", "hex": sealed(body[:3] + b"\x00" + body[4:])},
        {"reason": "count", "hex": sealed(body[:3] + b"\x41" + body[4:] + bytes(64 * 14))},
        {"reason": "crc", "hex": (good[:-1] + bytes([good[-1] ^ 1])).hex()},
        {"reason": "run", "hex": sealed(bytes(run))},
        {"reason": "run", "hex": sealed(bytes(swapped))},
        {"reason": "slot_crc", "hex": sealed(bytes(rot))},
        {"reason": "slot_kind", "hex": sealed(bytes(kind))},
        {"reason": "seq", "hex": sealed(bytes(before))},
    ]


def acknowledgements(draw: random.Random) -> list[Fields]:
    """Return acknowledgements of 0, 1, 3 and 255 ranges."""
    rows = []
    for count in (0, 1, 3, 255):
        ranges = [[draw.getrandbits(32), draw.randrange(1, 65), i % 3] for i in range(count)]
        fields = {"stream": f"{draw.getrandbits(64):016x}", "ranges": ranges}
        rows.append({**fields, "hex": acknowledgement(fields).hex()})
    return rows


def times(draw: random.Random) -> list[Fields]:
    """Return requests for the time with their replies."""
    pairs = [(0, 0), (1, 1_700_000_000_000), ((1 << 64) - 1, (1 << 64) - 1)]
    pairs += [(draw.getrandbits(64), draw.getrandbits(41)) for _ in range(5)]
    return [
        {
            "sent": f"{sent:016x}",
            "utc_ms": f"{utc_ms:016x}",
            "request": sealed(struct.pack("<B3xQ", 1, sent)),
            "reply": sealed(struct.pack("<B3xQQ", 1, sent, utc_ms)),
        }
        for sent, utc_ms in pairs
    ]


def shards() -> list[Fields]:
    """Return the shards of some devices."""
    names = [("home", "bedroom"), ("t1", "d1"), ("a", "b"), ("x" * 32, "0" * 32), ("a-b", "--")]
    return [
        {"tenant": t, "device": d, "shard": crc32(f"{t}/{d}".encode()) % 64} for t, d in names
    ]


def render() -> dict[str, str]:
    """Return the text of each file of vectors."""
    draw = random.Random(20260101)  # noqa: S311 - repeatable, not secret
    all_frames = frames(draw)
    one, two = bytes.fromhex(all_frames[0]["hex"]), bytes.fromhex(all_frames[1]["hex"])
    tables = {
        "features.json": features(draw),
        "slots.json": slots(draw),
        "frames.json": all_frames,
        "bad_frames.json": bad_frames(one, two),
        "acks.json": acknowledgements(draw),
        "shards.json": shards(),
        "times.json": times(draw),
    }
    return {
        name: "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"
        for name, rows in tables.items()
    }


def main() -> int:
    """Write or check the vectors; return the exit code."""
    stale = 0
    for name, text in render().items():
        path = VECTORS / name
        if "--check" not in sys.argv[1:]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        elif not path.exists() or path.read_text("utf-8") != text:
            print(f"{path} is stale: run python scripts/generate_vectors.py", file=sys.stderr)
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
