"""Rounds in which the ways take turns, so that what else a machine does strikes all of them."""

from dataclasses import dataclass, field
from datetime import timedelta
from statistics import median
from typing import Any, Final

from bench.load import Fleet, Load
from bench.stage import PASSWORD, Running, Stage, say
from bench.ways import acknowledged, bare, outrun, raw_copy

__all__ = ["Runs", "alternate", "bind"]

PART: Final = 32_000
"""Rows of a transaction of raw COPY, as of the ingestor's largest."""


@dataclass(slots=True)
class Runs:
    """Epochs a second of each way, round by round, and what the ingestor's took.

    ``bound`` epochs were stored before the rounds.
    """

    rates: dict[str, list[float]] = field(default_factory=dict)
    epochs: int = 0
    bound: int = 0
    cpu_s: float = 0.0
    broker_cpu_s: float = 0.0
    memory_mib: float = 0.0
    unacknowledged: int = 0

    def note(self, way: str, rate: float) -> None:
        """Write a round's rate down."""
        self.rates.setdefault(way, []).append(rate)

    def take(self, stage: Stage, load: Load, warm: Fleet, *, within_s: float = 0.0) -> None:
        """Let an ingestor store a load, and write down what that took.

        It has just started: a message of each device of ``warm`` gets it going. The load is
        sent evenly over so many seconds, or as fast as the broker takes it.
        """
        with stage.ingestor() as ingestor:
            self.bound += send_each(stage, warm, ingestor)
            taken = acknowledged(stage, load, ingestor, within_s=within_s)
            self.memory_mib = max(self.memory_mib, ingestor.memory_mib())
        self.note("ingestor", load.epochs / taken.seconds)
        self.epochs += load.epochs
        self.cpu_s += taken.cpu_s
        self.broker_cpu_s += taken.broker_cpu_s
        self.unacknowledged += taken.unacknowledged

    def ratios(self, way: str, to: str) -> list[float]:
        """Return one way's rate by another's, round by round, in their order."""
        pairs = zip(self.rates[way], self.rates[to], strict=True)
        return sorted(round(one / other, 3) for one, other in pairs)

    def median(self, way: str) -> float:
        """Return a way's middle rate."""
        return median(self.rates[way])

    @property
    def cpu_per_epoch(self) -> float:
        """The ingestor's processor time for an epoch, in seconds."""
        return self.cpu_s / self.epochs

    def told(self) -> dict[str, Any]:
        """Return all of it for people."""
        per_epoch = self.cpu_per_epoch
        return {
            "per_second": {way: _spread(it) for way, it in self.rates.items()},
            "epochs": self.epochs,
            "unacknowledged": self.unacknowledged,
            "ingestor_cpu_us_per_epoch": round(1e6 * per_epoch, 1),
            "broker_cpu_us_per_epoch": round(1e6 * self.broker_cpu_s / self.epochs, 1),
            "ingestor_per_second_and_core": round(1 / per_epoch) if per_epoch else None,
            "ingestor_memory_mib": round(self.memory_mib),
        }


def _spread(rates: list[float]) -> dict[str, int]:
    values = {"median": median(rates), "least": min(rates), "most": max(rates)}
    return {name: round(value) for name, value in values.items()}


def alternate(stage: Stage, fleet: Fleet, warm: Fleet, *, messages: int, rounds: int) -> Runs:
    """Measure the ingestor beside the C subscriber, the publisher alone and raw COPY."""
    runs = Runs(bound=bind(stage, fleet))
    copied = Fleet(
        fleet.devices, "backlog", timedelta(days=60), stage.folder, PASSWORD, 1 << 40
    )
    for number in range(rounds):
        say(f"{fleet.channel} of {fleet.devices} devices, round {number + 1} of {rounds}")
        load = fleet.load(messages)
        runs.note("c_subscriber", load.epochs / bare(stage, load))
        runs.note("publisher", load.epochs / outrun(stage, load))
        parts = copied.table(load.epochs, max(1, load.epochs // PART))
        runs.note("raw_copy", sum(map(len, parts)) / raw_copy(stage, parts))
        runs.take(stage, load, warm)
        load.path.unlink()
    return runs


def bind(stage: Stage, fleet: Fleet) -> int:
    """Let an ingestor bind the streams of a fleet, as those of a running platform are.

    Returns the epochs that were stored for it.
    """
    with stage.ingestor() as ingestor:
        return send_each(stage, fleet, ingestor)


def send_each(stage: Stage, fleet: Fleet, ingestor: Running) -> int:
    """Send a frame of each device; return the epochs once they are acknowledged."""
    load = fleet.load(fleet.devices)
    acknowledged(stage, load, ingestor)
    load.path.unlink()
    return load.epochs
