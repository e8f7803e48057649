"""What to look at, for each thing that a report finds."""

from collections.abc import Iterator
from typing import Final

from drift.report import Report

__all__ = ["of"]

_MANY: Final = "look at what all have in common: a firmware, a sensor lot, a change of model"
_FAMILIES: Final = {
    "hr": "heart rate: firmware of the radar, its distance and aim; other people (age, drugs)",
    "rr": "breathing: the radar's aim at the chest, its firmware, something between",
    "resp": "breathing: the radar's aim at the chest, its firmware, something between",
    "act": "motion: the accelerometer's range and mount, the mattress",
    "enmo": "motion: the accelerometer's range and mount, the mattress",
    "move": "motion: the accelerometer's range and mount, the mattress",
    "still": "motion: the accelerometer's range and mount, the mattress",
    "tilt": "motion: the accelerometer's range and mount, the mattress",
    "quality": "valid samples: the radar's distance, another person or pet, a loose cable",
    "stage": "stages: what came in, and whether another version serves since then",
    "confidence": "confidence: what came in, and whether another version serves since then",
}
_MISSING: Final = (
    "a sensor that says nothing: noctis device shows its health; its cable, its aim"
)


def of(report: Report) -> list[str]:
    """Return a line for each family of channels that drifts, and what holds for all."""
    if report.verdict == "unknown":
        return ["too few nights: look again when three have closed"]
    lines = list(dict.fromkeys(_lines(report)))
    if lines and report.sleepers > 1:
        lines.append(_MANY)
    if report.changes is None:
        lines.append("changes are told once a device has more than seven nights")
    return lines


def _lines(report: Report) -> Iterator[str]:
    for channel in report.channels:
        if "values" in channel.why and channel.verdict == "drift":
            yield _FAMILIES[channel.name.partition("_")[0]]
        if "missing" in channel.why and channel.verdict == "drift":
            yield _MISSING
    for change in report.changes or ():
        name, _, rest = change.stream.partition(" ")
        yield _MISSING if rest == "missing" else _FAMILIES[name.partition("_")[0]]
