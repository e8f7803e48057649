"""All 15 features of a night's epochs, in the order of ``noctis/features.toml``."""

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tests.reference import breathing, motion
from tests.reference.signals import Reading, Signals

Array = NDArray[np.float64]

EPOCH_MS = 30_000
RATE_STUCK_MS = 600_000
WAVE_STUCK_MS = 10_000
PRESENCE_STUCK_MS = 600_000
HOLD_MS = 5_000


def features(signals: Signals, epochs: int) -> Array:
    """Return the features (epochs, 15) of the first epochs, NaN = missing."""
    readings = signals.readings()
    stuck = _stuck(readings)
    hung = _hung(readings, stuck)
    wave = _wave([r for r, bad in zip(readings, stuck, strict=True) if not bad])
    rates = [
        r
        for r, bad, hangs in zip(readings, stuck, hung, strict=True)
        if r.kind in {"heart", "breath"} and r.values[0] > 0 and not bad and not hangs
    ]
    table = np.full((epochs, 15), np.nan)
    for epoch in range(epochs):
        start = epoch * EPOCH_MS
        beats = _slots([r for r in rates if r.kind == "heart"], start)
        table[epoch, :5] = heart(beats)
        breath = _slots([r for r in rates if r.kind == "breath"], start)
        known = breath[~np.isnan(breath)]
        table[epoch, 5] = known.mean() if len(known) else np.nan
        table[epoch, 6:9] = breathing.summary(*wave, start)
    table[:, 9:14] = motion.summaries(*signals.acceleration(), epochs)
    moved = [(k + 1) * EPOCH_MS for k in np.flatnonzero(table[:, 11] > 0)]
    table[:, 14] = quality(readings, rates, moved, epochs)
    return table


def heart(slots: Array) -> tuple[float, float, float, float, float]:
    """Return mean, deviation, slope per minute, RMSSD and range of six slots, NaN = unheard."""
    places = np.flatnonzero(~np.isnan(slots))
    known = slots[places]
    steps = np.diff(slots)
    steps = steps[~np.isnan(steps)]
    return (
        float(known.mean()) if len(known) >= 1 else np.nan,
        float(known.std(ddof=1)) if len(known) >= 3 else np.nan,
        float(12 * np.polyfit(places, known, 1)[0]) if len(known) >= 4 else np.nan,
        float(np.sqrt(np.mean(steps**2))) if len(steps) >= 2 else np.nan,
        float(np.ptp(known)) if len(known) >= 3 else np.nan,
    )


def quality(
    readings: Sequence[Reading], rates: Sequence[Reading], moved: Sequence[int], epochs: int
) -> Array:
    """Return presence times valid share of each epoch, NaN where the radar was silent.

    ``rates`` are the believable ones, ``moved`` the ends of epochs with a moving second.
    """
    present, valid, heard = np.zeros((3, epochs, 30), bool)
    beats = [rate.ms for rate in rates if rate.kind == "heart"]
    presence = _Presence(sorted([*(rate.ms for rate in rates), *moved]))
    for reading in readings:
        place = divmod(reading.ms // 1000, 30)
        if place[0] >= epochs:
            break
        heard[place] = True
        present[place] = presence.after(reading)
        last = bisect_right(beats, reading.ms) - 1
        held = HOLD_MS if reading.kind == "movement" else 0
        valid[place] |= last >= 0 and reading.ms - beats[last] <= held
    share = present.mean(axis=1) * valid.mean(axis=1)
    return np.where(heard.any(axis=1), share, np.nan)


class _Presence:
    """Whether someone is there: said in the last 5 s, and not for 10 min without life."""

    def __init__(self, life: list[int]) -> None:
        self._life = life
        self._said: int | None = None
        self._came = 0

    def after(self, reading: Reading) -> bool:
        if reading.kind in {"presence", "movement"}:
            fresh = self._said is not None and reading.ms - self._said <= HOLD_MS
            restless = reading.kind == "movement" and reading.values[0] > 1
            if restless or not fresh:
                self._came = reading.ms
            self._said = reading.ms if reading.values[0] > 0 else None
        place = bisect_right(self._life, reading.ms)
        life = max(self._came, self._life[place - 1] if place else 0)
        there = self._said is not None and reading.ms - self._said <= HOLD_MS
        return there and reading.ms - life <= PRESENCE_STUCK_MS


def _slots(rates: Sequence[Reading], start: int) -> Array:
    """Return the last rate in each 5 s of the epoch, NaN where there was none."""
    slots = np.full(6, np.nan)
    for rate in rates:
        if start <= rate.ms < start + EPOCH_MS:
            slots[(rate.ms - start) // 5000] = rate.values[0]
    return slots


def _stuck(readings: Sequence[Reading]) -> list[bool]:
    """Return which readings only repeat what was said for too long."""
    limits = {"heart": RATE_STUCK_MS, "breath": RATE_STUCK_MS, "wave": WAVE_STUCK_MS}
    runs: dict[str, tuple[int, Reading]] = {}
    result = []
    for reading in readings:
        begun, last = runs.get(reading.kind, (reading.ms, reading))
        if last.values != reading.values or reading.ms - last.ms >= HOLD_MS:
            begun = reading.ms
        runs[reading.kind] = (begun, reading)
        limit = limits.get(reading.kind)
        result.append(limit is not None and reading.ms - begun > limit)
    return result


def _hung(readings: Sequence[Reading], stuck: Sequence[bool]) -> list[bool]:
    """Return for each reading whether the newest wave was a stuck one, at most 5 s ago."""
    since: int | None = None
    result = []
    for reading, bad in zip(readings, stuck, strict=True):
        if reading.kind == "wave":
            since = reading.ms if bad else None
        result.append(since is not None and reading.ms - since <= HOLD_MS)
    return result


def _wave(readings: Sequence[Reading]) -> tuple[Array, Array]:
    """Return times (ms) and phases of the wave; five in one reading span its last second.

    Those of them that lie in the epoch before come too late for it.
    """
    wave: list[tuple[int, float]] = []
    for reading in readings:
        if reading.kind == "wave":
            newest_first = enumerate(reversed(reading.values))
            times = [(reading.ms - 200 * back, phase) for back, phase in newest_first]
            begun = reading.ms // EPOCH_MS * EPOCH_MS
            wave += [(ms, phase) for ms, phase in reversed(times) if ms >= begun]
    table = np.array(wave, np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]
