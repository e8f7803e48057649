"""What is promised under load, and whether a run held it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["KPIS", "Kpi", "Verdict", "judge"]


@dataclass(frozen=True, slots=True)
class Kpi:
    """A figure and its bound; ``most``: it may be so much, ``least``: it must be."""

    name: str
    told: str
    unit: str
    kind: Literal["most", "least"]
    bound: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """A figure as it was measured; None: it could not be, which holds nothing."""

    kpi: Kpi
    value: float | None

    @property
    def holds(self) -> bool:
        """Whether the promise was kept."""
        if self.value is None:
            return False
        if self.kpi.kind == "most":
            return self.value <= self.kpi.bound
        return self.value >= self.kpi.bound


KPIS: Final = (
    Kpi("stage_p95", "from the moment an epoch is due to its stage, p95", "ms", "most", 350),
    Kpi("stages_missing", "live epochs whose stage reached no app", "", "most", 0),
    Kpi("undelivered", "devices not rid of everything within two minutes", "", "most", 0),
    Kpi("epochs_lost", "epochs made and not stored", "", "most", 0),
    Kpi("epochs_doubled", "epochs stored twice, altered, or never made", "", "most", 0),
    Kpi("unpredicted", "epochs stored without a stage", "", "most", 0),
    Kpi("ingest_share", "epochs stored while the load was on, of those due", "", "least", 0.95),
    Kpi("reads_p99", "read routes of the facade, p99", "ms", "most", 500),
    Kpi("predict_p95", "predictions while the champion changes, p95", "ms", "most", 1000),
    Kpi("http_failures", "requests that were not answered with 200", "", "most", 0),
    Kpi("memory", "the largest service, resident", "MiB", "most", 512),
    Kpi("recovery", "from a kill to the next commit, the longest", "s", "most", 30),
)
"""In the order of the report."""


def judge(measured: Mapping[str, float | None], skipped: Sequence[str] = ()) -> list[Verdict]:
    """Return a verdict for each KPI but those that the run was told to leave out."""
    return [Verdict(it, measured.get(it.name)) for it in KPIS if it.name not in skipped]
