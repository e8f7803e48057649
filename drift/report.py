"""What is told of drift: a verdict for each channel, the changes, and what to look at."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from drift import chance
from drift.acknowledged import as_told, known_changes, known_channels
from drift.changes import Change, find
from drift.distances import Scales, distances, pooled
from noctis.features import FEATURES
from noctis.histograms import PLACES, NightSummary
from noctis.stages import LABELS
from noctis.storage.drift_acknowledgements import Acknowledgement
from registry.fingerprint import Fingerprint

__all__ = ["LOOKBACK_DAYS", "WINDOW_DAYS", "Channel", "Report", "Verdict", "compare"]

WINDOW_DAYS: Final = 14
LOOKBACK_DAYS: Final = 56
FEWEST_NIGHTS: Final = 3

Verdict = Literal["stable", "drift", "unknown"]
ChannelVerdict = Literal["stable", "drift", "unlearnt", "acknowledged"]


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of the window against training.

    ``wasserstein`` is in ``unit``, ``wasserstein_scaled`` in the interquartile range of
    training; ``missing`` is a share, ``missing_change`` that less the share in training.
    ``limits``: what chance may reach, by name. None: no value to compare. ``verdict``:
    ``unlearnt`` where training had no value of it, so that the model does not look at it;
    ``acknowledged`` where all that is beyond chance is what a person has looked at.
    """

    name: str
    unit: str
    verdict: ChannelVerdict
    why: tuple[str, ...]
    psi: float | None
    ks: float | None
    wasserstein: float | None
    wasserstein_scaled: float | None
    missing: float
    missing_change: float
    limits: dict[str, float]


@dataclass(frozen=True, slots=True)
class Report:
    """Drift of a group of devices: ``sleepers`` of them with ``nights`` in the window.

    ``changes``: None where there are too few nights to know what is usual. ``stages``: the
    shares of what the model told in the window. ``acknowledged``: what a person has looked at
    and is told no more, with who and why.
    """

    model: str
    since: date
    until: date
    verdict: Verdict
    nights: int
    sleepers: int
    channels: tuple[Channel, ...]
    changes: tuple[Change, ...] | None
    stages: dict[str, float]
    trained_stages: dict[str, float]
    confidence: float | None
    acknowledged: tuple[dict[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return {
            "model": self.model,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "verdict": self.verdict,
            "nights": self.nights,
            "sleepers": self.sleepers,
            "channels": [_as_json(it) for it in self.channels],
            "changes": None if self.changes is None else [_as_json(it) for it in self.changes],
            "stages": self.stages,
            "trained_stages": self.trained_stages,
            "confidence": self.confidence,
            "acknowledged": list(self.acknowledged),
        }


def compare(
    fingerprint: Fingerprint,
    nights: Sequence[NightSummary],
    *,
    model: str,
    since: date,
    until: date,
    acknowledged: Sequence[Acknowledgement] = (),
) -> Report:
    """Return the report on nights with since <= evening < until, and of those before them.

    The window is held against the fingerprint; changes are looked for in all ``nights``. Of a
    stream whose change is ``acknowledged`` another change is looked for since that was told.
    Raises ModelError where the fingerprint is of too few subjects.
    """
    inside = [it for it in nights if since <= it.evening < until and _epochs(it)]
    sleepers = _by_sleeper(inside)
    seen = known_channels(acknowledged, model)
    channels = _channels(fingerprint, sleepers, seen) if len(sleepers) else ()
    changes = find([it for it in nights if it.evening < until], known_changes(acknowledged))
    is_drift = bool(changes) or any(it.verdict == "drift" for it in channels)
    few = len(inside) < FEWEST_NIGHTS
    stages = sum((it.stages for it in inside), np.zeros(len(LABELS), np.int64))
    sure = [it.confidence for it in inside if it.confidence is not None]
    return Report(
        model=model,
        since=since,
        until=until,
        verdict="unknown" if few else "drift" if is_drift else "stable",
        nights=len(inside),
        sleepers=len(sleepers),
        channels=channels,
        changes=None if changes is None else tuple(changes),
        stages=_named(stages),
        trained_stages=_named(fingerprint.stages),
        confidence=round(float(np.mean(sure)), 4) if sure else None,
        acknowledged=tuple(as_told(it) for it in acknowledged),
    )


def _channels(
    fingerprint: Fingerprint, sleepers: NDArray[np.int64], seen: Collection[str]
) -> tuple[Channel, ...]:
    reference = fingerprint.total.astype(np.float64)
    scales = Scales(fingerprint.total)
    window = pooled(sleepers, np.ones(len(sleepers)))
    found = distances(reference, window, scales)
    limits = chance.of(fingerprint).limits(len(sleepers))
    shares = [float(window[place][-1] / window[place].sum()) for place in PLACES]
    return tuple(
        Channel(
            name=feature.name,
            unit=feature.unit,
            verdict=_verdict(feature.name, why, seen) if scales.learnt[n] else "unlearnt",
            why=why,
            psi=_number(found[n, 0]),
            ks=_number(found[n, 1]),
            wasserstein=_number(found[n, 2] * scales.units[n]),
            wasserstein_scaled=_number(found[n, 2]),
            missing=round(shares[n], 4),
            missing_change=round(float(found[n, 3]), 4),
            limits=dict(zip(_LIMITS, np.round(limits[n], 4).tolist(), strict=True)),
        )
        for n, feature in enumerate(FEATURES)
        for why in [_why(found[n], limits[n])]
    )


_LIMITS: Final = ("psi", "ks", "wasserstein_scaled", "missing_change")


def _why(found: NDArray[np.float64], limits: NDArray[np.float64]) -> tuple[str, ...]:
    """Return what is beyond chance: the values, by all three measures, or what is missing."""
    beyond = np.abs(found) > limits
    values = ("values",) if beyond[:3].all() else ()
    return (*values, "missing") if beyond[3] else values


def _verdict(name: str, why: Sequence[str], seen: Collection[str]) -> ChannelVerdict:
    if not why:
        return "stable"
    return "acknowledged" if all(f"{name} {it}" in seen for it in why) else "drift"


def _by_sleeper(nights: Sequence[NightSummary]) -> NDArray[np.int64]:
    """Return the histograms of each device's nights together, shape (devices, SIZE)."""
    devices: dict[str, NDArray[np.int64]] = {}
    for night in nights:
        devices[night.device] = devices.get(night.device, 0) + night.histograms
    return np.array(list(devices.values()))


def _epochs(night: NightSummary) -> int:
    return int(night.histograms[PLACES[0]].sum())


def _named(stages: NDArray[np.int64]) -> dict[str, float]:
    total = stages.sum()
    if not total:
        return {}
    return dict(zip(LABELS, np.round(stages / total, 4).tolist(), strict=True))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


def _as_json(it: Channel | Change) -> dict[str, Any]:
    if isinstance(it, Change):
        dates = {"since": it.since.isoformat(), "told": it.told.isoformat()}
        return {"stream": it.stream, **dates, "by": it.by}
    return {name: getattr(it, name) for name in Channel.__slots__}
