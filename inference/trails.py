"""Tracks that are kept from one epoch of a session to the next.

A session's rows of tracks do not change when it goes on, so of a session that was asked about
before only the new epochs' rows are made. Nothing is believed to be the same: a trail is gone
on with where the session begins with the very codes that it was made of, else it begins anew.
So what comes out rests on the session alone, whatever was asked before, and in which order.
"""

import threading
import time
from collections import OrderedDict
from copy import copy
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.scaling import Scaling
from inference.track_sums import Carried
from inference.tracks import BREATH, COUNT, WINDOW, rows_of, tracks
from noctis.features import COUNT as CHANNELS

__all__ = ["MOST", "Trails"]

MOST: Final = 2048
"""Sessions whose tracks are kept at the most: 0.15 MB each, some 300 MB in all."""

IDLE_S: Final = 120.0
"""How long a session is kept that nobody asks about. Who sleeps is asked about every 30 s, and
each hour another session begins."""

ROOM: Final = 32  # rows more than a window, so that they are moved to the front seldom
BEHIND: Final = 8  # of them stay then, for whoever asks a few epochs later than others
_HEAD: Final = 16  # epochs by which a session is looked up; shorter ones cost little

Rows = NDArray[np.int16]
Table = NDArray[np.float32]


class Trails:
    """The trails of the sessions last asked about; may be asked from any thread."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._trails = OrderedDict[tuple[Scaling | None, bytes], _Trail]()
        self._looking = threading.Lock()

    def __len__(self) -> int:
        """Return the number of sessions that are kept."""
        return len(self._trails)

    def read(self, session: Rows, scaling: Scaling | None, window: Table) -> None:
        """Write the session's last tracks, as ``tracks`` returns them, scaled to ``window``."""
        if len(session) < _HEAD:
            window[:] = _scaled(tracks(session), scaling)
            return
        key = (scaling, session[:_HEAD].tobytes())
        with self._looking:
            trail = self._trails.get(key)
            if trail is None:
                trail = self._trails[key] = _Trail(scaling)
            self._trails.move_to_end(key)
            trail.asked_at = time.monotonic()
            self._let_go(trail.asked_at)
        trail.read(session, window)

    def _let_go(self, now: float) -> None:
        """Drop what nobody has asked about for long, and what is too much."""
        while True:
            oldest = next(iter(self._trails.values()))
            if len(self._trails) <= self._most and now - oldest.asked_at <= IDLE_S:
                return
            self._trails.popitem(last=False)


class _Trail:
    """A session that was asked about, and its last rows of tracks, scaled."""

    def __init__(self, scaling: Scaling | None) -> None:
        self.asked_at = 0.0
        self._scaling = scaling
        self._breathing = scaling is None or bool(scaling.factor[BREATH].any())
        self._walking = threading.Lock()
        self._begin_anew()

    def read(self, session: Rows, window: Table) -> None:
        """See Trails."""
        with self._walking:
            size, asked = self._carried.size, len(session)
            same = np.array_equal(session[:size], self._codes[:asked])
            if not same:
                self._begin_anew()
            elif asked < size - self._spare:
                window[:] = _scaled(tracks(session), self._scaling)
                return
            if asked > self._carried.size:
                self._go_on(session)
            end = self._end - (self._carried.size - asked)
            window[:] = self._table[end - WINDOW : end]

    @property
    def _spare(self) -> int:
        """The rows of the table before those of the last window."""
        return self._end - WINDOW

    def _begin_anew(self) -> None:
        self._carried = Carried()
        self._codes: Rows = np.empty((0, CHANNELS), np.int16)
        unknown = np.full((WINDOW + ROOM, COUNT), np.nan, np.float32)
        self._table = _scaled(unknown, self._scaling)
        self._end = WINDOW

    def _go_on(self, session: Rows) -> None:
        skipped = len(session) - self._carried.size > WINDOW
        carried = copy(self._carried)
        rows = rows_of(session, carried, breathing=self._breathing)
        self._carried, self._codes = carried, session
        if skipped:
            self._end = 0
        elif self._end + len(rows) > len(self._table):
            kept = min(WINDOW + BEHIND - len(rows), self._end)
            self._table[:kept] = self._table[self._end - kept : self._end].copy()
            self._end = kept
        self._table[self._end : self._end + len(rows)] = _scaled(rows, self._scaling)
        self._end += len(rows)


def _scaled(rows: Table, scaling: Scaling | None) -> Table:
    return rows if scaling is None else scaling(rows)
