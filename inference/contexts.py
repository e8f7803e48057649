"""The contexts of all devices that are heard of: few streams each, none kept for ever."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.context import Context, Moment, row_from_codes
from inference.stage import moment_of
from noctis.epoch import Frame
from noctis.identity import DeviceId

__all__ = ["IDLE_S", "Contexts", "Hole", "Known", "Past"]

IDLE_S: Final = 6 * 3600.0
LOOKS: Final = 6
MAX_DEVICES: Final = 20_000
MAX_STREAMS: Final = 2


@dataclass(frozen=True, slots=True)
class Past:
    """An epoch as the database knows it."""

    moment: Moment
    row: NDArray[np.int16]


@dataclass(slots=True)
class Hole:
    """Epochs behind ``after``, up to ``last``, that were made and did not come by.

    They are looked for in the database at once and again after 1, 2, 4 … further epochs, as
    the device sends them by and by; after LOOKS looks nobody waits for them any more.
    """

    after: int
    last: int
    looks: int = 0
    pause: int = 0

    def is_due(self) -> bool:
        """Tell whether to look now; to be asked once an epoch."""
        self.pause -= 1
        return self.pause < 0

    def looked(self) -> bool:
        """Note a look; False when it was the last one."""
        self.pause = 1 << self.looks
        self.looks += 1
        return self.looks < LOOKS


@dataclass(slots=True, eq=False)
class Known:
    """What is known of one stream of a device."""

    device: DeviceId
    stream: int
    context: Context = field(default_factory=Context)
    heard_at: float = 0.0
    hole: Hole | None = None
    looking: bool = False

    def take(self, frame: Frame, *, clock_known: bool) -> Past | None:
        """Take a frame in; return its last epoch where no later one is known."""
        offsets, seqs = frame.offsets_s.tolist(), frame.seqs.tolist()
        epochs = [
            Past(
                moment_of(frame.run, offset, seq, clock_known=clock_known),
                row_from_codes(codes, in_bed),
            )
            for codes, in_bed, offset, seq in zip(
                frame.codes, frame.in_bed, offsets, seqs, strict=True
            )
        ]
        for epoch in epochs:
            self.context.push(epoch.moment, epoch.row)
        return epochs[-1] if epochs[-1].moment.seq == self.context.last_seq else None

    def recall(self, past: Iterable[Past]) -> None:
        """Take in what the database knows of the hole."""
        newest = -1
        for epoch in past:
            self.context.push(epoch.moment, epoch.row)
            newest = max(newest, epoch.moment.seq)
        if self.hole is not None:
            self.hole.after = max(self.hole.after, newest)
            if self.hole.after >= self.hole.last:
                self.hole = None

    def note_hole(self, frame: Frame) -> None:
        """Compare where the frame begins with where the context ends.

        A RUN takes a sequence number, and the empty ones before it are told by ``voids``.
        """
        newest = self.context.last_seq
        known = -1 if newest is None else newest
        last = frame.first - 1
        if frame.run_seq == last:
            last -= 1 + frame.run.voids
        if last > known:
            after = known if self.hole is None else min(self.hole.after, known)
            self.hole = Hole(after, last)


class Contexts:
    """Contexts by device and stream, those heard of longest ago first.

    A device keeps its last MAX_STREAMS streams, the worker its last MAX_DEVICES devices, and
    none longer than IDLE_S after its last epoch: what is gone comes back from the database.
    """

    def __init__(self, *, max_devices: int = MAX_DEVICES) -> None:
        self._max_devices = max_devices
        self._devices: OrderedDict[DeviceId, OrderedDict[int, Known]] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of devices."""
        return len(self._devices)

    def hear(self, device: DeviceId, stream: int, now: float) -> Known:
        """Return what is known of a stream that was just heard of, at ``now`` seconds."""
        streams = self._devices.setdefault(device, OrderedDict())
        known = streams.get(stream)
        if known is None:
            known = streams[stream] = Known(device, stream)
        known.heard_at = now
        streams.move_to_end(stream)
        self._devices.move_to_end(device)
        if len(streams) > MAX_STREAMS:
            streams.popitem(last=False)
        if len(self._devices) > self._max_devices:
            self._devices.popitem(last=False)
        return known

    def forget_idle(self, now: float) -> int:
        """Drop the devices last heard of more than IDLE_S before ``now``; return how many."""
        before = len(self._devices)
        while self._devices:
            device, streams = next(iter(self._devices.items()))
            if now - next(reversed(streams.values())).heard_at <= IDLE_S:
                break
            del self._devices[device]
        return before - len(self._devices)
