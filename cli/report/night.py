"""A night as its report shows it: stages and what was measured, a value for each 30 s."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from cli.nouns.documents import Document
from cli.nouns.nights import Nights
from noctis.epoch import EPOCH_SECONDS
from noctis.identity import DeviceId

__all__ = ["Run", "Trace", "WholeNight", "mean", "runs", "whole"]

Trace = NDArray[np.float64]
"""Shape (n,), a value for each 30 s; nan: nothing was measured."""

_PART: Final = timedelta(hours=6)
"""Fewer epochs than one question for what was measured is answered with."""


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of one label: columns with begin <= column < end."""

    label: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class WholeNight:
    """A night's document, the labels of its hypnogram, and what was measured.

    Heart rate and breathing are per minute, of who is in bed; movement is percent of the time.
    """

    night: Document
    stages: list[str]
    heart: Trace
    breath: Trace
    motion: Trace

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the bed."""
        return ZoneInfo(self.night["time_zone"])

    @property
    def begin(self) -> datetime:
        """When the first epoch began."""
        return datetime.fromisoformat(self.night["started_at"])

    @property
    def end(self) -> datetime:
        """When the last epoch ended."""
        return self.at(len(self.stages))

    def at(self, column: int) -> datetime:
        """Return when an epoch began."""
        return self.begin + timedelta(seconds=EPOCH_SECONDS * column)


def whole(nights: Nights, night: Document) -> WholeNight:
    """Return a night, as ``nights`` told it with its hypnogram, with what was measured."""
    stages: list[str] = night["hypnogram"]
    heart, breath, motion = (np.full(len(stages), np.nan) for _ in range(3))
    begin = datetime.fromisoformat(night["started_at"])
    for row in _measured(nights, night, begin):
        passed = datetime.fromisoformat(row["t"]) - begin
        place = round(passed.total_seconds() / EPOCH_SECONDS)
        if not 0 <= place < len(stages):
            continue
        motion[place] = _known(row["movement"]) * 100
        if row["in_bed"]:
            heart[place] = _known(row["heart_rate"])
            breath[place] = _known(row["breathing"])
    return WholeNight(night, stages, heart, breath, motion)


def _measured(nights: Nights, night: Document, begin: datetime) -> Iterator[Document]:
    who = DeviceId.parse(night["device"])
    end = datetime.fromisoformat(night["ended_at"])
    while begin < end:
        until = min(begin + _PART, end)
        yield from nights.measured(who, begin, until)
        begin = until


def runs(stages: list[str]) -> list[Run]:
    """Return the stretches of one label, in order."""
    edges = [i for i in range(1, len(stages)) if stages[i] != stages[i - 1]]
    ends = [*edges, len(stages)]
    return [Run(stages[a], a, b) for a, b in zip([0, *edges], ends, strict=True) if a < b]


def mean(trace: Trace, run: Run) -> float | None:
    """Return the mean of a stretch; None where nothing was measured."""
    part = trace[run.begin : run.end]
    known = part[~np.isnan(part)]
    return float(known.mean()) if len(known) else None


def _known(value: float | None) -> float:
    return np.nan if value is None else value
