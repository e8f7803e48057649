"""Many frames at once, as arrays: what the ingestor decodes and the storage writes."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from noctis.errors import FrameError
from noctis.slot import SLOT, decode_run, decode_runs, decode_slots, faults

__all__ = [
    "CRC32",
    "EPOCH_SECONDS",
    "HEAD",
    "LONGEST",
    "MAGIC",
    "MAX_SLOTS",
    "OVERHEAD",
    "VERSION",
    "Frames",
    "check_numbers",
    "decode_all",
]

EPOCH_SECONDS: Final = 30
MAX_SLOTS: Final = 64
MAGIC, VERSION = 0x4E, 1
HEAD, CRC32 = struct.Struct("<BBBBQII14s"), struct.Struct("<I")
OVERHEAD: Final = HEAD.size + CRC32.size
SHORTEST: Final = OVERHEAD + SLOT
LONGEST: Final = OVERHEAD + MAX_SLOTS * SLOT
_HEADS: Final = np.dtype(
    [
        ("magic", "u1"),
        ("version", "u1"),
        ("flags", "u1"),
        ("count", "u1"),
        ("stream", "<u8"),
        ("first", "<u4"),
        ("run_seq", "<u4"),
        ("run", "u1", (SLOT,)),
    ]
)
_LAST_SEQ: Final = 0xFFFFFFFF
_RESIDUE: Final = 0x2144DF1C
"""The CRC-32 of anything with its own CRC-32 behind it."""


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """n frames with m epochs, those of frame i behind those of frame i - 1.

    ``stream``, ``first``, ``run_seq``, ``count``, ``flags`` (n,); ``run`` (n,) the fields of
    each frame's RUN; ``codes`` (m, 15); ``in_bed`` (m,).
    """

    stream: NDArray[np.uint64]
    first: NDArray[np.int64]
    run_seq: NDArray[np.int64]
    count: NDArray[np.int64]
    flags: NDArray[np.uint8]
    run: NDArray[np.void]
    codes: NDArray[np.int16]
    in_bed: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first)

    @property
    def last(self) -> NDArray[np.int64]:
        """The number of each frame's last epoch, shape (n,)."""
        return self.first + self.count - 1

    @property
    def epoch_frame(self) -> NDArray[np.int64]:
        """The frame that each epoch belongs to, shape (m,)."""
        return np.repeat(np.arange(len(self)), self.count)

    @property
    def seq(self) -> NDArray[np.int64]:
        """The number of each epoch, shape (m,)."""
        ends = np.cumsum(self.count)
        return np.arange(len(self.codes)) + np.repeat(
            self.first - ends + self.count, self.count
        )

    @property
    def offsets_s(self) -> NDArray[np.int64]:
        """Each epoch's start, shape (m,), in seconds after its run's time base."""
        return EPOCH_SECONDS * (self.seq - np.repeat(self.run_seq, self.count) - 1)


def decode_all(payloads: Sequence[bytes]) -> tuple[Frames, dict[int, FrameError]]:
    """Return the frames that payloads hold, in their order, and why the others hold none.

    An error stands under the index of its payload, which has no frame.
    """
    sized = [n for n, it in enumerate(payloads) if SHORTEST <= len(it) <= LONGEST]
    heads = np.frombuffer(b"".join([payloads[n][: HEAD.size] for n in sized]), _HEADS)
    checks = [crc32(payloads[n]) for n in sized]
    lengths = [len(payloads[n]) for n in sized]
    sound = _are_sound(heads, np.array(checks, np.int64), np.array(lengths, np.int64))
    index = np.array(sized, np.int64)[sound]
    heads = heads[sound]
    bodies = [payloads[n][HEAD.size : -CRC32.size] for n in index.tolist()]
    slots = np.frombuffer(b"".join(bodies), np.uint8).reshape(-1, SLOT)
    wrong = _slot_errors(slots, heads["count"].astype(np.int64))
    errors = {int(index[at]): error for at, error in wrong.items()}
    if wrong:
        keep = np.ones(len(heads), np.bool_)
        keep[list(wrong)] = False
        slots = slots[np.repeat(keep, heads["count"])]
        heads, index = heads[keep], index[keep]
    if len(index) + len(errors) < len(payloads):
        known = {*index.tolist(), *errors}
        errors |= {n: _explain(it) for n, it in enumerate(payloads) if n not in known}
    return _frames(heads, slots), errors


