"""Which frames of a batch may be stored: known devices, streams of their own, sound runs.

And which are disposed of: those of a closed stream, and those that are older than what their
tenant keeps. Nothing is written down of these, not even their run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from noctis.epoch import Frame, gather
from noctis.frames import Frames
from noctis.identity import DeviceId
from noctis.storage.facts import EPOCH_US, Keys, learn
from noctis.storage.runs import UNKNOWN, microseconds

__all__ = ["KEPT", "REASONS", "Admission", "Batch", "Received", "admit"]

# How far ahead of receipt an epoch may start: a run's clock may be a day ahead, and drift.
FUTURE: Final = timedelta(days=2)

KEPT: Final = timedelta(days=400)
"""How long epochs stay where neither the tenant nor the platform says otherwise."""

REASONS: Final = (
    "",
    "unknown_device",
    "revoked_device",
    "foreign_stream",
    "run_differs",
    "run_inside",
    "future",
)
"""Why a frame is refused, by number; 0: it is not."""


@dataclass(frozen=True, slots=True)
class Received:
    """A frame, the device whose topic it came on, and whether that was the backlog's."""

    device: DeviceId
    frame: Frame
    backlog: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """n frames as they were received: whose topics they came on, and (n,) which as backlog."""

    devices: Sequence[DeviceId]
    frames: Frames
    backlog: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.frames)

    @classmethod
    def of(cls, received: Sequence[Received]) -> "Batch":
        """Return single frames as a batch."""
        return cls(
            [it.device for it in received],
            gather([it.frame for it in received]),
            np.array([it.backlog for it in received], np.bool_),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Admission:
    """What is known of a batch's n frames; arrays of shape (n,).

    ``refused`` is the number of a reason; ``disposed`` are never to be stored; ``utc`` is the
    time base of each frame's run, in microseconds since 1970, or UNKNOWN.
    """

    refused: NDArray[np.int64]
    disposed: NDArray[np.bool_]
    device_id: NDArray[np.int64]
    tenant_id: NDArray[np.int64]
    utc: NDArray[np.int64]

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """Which frames may be stored."""
        accepted: NDArray[np.bool_] = (self.refused == 0) & ~self.disposed
        return accepted

    @property
    def timed(self) -> NDArray[np.bool_]:
        """Which frames' runs have a usable clock."""
        timed: NDArray[np.bool_] = self.utc != UNKNOWN
        return timed


def admit(
    connection: Connection, batch: Batch, now: datetime, *, kept: timedelta = KEPT
) -> Admission:
    """Return which frames may be stored, and what becomes of the others.

    Streams are bound and runs written down on the way. ``kept``: how long epochs of tenants
    without a word of their own stay.
    """
    frames = batch.frames
    keys = Keys.among(batch.devices, frames)
    facts, past = learn(connection, keys, frames, now, kept)
    of, utc = keys.of, facts.utc[keys.of]
    last_start = utc + EPOCH_US * (frames.last - frames.run_seq - 1)
    disposed = facts.closed[of] | facts.own[of] & past
    refused = np.select(
        [
            disposed,
            facts.device_id[of] == 0,
            facts.revoked[of],
            ~facts.own[of],
            ~facts.known[of] | (facts.run[of] != frames.run),
            facts.next_run[of] <= frames.last,
            (utc != UNKNOWN) & (last_start > microseconds(now + FUTURE)),
        ],
        range(len(REASONS)),
        0,
    )
    return Admission(refused, disposed, facts.device_id[of], facts.tenant_id[of], utc)
