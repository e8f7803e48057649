"""A night as apps are told of it: the members of the facade's, from where that describes it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import numpy as np
from pydantic_core import from_json

from api.routes.recordings import Recording
from companion.last_nights import payload_of
from noctis.figures import figures
from noctis.storage import recordings
from noctis.storage.recordings import Night

__all__ = ["EXAMPLE", "SCHEMA"]

_BEGIN: Final = datetime(2026, 11, 21, 22, 20, tzinfo=UTC)


def _example() -> dict[str, Any]:
    """Return what apps are told of a night of eight hours."""
    cycle = np.repeat(np.array([1, 2, 1, 3, 0], np.uint8), (60, 55, 50, 25, 2))
    codes = np.concatenate([np.zeros(40, np.uint8), np.resize(cycle, 920)])
    night = Night(
        state="closed",
        evening=date(2026, 11, 21),
        time_zone="Europe/Berlin",
        started_at=_BEGIN,
        ended_at=_BEGIN + timedelta(seconds=30 * len(codes)),
        hypnogram=codes.tobytes(),
        model_id=1,
        moved=0,
        closes_at=None,
        staged_by="night",
    )
    told = recordings.Recording(
        id=UUID("0a3c5b52-6d5e-4b4e-9a53-0d1f6a0f2f11"),
        device="bedroom",
        revision=3,
        night=night,
        figures=figures(codes),
        epochs=len(codes),
        missing=0,
        unstaged=0,
        model="night-stager@20261120-9d3fd1b6",
        replaced_by=None,
        revised_at=night.ended_at + timedelta(minutes=46),
    )
    found: dict[str, Any] = from_json(payload_of(told))
    return found


def _schema(members: list[str]) -> dict[str, Any]:
    described = Recording.model_json_schema()["properties"]
    described["night"] = {**described["evening"], "description": "its evening"}
    properties = {name: described[name] for name in members}
    return {"type": "object", "required": members, "properties": properties}


EXAMPLE: Final = _example()
SCHEMA: Final = _schema(list(EXAMPLE))
