"""A made-up night as its report sees it."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

from cli.nouns.nights import hypnogram, told
from cli.report.night import WholeNight
from noctis.figures import figures
from noctis.hypnogram import MISSING, OUT_OF_BED, UNSTAGED, Hypnogram
from noctis.stages import Stage
from noctis.storage.recordings import Night, Recording

__all__ = ["CODES", "START", "night"]

START: Final = datetime(2026, 11, 21, 21, 30, tzinfo=UTC)
ZONE: Final = "Europe/Berlin"
CODES: Final = np.array(
    [Stage.WAKE] * 20
    + [Stage.LIGHT] * 300
    + [Stage.DEEP] * 120
    + [OUT_OF_BED] * 10
    + [Stage.LIGHT] * 100
    + [Stage.REM] * 80
    + [UNSTAGED] * 4
    + [MISSING] * 2
    + [Stage.WAKE] * 4,
    np.uint8,
)
"""5 h 20 min."""


def night(start: datetime = START, codes: Hypnogram = CODES) -> WholeNight:
    """Return a night in Berlin with a value for each epoch, the same each time."""
    count = len(codes)
    missing, unstaged = (int((codes == it).sum()) for it in (MISSING, UNSTAGED))
    recording = Recording(
        id=UUID(int=7),
        device="bed",
        revision=3,
        night=Night(
            state="closed",
            evening=(start.astimezone(ZoneInfo(ZONE)) - timedelta(hours=12)).date(),
            time_zone=ZONE,
            started_at=start,
            ended_at=start + timedelta(seconds=30 * count),
            hypnogram=codes.tobytes(),
            model_id=1,
            moved=0,
            closes_at=None,
        ),
        figures=figures(codes),
        epochs=count - missing,
        missing=missing,
        unstaged=unstaged,
        model="stager@1",
        replaced_by=None,
        revised_at=start,
    )
    waves = np.sin(np.arange(count) / 25.0)
    return WholeNight(
        told("home", recording) | hypnogram(codes.tolist()),
        hypnogram(codes.tolist())["hypnogram"],
        heart=58 + 5 * waves,
        breath=14 + waves,
        motion=np.where(waves > 0.99, 12.0, 0.0),
    )
