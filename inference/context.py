"""The bounded, causal context of one device's stream: what a prediction may look at.

A prediction is a function of the model and of the last DEPTH places of the 30 s grid, no
more. So whoever has the last DEPTH rows by sequence number, from the broker or from the
database, arrives at the same features, bit for bit, in whatever order the rows came.

A session that fills all DEPTH places begins at a sequence number that STEP divides: for STEP
epochs on end it begins at the same one, so that what was made of it can be gone on with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inference.features import COUNT as FEATURE_COUNT
from inference.features import NAMES as FEATURE_NAMES
from inference.features import features
from noctis.epoch import EPOCH_SECONDS
from noctis.errors import NoctisError
from noctis.features import COUNT, FEATURES

__all__ = [
    "ABSENT",
    "DEPTH",
    "FEATURE_COUNT",
    "FEATURE_NAMES",
    "GAP",
    "STEP",
    "Context",
    "ContextError",
    "Moment",
    "Pushed",
    "features",
    "night_features",
    "night_sessions",
    "row_from_codes",
    "session_of",
]

Rows = NDArray[np.int16]

DEPTH: Final = 960
GAP: Final = 20
STEP: Final = 120
IN_BED: Final = COUNT
_MISSING: Final = np.array([feature.missing for feature in FEATURES], dtype=np.int16)
ABSENT: Final = np.append(_MISSING, np.int16(0))
_TIMED: Final = -1
_ROOM: Final = 64


class ContextError(NoctisError):
    """A row that is no epoch: of a wrong shape, or with codes out of range."""


class Pushed(StrEnum):
    """What became of a row: only a LAST one is worth a live prediction."""

    LAST = "last"
    LATE = "late"
    DUPLICATE = "duplicate"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Moment:
    """Where an epoch stands: its sequence number and the start on its time base.

    ``time_s``: unix seconds, or seconds since boot number ``boot`` where no clock was known.
    """

    seq: int
    time_s: float
    boot: int | None = None


def row_from_codes(codes: ArrayLike, in_bed: object) -> Rows:
    """Return the row, shape (16,), of an epoch's 15 codes and whether somebody is in bed.

    Raises ContextError for another number of codes or a code out of range.
    """
    array = np.asarray(codes)
    if array.shape != (COUNT,):
        message = f"an epoch has {COUNT} codes, not an array of shape {array.shape}"
        raise ContextError(message, hint="pass one row of Frame.codes")
    if ((array < 0) | (array > _MISSING)).any():
        name = FEATURES[int(((array < 0) | (array > _MISSING)).argmax())].name
        message = f"the code of {name} is out of range"
        raise ContextError(message, hint="quantise the values with noctis.features.quantise")
    row = np.empty(COUNT + 1, np.int16)
    row[:COUNT] = array
    row[IN_BED] = bool(in_bed)
    return row


class Context:
    """The last DEPTH rows of one stream, in order of sequence number.

    Rows may come in any order and more than once. The first row of a sequence number counts;
    a late one takes its place, so that later predictions see it; one before the oldest of
    DEPTH rows changes nothing.
    """

    def __init__(self) -> None:
        self._begin = self._end = 0
        self._seqs = np.zeros(_ROOM, np.int64)
        self._times = np.zeros(_ROOM)
        self._boots = np.zeros(_ROOM, np.int64)
        self._rows: Rows = np.zeros((_ROOM, COUNT + 1), np.int16)
        self._even = 0  # rows at the end that are known to follow each other on the grid

    def __len__(self) -> int:
        return self._end - self._begin

    @property
    def last_seq(self) -> int | None:
        """The highest sequence number, None before the first row."""
        return int(self._seqs[self._end - 1]) if len(self) else None

    def push(self, moment: Moment, row: Rows) -> Pushed:
        """Take in the row (see ``row_from_codes``) of the epoch at ``moment``."""
        known = self._seqs[self._begin : self._end]
        place = len(known)
        if place and moment.seq <= known[-1]:
            place = int(known.searchsorted(moment.seq))
            if known[place] == moment.seq:
                return Pushed.DUPLICATE
            if place == 0 and len(known) == DEPTH:
                return Pushed.STALE
        late = place < len(known)
        self._make_room(place)
        at = self._begin + place - (len(known) == DEPTH)
        self._seqs[at], self._times[at] = moment.seq, moment.time_s
        self._boots[at] = _TIMED if moment.boot is None else moment.boot
        self._rows[at] = row
        self._even = 1 if late or not self._follows(at) else self._even + 1
        return Pushed.LATE if late else Pushed.LAST

    def features(self) -> NDArray[np.float32]:
        """Return the features, shape (FEATURE_COUNT,), of the row with the highest number."""
        return features(self.session())

    def session(self) -> Rows:
        """Return the session, see ``session_of``, of the row with the highest number.

        What comes later does not change it.
        """
        session = session_of(self.window())
        if len(session) < DEPTH:
            return session
        return session[self._first_step() :]

    def window(self) -> Rows:
        """Return the last places of the 30 s grid, shape (n, 16), n up to DEPTH; a read view.

        Time that goes back, another boot without a clock, or a change between the two time
        bases begins a new window; a place without an epoch is a row of missing codes.
        """
        part, places = self._grid()
        rows = self._rows[part]
        if places is None:
            return rows
        grid = np.tile(ABSENT, (int(places[-1]) + 1, 1))
        grid[places] = rows
        return grid

    def _grid(self) -> tuple[slice, NDArray[np.intp] | None]:
        """Return which rows lie in the window, and their places; None: one behind the other."""
        part = slice(self._begin, self._end)
        if self._even >= len(self):  # as nearly always: there is nothing to lay out
            return part, None
        places = _places(self._times[part], self._boots[part])
        part = slice(self._end - len(places), self._end)
        return part, None if places[-1] == len(places) - 1 else places

    def _first_step(self) -> int:
        """Return the place in a full window of the first number that STEP divides; 0: none."""
        part, places = self._grid()
        seqs = self._seqs[part]
        row = int(seqs.searchsorted(_step(int(seqs[0]))))
        if row == len(seqs):
            return 0
        return row if places is None else int(places[row])

    def _follows(self, at: int) -> bool:
        """Tell whether a row takes the grid's next place after the row before it."""
        if at == self._begin:
            return False
        step = self._times[at] - self._times[at - 1]
        return bool(0 < step < 1.5 * EPOCH_SECONDS and self._boots[at] == self._boots[at - 1])

    def _make_room(self, place: int) -> None:
        """Open a free row after ``place`` rows, letting go of the oldest of DEPTH rows."""
        arrays = (self._seqs, self._times, self._boots, self._rows)
        if len(self) == DEPTH:
            self._begin += 1
            place -= 1
        if self._end == len(self._seqs) or place < len(self):
            arrays = self._moved()  # a window that was read keeps the rows as they were
        if place < len(self):
            at = self._begin + place
            for array in arrays:
                array[at + 1 : self._end + 1] = array[at : self._end].copy()
        self._end += 1

    def _moved(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], Rows]:
        """Move the rows to the front of new arrays with some more room."""
        part, count = slice(self._begin, self._end), len(self)
        pad = _ROOM
        self._seqs = np.concatenate((self._seqs[part], np.zeros(pad, np.int64)))
        self._times = np.concatenate((self._times[part], np.zeros(pad)))
        self._boots = np.concatenate((self._boots[part], np.zeros(pad, np.int64)))
        room = np.zeros((pad, COUNT + 1), np.int16)
        self._rows = np.concatenate((self._rows[part], room))
        self._begin, self._end = 0, count
        return self._seqs, self._times, self._boots, self._rows


