"""Epochs on the wire: frames of slots, as bytes and as numpy arrays."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from noctis.errors import FrameError
from noctis.frames import (
    CRC32,
    EPOCH_SECONDS,
    HEAD,
    MAGIC,
    MAX_SLOTS,
    VERSION,
    Frames,
    check_numbers,
    decode_all,
)
from noctis.slot import RUN, Run, encode_run, encode_slots

__all__ = [
    "EPOCH_SECONDS",
    "MAX_SLOTS",
    "Frame",
    "Run",
    "decode_frame",
    "decode_frames",
    "encode_frame",
    "gather",
]


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
    check_numbers(frame.count, frame.first, frame.run_seq)
    head = HEAD.pack(
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
    return body + CRC32.pack(crc32(body))


def decode_frame(payload: bytes) -> Frame:
    """Return the frame that ``payload`` holds; raise FrameError when it is none."""
    [frame] = decode_frames([payload])
    if isinstance(frame, FrameError):
        raise frame
    return frame


def decode_frames(payloads: Sequence[bytes]) -> list[Frame | FrameError]:
    """Return for each payload its frame, or the error that says why it is none.

    All payloads are decoded in one pass of numpy.
    """
    frames, errors = decode_all(payloads)
    found = iter(_each(frames))
    return [errors[n] if n in errors else next(found) for n in range(len(payloads))]


def gather(frames: Sequence[Frame]) -> Frames:
    """Return single frames as arrays of many."""
    runs = [astuple(it.run) for it in frames]
    return Frames(
        stream=np.array([it.stream for it in frames], np.uint64),
        first=np.array([it.first for it in frames], np.int64),
        run_seq=np.array([it.run_seq for it in frames], np.int64),
        count=np.array([it.count for it in frames], np.int64),
        flags=np.array([it.flags for it in frames], np.uint8),
        run=np.array(runs, RUN),
        codes=np.concatenate([it.codes for it in frames]),
        in_bed=np.concatenate([it.in_bed for it in frames]),
    )


def _each(frames: Frames) -> Iterator[Frame]:
    ends = np.cumsum(frames.count).tolist()
    columns = (frames.stream, frames.first, frames.run_seq, frames.count, frames.flags)
    runs = frames.run.tolist()
    for end, run, (stream, first, run_seq, count, flags) in zip(
        ends, runs, zip(*(it.tolist() for it in columns), strict=True), strict=True
    ):
        part = slice(end - count, end)
        codes, in_bed = frames.codes[part], frames.in_bed[part]
        yield Frame(stream, first, run_seq, Run(*run), codes, in_bed, flags)
