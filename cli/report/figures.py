"""Figures of a night and of a week: names as on the page, and what each is by definition."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cli.report.words import duration, number, wall

__all__ = ["FIGURES", "VITALS", "WEEK_FIGURES", "Figure"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a night: its name, how it is told, its title and what it is by definition."""

    name: str
    told: Callable[[float | None], str]
    title: str
    definition: str

    @property
    def term(self) -> str:
        """The definition's own name, without what explains it."""
        return self.definition.partition(":")[0]


def _in(unit: str, digits: int = 0) -> Callable[[float | None], str]:
    return lambda value: number(value, digits, unit)


VITALS: Final = ("heart_rate_bpm", "heart_rate_dip_percent", "breathing_rate_per_min")
"""Figures that a night has only when enough was measured."""

FIGURES: Final = (
    Figure("tst_min", duration, "Asleep", "Total sleep time, TST: light, deep and REM"),
    Figure("tib_min", duration, "In bed", "Time in bed, TIB: absences included"),
    Figure("efficiency_percent", _in("%"), "Efficiency", "Sleep efficiency: TST of TIB"),
    Figure("sol_min", duration, "To fall asleep", "Sleep onset latency, SOL"),
    Figure("waso_min", duration, "Awake after that", "Wake after sleep onset, WASO"),
    Figure("awakenings", _in(""), "Awakenings", "Stretches of wake between epochs of sleep"),
    Figure("rem_latency_min", duration, "To first REM", "REM latency, from sleep onset"),
    Figure("wake_min", duration, "Awake", "Stage W, out of bed included"),
    Figure("rem_min", duration, "REM sleep", "Stage R"),
    Figure("light_min", duration, "Light sleep", "Stages N1 and N2"),
    Figure("deep_min", duration, "Deep sleep", "Stage N3"),
    Figure("unscored_min", duration, "No stage", "Epochs without a stage"),
    Figure("heart_rate_bpm", _in("bpm"), "Heart rate asleep", "Median of epochs"),
    Figure("heart_rate_dip_percent", _in("%"), "Heart rate dip", "Asleep, below rest before"),
    Figure("breathing_rate_per_min", _in("per min", 1), "Breathing asleep", "Median of epochs"),
)
"""After the AASM manual where it has them; docs/nights.md says how each is counted."""

_BY_NAME: Final = {it.name: it for it in FIGURES}
WEEK_FIGURES: Final = (
    Figure("bedtime_min", wall, "To bed", "Lights out, by the clock on the wall"),
    Figure("rise_min", wall, "Up again", "Lights on, by the clock on the wall"),
    *(_BY_NAME[it] for it in ("tib_min", "tst_min", "efficiency_percent", "sol_min")),
    *(_BY_NAME[it] for it in ("waso_min", "awakenings")),
    Figure("light_percent", _in("%"), "Light sleep", "Stages N1 and N2, of TST"),
    Figure("deep_percent", _in("%"), "Deep sleep", "Stage N3, of TST"),
    Figure("rem_percent", _in("%"), "REM sleep", "Stage R, of TST"),
    *(_BY_NAME[it] for it in VITALS),
)
"""Those of noctis.trends, whose spread over a week is told."""