def _places(times: NDArray[np.float64], boots: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the places of a window's rows, the last ones of these, from 0 on."""
    steps = np.diff(times)
    breaks = np.flatnonzero((steps <= 0) | (np.diff(boots) != 0))
    begin = int(breaks[-1]) + 1 if len(breaks) else 0
    places = np.zeros(len(times) - begin, np.intp)
    # A device that restarted is off the old grid: each step counts as its nearest number of
    # places, and as one place at least.
    steps = np.maximum(np.floor(steps[begin:] / EPOCH_SECONDS + 0.5), 1)
    np.cumsum(steps.astype(np.intp), out=places[1:])
    first = int(places.searchsorted(places[-1] - DEPTH + 1))
    return np.asarray(places[first:] - places[first])


def _step(seq: int) -> int:
    """Return the first number from ``seq`` on that STEP divides."""
    return -(-seq // STEP) * STEP


def session_of(window: Rows) -> Rows:
    """Return the codes, shape (m, 15), since the sleeper of the window's last row came to bed.

    ``window``: rows, shape (n, 16), one for each place of the grid, oldest first. More than
    GAP places in a row without anybody in bed end a session; fewer are a walk to the bathroom
    and stay as missing codes. Empty where nobody is in bed for longer than that.
    """
    occupied = np.flatnonzero(window[:, IN_BED])
    if not len(occupied) or len(window) - 1 - occupied[-1] > GAP:
        return window[:0, :COUNT]
    if len(occupied) == len(window):
        return window[:, :COUNT]
    gaps = np.flatnonzero(np.diff(occupied) > GAP + 1)
    begin = occupied[gaps[-1] + 1] if len(gaps) else occupied[0]
    session = window[begin:, :COUNT].copy()
    session[window[begin:, IN_BED] == 0] = _MISSING
    return session


def night_features(rows: Rows, at: Sequence[int] | None = None) -> NDArray[np.float32]:
    """Return the features, shape (k, FEATURE_COUNT), of a night's rows ``at``, or of all.

    ``rows``: shape (n, 16), one unbroken grid. Row i sees the rows up to i alone, as in a
    live context.
    """
    sessions = night_sessions(rows, at)
    table = np.empty((len(sessions), FEATURE_COUNT), np.float32)
    for row, session in zip(table, sessions, strict=True):
        row[:] = features(session)
    return table


def night_sessions(rows: Rows, at: Sequence[int] | None = None) -> list[Rows]:
    """Return the sessions of a night's rows ``at``, or of all.

    As a context has them that is pushed the rows by their places as sequence numbers.
    """
    places = range(len(rows)) if at is None else at
    return [_night_session(rows, last) for last in places]


def _night_session(rows: Rows, last: int) -> Rows:
    first = max(0, last + 1 - DEPTH)
    session = session_of(rows[first : last + 1])
    return session if len(session) < DEPTH else session[_step(first) - first :]