def _are_sound(
    heads: NDArray[np.void], checks: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell which frames have nothing wrong but perhaps in their slots."""
    count, run = heads["count"].astype(np.int64), heads["run"]
    first, run_seq = heads["first"].astype(np.int64), heads["run_seq"].astype(np.int64)
    run_crc_wrong, is_run = faults(run)
    sound: NDArray[np.bool_] = np.logical_and.reduce(
        [
            heads["magic"] == MAGIC,
            heads["version"] == VERSION,
            (count >= 1) & (count <= MAX_SLOTS),
            lengths == OVERHEAD + SLOT * count,
            checks == _RESIDUE,
            (run_seq < first) & (first + count - 1 <= _LAST_SEQ),
            is_run & ~run_crc_wrong,
        ]
    )
    return sound


def _slot_errors(slots: NDArray[np.uint8], counts: NDArray[np.int64]) -> dict[int, FrameError]:
    """Return what is wrong in the slots, by frame."""
    crc_wrong, is_run = faults(slots)
    if not (crc_wrong.any() or is_run.any()):
        return {}
    frame = np.repeat(np.arange(len(counts)), counts)
    return {
        **dict.fromkeys(
            frame[is_run].tolist(), FrameError("slot_kind", "a RUN stands among the epochs")
        ),
        **dict.fromkeys(
            frame[crc_wrong].tolist(), FrameError("slot_crc", "a slot's CRC-8 is wrong")
        ),
    }


def _frames(heads: NDArray[np.void], slots: NDArray[np.uint8]) -> Frames:
    codes, in_bed = decode_slots(slots)
    return Frames(
        stream=heads["stream"].astype(np.uint64),
        first=heads["first"].astype(np.int64),
        run_seq=heads["run_seq"].astype(np.int64),
        count=heads["count"].astype(np.int64),
        flags=heads["flags"],
        run=decode_runs(heads["run"]),
        codes=codes,
        in_bed=in_bed,
    )


def _explain(payload: bytes) -> FrameError:
    """Return what is wrong with a frame, the first that strikes; its slots aside."""
    size = len(payload)
    if size < SHORTEST:
        return FrameError("length", f"{size} bytes are too few for a frame")
    magic, version, _, count, _, first, run_seq, run = HEAD.unpack_from(payload)
    if magic != MAGIC:
        return FrameError("magic", f"the first byte is {magic:#04x}, not {MAGIC:#04x}")
    if version != VERSION:
        return FrameError("version", f"version {version} is unknown; this platform reads 1")
    try:
        check_count(count)
        if size != (needed := OVERHEAD + SLOT * count):
            return FrameError("length", f"{size} bytes; {count} epochs take {needed}")
        if crc32(payload) != _RESIDUE:
            return FrameError("crc", "the CRC-32 is wrong")
        check_numbers(count, first, run_seq)
        decode_run(run)
    except FrameError as error:
        return error
    message = "a frame without fault was refused"
    raise AssertionError(message)


def check_count(count: int) -> None:
    """Raise FrameError for a number of epochs that no frame holds."""
    if not 1 <= count <= MAX_SLOTS:
        reason, detail = "count", f"{count} epochs; a frame holds 1 to {MAX_SLOTS}"
        raise FrameError(reason, detail)


def check_numbers(count: int, first: int, run_seq: int) -> None:
    """Raise FrameError for epochs that cannot be numbered so."""
    check_count(count)
    if not 0 <= run_seq < first or first + count - 1 > _LAST_SEQ:
        reason, detail = "seq", f"epochs {first}+{count} cannot follow a run at {run_seq}"
        raise FrameError(reason, detail)
