"""Nights: their figures, and a stage for each 30 s."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from noctis.client.epochs import utc64
from noctis.errors import ConfigurationError
from noctis.figures import Figures
from noctis.frames import EPOCH_SECONDS
from noctis.hypnogram import LABELS
from noctis.vitals import Vitals

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Night", "StagedNight", "nights_frame", "nights_in", "staged_night"]

_FIGURES: Final = tuple(it.name for it in fields(Figures))
_VITALS: Final = tuple(it.name for it in fields(Vitals))
_PERCENTS: Final = ("efficiency_percent", "light_percent", "deep_percent", "rem_percent")


@dataclass(frozen=True, slots=True)
class Night:
    """A night, or a nap, as it was last found, or what a person declared to be one.

    ``evening``: where the device stands, days going from noon to noon. ``state``: ``open``
    while it may go on, ``closed``, or ``withdrawn``. ``epochs``, ``missing``, ``unstaged``:
    how many are stored, are not, and have no stage. ``model``: the version that said
    the stages; ``staged_by``: ``live``, or ``night`` once it is over. ``vitals``: heart and
    breathing.
    """

    id: UUID
    device: str
    kind: str
    state: str
    revision: int
    evening: date
    time_zone: str
    started_at: datetime
    ended_at: datetime
    figures: Figures
    vitals: Vitals
    epochs: int
    missing: int
    unstaged: int
    model: str | None
    staged_by: str
    note: str | None
    tags: tuple[str, ...]
    excluded: bool


@dataclass(frozen=True, slots=True, eq=False)
class StagedNight(Night):
    """A night with its hypnogram.

    ``stages``, shape (n,): a code for each 30 s from ``started_at`` on, 0 to 3 for wake,
    light, deep and REM, 4 to 6 for out of bed, unstaged and missing.
    """

    stages: NDArray[np.int8]

    @property
    def labels(self) -> NDArray[np.str_]:
        """The stages' names, shape (n,): ``wake``, ``light``, ``deep``, ``rem`` and so on."""
        return np.array(LABELS)[self.stages]

    @property
    def times(self) -> NDArray[np.datetime64]:
        """The start of each 30 s in UTC, shape (n,)."""
        begin = utc64(self.started_at.isoformat())
        return begin + np.arange(len(self.stages)) * np.timedelta64(EPOCH_SECONDS, "s")

    def to_frame(self) -> "pd.DataFrame":
        """Return a row for each 30 s, by its start in the device's zone.

        ``stage`` is a category of the labels. Raises ConfigurationError without pandas.
        """
        pandas = _pandas()
        starts = pandas.DatetimeIndex(self.times, tz="UTC", name="start")
        stage = pandas.Categorical.from_codes(self.stages, categories=list(LABELS))
        return pandas.DataFrame({"stage": stage}, index=starts.tz_convert(self.time_zone))


def nights_frame(nights: Iterable[Night]) -> "pd.DataFrame":
    """Return a row for each night, by evening: its ends in UTC, and its figures.

    Minutes and percent, as ``noctis.figures`` has them, and breathing and heart, as
    ``noctis.vitals`` has them; NaN where one is undefined. Raises ConfigurationError without
    pandas.
    """
    pandas = _pandas()
    rows = [
        {"evening": it.evening, "device": it.device, "id": str(it.id), "state": it.state}
        | {"started_at": it.started_at, "ended_at": it.ended_at}
        | {name: _number(getattr(it.figures, name)) for name in (*_FIGURES, *_PERCENTS)}
        | {name: _number(getattr(it.vitals, name)) for name in _VITALS}
        for it in nights
    ]
    columns = ["evening", "device", "id", "state", "started_at", "ended_at"]
    frame = pandas.DataFrame(rows, columns=[*columns, *_FIGURES, *_PERCENTS, *_VITALS])
    frame["evening"] = pandas.to_datetime(frame["evening"])
    for name in ("started_at", "ended_at"):
        frame[name] = pandas.to_datetime(frame[name], utc=True)
    return frame.set_index("evening").sort_index()


def nights_in(page: Mapping[str, Any]) -> list[Night]:
    """Return the nights of a page."""
    return [Night(**_told(it)) for it in page["recordings"]]


def staged_night(night: Mapping[str, Any], hypnogram: Mapping[str, Any]) -> StagedNight:
    """Return a night of its two documents."""
    stages = np.array(hypnogram["codes"], np.int8)
    stages.setflags(write=False)
    return StagedNight(**_told(night), stages=stages)


def _told(night: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a night that a document tells."""
    told = {it.name: night[it.name] for it in fields(Night) if it.name != "vitals"}
    figures = {name: night["figures"].get(name) for name in _FIGURES}
    if figures["awakenings"] is not None:
        figures["awakenings"] = int(figures["awakenings"])
    return told | {
        "id": UUID(night["id"]),
        "evening": date.fromisoformat(night["evening"]),
        "started_at": datetime.fromisoformat(night["started_at"]),
        "ended_at": datetime.fromisoformat(night["ended_at"]),
        "figures": Figures(**figures),
        "vitals": Vitals(**{name: night["figures"].get(name) for name in _VITALS}),
        "tags": tuple(night["tags"]),
    }


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _pandas() -> Any:  # noqa: ANN401 - a module that may be absent
    try:
        import pandas  # noqa: ICN001, PLC0415 - only who wants frames needs it
    except ImportError as error:
        message = "frames need pandas, which is not installed"
        raise ConfigurationError(message, hint="pip install 'noctis[frames]'") from error
    return pandas
