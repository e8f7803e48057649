"""A night's charts below each other on one axis of time: what the page's chart.js draws."""

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from cli.report.look import COLOURS, Sheet
from cli.report.night import Run, Trace, WholeNight, runs
from cli.report.words import NAMES, STAGES, clock, full_hours

__all__ = ["HEIGHT", "draw", "lane", "rectangles"]

HEIGHT: Final = 590
"""Pixels from the first chart's top to below the hours."""
LEFT: Final = 52
"""Pixels for names and numbers, left of the charts."""

_STAGES_PX: Final = 190
_TITLE_PX: Final = 32
_BAR: Final = 0.23
"""Half of a stage's height, of its lane."""
_EDGE_PX: Final = 0.4
_TRACES: Final = (
    ("heart", "Heart rate, bpm", 112, (50, 75)),
    ("breath", "Breathing, per minute", 92, (10, 20)),
    ("motion", "Movement, % of the time", 72, (0, 20)),
)
"""What, title, pixels, least range."""
_HOUR_PX: Final = 64
_STEPS: Final = (1, 2, 3, 6, 12, 24)


def draw(sheet: Sheet, whole: WholeNight, *, left: float, top: float, width: float) -> None:
    """Draw the night's charts; they take HEIGHT pixels from ``top``."""
    place, across = left + LEFT, width - LEFT
    charts = [sheet.axes(place, top, across, _STAGES_PX)]
    _hypnogram(charts[0], whole)
    top += _STAGES_PX
    for name, title, height, least in _TRACES:
        sheet.text(left, top + 17, title, size=11, colour="soft")
        charts.append(sheet.axes(place, top + _TITLE_PX, across, height))
        _trace(charts[-1], name, getattr(whole, name), least)
        top += _TITLE_PX + height
    _hours(charts, whole, across)


def lane(stage: str) -> int | None:
    """Return a stage's height in the hypnogram, deep at 0; None for what is no stage."""
    return len(STAGES) - 1 - STAGES.index(stage) if stage in STAGES else None


def rectangles(spans: Sequence[tuple[float, float]], low: float, high: float) -> Path:
    """Return one path of rectangles from ``low`` to ``high``, each from left to right."""
    corners = [
        point
        for a, b in spans
        for point in ((a, low), (a, high), (b, high), (b, low), (a, low))
    ]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    return Path(np.array(corners, float).reshape(-1, 2), codes * len(spans))


def _hypnogram(axes: Axes, whole: WholeNight) -> None:
    found = runs(whole.stages)
    axes.set_ylim(-0.6, len(STAGES) - 0.4)
    axes.set_yticks(range(len(STAGES)), [NAMES[it] for it in reversed(STAGES)])
    absent = [(it.begin, it.end) for it in found if it.label == "out_of_bed"]
    _fill(axes, rectangles(absent, *axes.get_ylim()), "gap", "out_of_bed")
    _fill(axes, _joints(found), "joint", "joints")
    for stage in STAGES:
        spans = [(it.begin, it.end) for it in found if it.label == stage]
        middle = lane(stage) or 0
        _fill(axes, rectangles(spans, middle - _BAR, middle + _BAR), stage, stage)


def _joints(found: list[Run]) -> Path:
    """Return a line from each stage to the next; none where something else is between."""
    points: list[tuple[float, float]] = []
    for before, after in itertools.pairwise(found):
        ends = lane(before.label), lane(after.label)
        if None not in ends:
            points += [(after.begin, float(it or 0)) for it in ends]
    codes = [Path.MOVETO, Path.LINETO] * (len(points) // 2)
    return Path(np.array(points, float).reshape(-1, 2), codes)


def _fill(axes: Axes, path: Path, colour: str, name: str) -> None:
    """Draw boxes, or the joints, whose edge keeps half a minute visible."""
    is_line = name == "joints"
    axes.add_patch(
        PathPatch(
            path,
            facecolor="none" if is_line else COLOURS[colour],
            edgecolor=COLOURS[colour],
            linewidth=1 if is_line else _EDGE_PX,
            joinstyle="miter",
            gid=f"stage-{name}",
        )
    )


def _trace(axes: Axes, name: str, trace: Trace, least: tuple[float, float]) -> None:
    """Draw one value for each epoch at its middle; a gap stays a gap."""
    middles = np.arange(len(trace)) + 0.5
    known = trace[~np.isnan(trace)]
    low = min(least[0], np.floor(known.min())) if len(known) else least[0]
    high = max(least[1], np.ceil(known.max())) if len(known) else least[1]
    axes.set_ylim(low, high)
    axes.locator_params(axis="y", nbins=4, integer=True)
    axes.grid(axis="y", color=COLOURS["grid"], linewidth=1)
    axes.set_axisbelow(True)
    colour = COLOURS[name]
    if name == "motion":
        moved = [(i, it) for i, it in enumerate(trace.tolist()) if it > 0]
        bars = [rectangles([(i, i + 1)], 0, it) for i, it in moved]
        path = Path.make_compound_path(*bars) if bars else rectangles([], 0, 0)
        axes.add_patch(PathPatch(path, facecolor=colour, linewidth=0, gid=f"trace-{name}"))
        return
    axes.plot(middles, trace, color=colour, linewidth=1.2, gid=f"trace-{name}")
    alone = _alone(trace)
    gid = f"alone-{name}"
    axes.plot(middles[alone], trace[alone], ".", color=colour, markersize=3, gid=gid)


def _alone(trace: Trace) -> np.ndarray:
    """Return which values have a gap on both sides: no line would show them."""
    gaps = np.concatenate(([True], np.isnan(trace), [True]))
    return gaps[:-2] & gaps[2:] & ~gaps[1:-1]


def _hours(charts: list[Axes], whole: WholeNight, across: float) -> None:
    """Give all charts the same axis: full hours by the clock where the bed stands."""
    count = len(whole.stages)
    length_h = (whole.end - whole.begin).total_seconds() / 3600
    room = max(across / _HOUR_PX, 1)
    every = next((it for it in _STEPS if length_h / it <= room), _STEPS[-1])
    hours = full_hours(whole.begin, whole.end, whole.zone, every)
    places = [(at - whole.begin) / (whole.end - whole.begin) * count for at in hours]
    for chart in charts:
        chart.set_xlim(0, count)
        chart.set_xticks(places, [""] * len(places))
        chart.grid(axis="x", color=COLOURS["grid"], linewidth=1)
        chart.set_axisbelow(True)
    charts[-1].set_xticklabels([clock(at, whole.zone) for at in hours])
