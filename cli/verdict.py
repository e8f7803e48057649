"""What became of a night's epochs: the device's log held against what is stored."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.figures import accuracy, confusion, kappa
from noctis.epoch import EPOCH_SECONDS
from noctis.stages import Stage
from noctis.storage.census import Census

__all__ = [
    "Agreement",
    "Entry",
    "Key",
    "Latency",
    "Report",
    "judge",
    "key_of",
    "read_log",
    "stages_by_epoch",
]

Key = tuple[int, int]
Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far predictions and the night's own stages agree, over its scored epochs."""

    kappa: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Latency:
    """From the device's publish to the app's receipt of the stage, in milliseconds."""

    p50: float | None
    p95: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a night's epochs; ``verdict`` says whether all is well."""

    made: int
    stored: int
    lost: int
    duplicates: int
    predicted: int
    agreement: Agreement | None
    night_in_training: bool
    latency_ms: Latency
    seconds: float

    @property
    def verdict(self) -> bool:
        """Whether every epoch made was stored and predicted once, and nothing else."""
        whole = self.made == self.stored == self.predicted and self.made > 0
        return whole and self.lost == 0 and self.duplicates == 0

    def as_json(self) -> dict[str, Any]:
        """Return the report as one JSON object."""
        return asdict(self)


def read_log(log: Path) -> list[Entry]:
    """Return the device's own entries of the epochs it made: the truth."""
    if not log.exists():
        return []
    lines = log.read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


def key_of(entry: Entry) -> Key:
    """Return (stream, seq) of an entry of the log."""
    return int(entry["stream"], 16), entry["seq"]


def judge(
    log: Sequence[Entry],
    counted: Census,
    arrivals: Mapping[Key, float],
    reference: Sequence[Stage | None],
    *,
    in_training: bool,
    seconds: float,
) -> Report:
    """Return the report of a night: ``log`` is what the device made, and the only truth."""
    made = {key_of(entry): entry["record_hex"] for entry in log}
    stored = {(stream, seq): record for stream, seq, record in counted.records}
    kept = sum(stored.get(key) == record for key, record in made.items())
    return Report(
        made=len(made),
        stored=len(stored),
        lost=len(made) - kept,
        duplicates=len(counted.records) - len(stored) + len(log) - len(made),
        predicted=len({(stream, seq) for stream, seq, _ in counted.stages}),
        agreement=_agreement(stages_by_epoch(log, counted, len(reference)), reference),
        night_in_training=in_training,
        latency_ms=_latency(log, arrivals),
        seconds=round(seconds, 2),
    )


def stages_by_epoch(log: Sequence[Entry], counted: Census, epochs: int) -> list[Stage | None]:
    """Return the predicted stages in the night's order: an epoch's place is its time."""
    stages = {(stream, seq): stage for stream, seq, stage in counted.stages}
    night: list[Stage | None] = [None] * epochs
    for entry in log:
        place = round((entry["utc"] - log[0]["utc"]) / EPOCH_SECONDS)
        stage = stages.get(key_of(entry))
        if 0 <= place < epochs and stage is not None:
            night[place] = Stage(stage)
    return night


def _agreement(
    predicted: Sequence[Stage | None], reference: Sequence[Stage | None]
) -> Agreement | None:
    pairs = [
        (int(scored), int(stage))
        for stage, scored in zip(predicted, reference, strict=True)
        if stage is not None and scored is not None
    ]
    if not pairs:
        return None
    scored, stages = np.array(pairs).T
    table = confusion(scored.astype(np.int8), stages)
    return Agreement(round(float(kappa(table)), 4), round(float(accuracy(table)), 4))


def _latency(log: Sequence[Entry], arrivals: Mapping[Key, float]) -> Latency:
    published = {key_of(e): e["published_at"] for e in log if e["published_at"] is not None}
    waits = [1000 * (arrivals[k] - at) for k, at in published.items() if k in arrivals]
    if not waits:
        return Latency(None, None, 0)
    p50, p95 = np.percentile(waits, [50, 95])
    return Latency(round(float(p50), 2), round(float(p95), 2), len(waits))
