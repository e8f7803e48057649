"""Epochs on the wire: frames of slots, as bytes and as numpy arrays."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from noctis.errors import FrameError
from noctis.slot import SLOT, Run, decode_run, decode_slots, encode_run, encode_slots, faults

__all__ = [
    "EPOCH_SECONDS",
    "MAX_SLOTS",
    "Frame",
    "Run",
    "decode_frame",
    "decode_frames",
    "encode_frame",
]

EPOCH_SECONDS = 30
MAX_SLOTS = 64
MAGIC, VERSION = 0x4E, 1
_HEAD, _CRC32 = struct.Struct("<BBBBQII14s"), struct.Struct("<I")
OVERHEAD = _HEAD.size + _CRC32.size


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Epochs of one run with consecutive sequence numbers: codes (n, 15), in_bed (n,)."""

    stream: int
    first: int
    run_seq: int
    run: Run
    codes: NDArray[np.int16]
    in_bed: NDArray[np.bool_]
    flags: int = field(default=0)

    @property
    def count(self) -> int:
        """The number of epochs, 1 to 64."""
        return len(self.codes)

    @property
    def seqs(self) -> NDArray[np.int64]:
        """The epochs' sequence numbers, shape (n,)."""
        return self.first + np.arange(self.count, dtype=np.int64)

    @property
    def offsets_s(self) -> NDArray[np.int64]:
        """The epochs' starts, shape (n,), in seconds after the run's time base."""
        return EPOCH_SECONDS * (self.seqs - self.run_seq - 1)


def encode_frame(frame: Frame) -> bytes:
    """Return the bytes of a frame: 38 + 14 for each epoch."""
    _check_numbers(frame.count, frame.first, frame.run_seq)
    head = _HEAD.pack(
        MAGIC,
        VERSION,
        frame.flags,
        frame.count,
        frame.stream,
        frame.first,
        frame.run_seq,
        encode_run(frame.run),
    )
    body = head + encode_slots(frame.codes, frame.in_bed).tobytes()
    return body + _CRC32.pack(crc32(body))


def decode_frame(payload: bytes) -> Frame:
    """Return the frame that ``payload`` holds; raise FrameError when it is none."""
    [frame] = decode_frames([payload])
    if isinstance(frame, FrameError):
        raise frame
    return frame


def decode_frames(payloads: Sequence[bytes]) -> list[Frame | FrameError]:
    """Return for each payload its frame, or the error that says why it is none.

    The slots of all payloads are decoded in one pass of numpy.
    """
    results: list[Frame | FrameError] = []
    heads: dict[int, _Head] = {}
    for index, payload in enumerate(payloads):
        try:
            heads[index] = _decode_head(payload)
        except FrameError as error:
            results.append(error)
        else:
            results.append(_PENDING)
    if not heads:
        return results
    slots = np.frombuffer(
        b"".join(payloads[i][_HEAD.size : -_CRC32.size] for i in heads), np.uint8
    ).reshape(-1, SLOT)
    crc_wrong, is_run = faults(slots)
    codes, in_bed = decode_slots(slots)
    start = 0
    for index, head in heads.items():
        part = slice(start, start + head.count)
        start += head.count
        if crc_wrong[part].any():
            results[index] = FrameError("slot_crc", "a slot's CRC-8 is wrong")
        elif is_run[part].any():
            results[index] = FrameError("slot_kind", "a RUN stands among the epochs")
        else:
            results[index] = head.frame(codes[part], in_bed[part])
    return results


_PENDING = FrameError("pending", "not decoded yet")


@dataclass(frozen=True, slots=True)
class _Head:
    flags: int
    count: int
    stream: int
    first: int
    run_seq: int
    run: Run

    def frame(self, codes: NDArray[np.int16], in_bed: NDArray[np.bool_]) -> Frame:
        return Frame(self.stream, self.first, self.run_seq, self.run, codes, in_bed, self.flags)


def _decode_head(payload: bytes) -> _Head:
    if len(payload) < OVERHEAD + SLOT:
        reason, detail = "length", f"{len(payload)} bytes are too few for a frame"
        raise FrameError(reason, detail)
    magic, version, flags, count, stream, first, run_seq, run = _HEAD.unpack_from(payload)
    if magic != MAGIC:
        reason, detail = "magic", f"the first byte is {magic:#04x}, not {MAGIC:#04x}"
        raise FrameError(reason, detail)
    if version != VERSION:
        reason, detail = "version", f"version {version} is unknown; this platform reads 1"
        raise FrameError(reason, detail)
    if not 1 <= count <= MAX_SLOTS:
        reason, detail = "count", f"{count} epochs; a frame holds 1 to {MAX_SLOTS}"
        raise FrameError(reason, detail)
    if len(payload) != OVERHEAD + SLOT * count:
        expected = OVERHEAD + SLOT * count
        reason, detail = "length", f"{len(payload)} bytes; {count} epochs take {expected}"
        raise FrameError(reason, detail)
    _check_crc32(payload)
    _check_numbers(count, first, run_seq)
    return _Head(flags, count, stream, first, run_seq, decode_run(run))


def _check_numbers(count: int, first: int, run_seq: int) -> None:
    if not 1 <= count <= MAX_SLOTS:
        reason, detail = "count", f"{count} epochs; a frame holds 1 to {MAX_SLOTS}"
        raise FrameError(reason, detail)
    if not 0 <= run_seq < first or first + count - 1 > 0xFFFFFFFF:  # noqa: PLR2004 - u32
        reason, detail = "seq", f"epochs {first}+{count} cannot follow a run at {run_seq}"
        raise FrameError(reason, detail)


def _check_crc32(payload: bytes) -> None:
    body, tail = payload[: -_CRC32.size], payload[-_CRC32.size :]
    if _CRC32.unpack(tail)[0] != crc32(body):
        reason, detail = "crc", "the CRC-32 is wrong"
        raise FrameError(reason, detail)
