"""A made-up night as its report sees it, and what a drawing of it shows."""

import re
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import numpy as np

from cli.nouns.nights import hypnogram, told
from cli.report.night import WholeNight
from cli.report.week import Row, WholeWeek
from noctis import trends
from noctis.figures import figures
from noctis.hypnogram import MISSING, OUT_OF_BED, UNSTAGED, Hypnogram
from noctis.stages import Stage
from noctis.storage.recordings import Night, Recording

__all__ = ["BEDTIME", "CODES", "MONDAY", "START", "SVG", "groups", "night", "texts", "week"]

SVG: Final = "{http://www.w3.org/2000/svg}"
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


MONDAY: Final = date(2026, 3, 23)
"""Of the week whose Saturday's night leaves out an hour in Berlin."""
BEDTIME: Final = datetime(2026, 3, 23, 22, 0, tzinfo=UTC)


def week(*evenings: int, regularity: float | None = 81.3) -> WholeWeek:
    """A week in Berlin with nights of these evenings, Monday 0, each begun at 22:00 UTC."""
    rows = []
    for day in range(7):
        at = MONDAY + timedelta(days=day)
        found = night(BEDTIME + timedelta(days=day)).night if day in evenings else None
        rows.append(Row(at, found, "" if found else "no night"))
    nights = [
        trends.Evening(it.evening, {**it.night["figures"], "bedtime_min": it.begin_min})
        for it in rows
        if it.night is not None
    ]
    [spread] = trends.weeks(nights, MONDAY, MONDAY + timedelta(days=7))
    told = {**asdict(spread), "regularity": regularity}
    return WholeWeek("home/bed", MONDAY, told, "Europe/Berlin", rows)


def groups(root: ET.Element, name: str) -> list[list[tuple[float, float]]]:
    """Return the lines of a group of the drawing, each as its points in order."""
    [found] = [it for it in root.iter(f"{SVG}g") if it.get("id") == name]
    paths = " ".join(it.get("d", "") for it in found.iter(f"{SVG}path"))
    lines: list[list[tuple[float, float]]] = []
    for letter, x, y in re.findall(r"([ML]) (-?[\d.]+) (-?[\d.]+)", paths):
        if letter == "M":
            lines.append([])
        lines[-1].append((float(x), float(y)))
    return lines


def texts(root: ET.Element) -> list[tuple[str, float]]:
    """Return what is written, and where from left to right."""
    return [(it.text or "", float(it.get("x", "0"))) for it in root.iter(f"{SVG}text")]
