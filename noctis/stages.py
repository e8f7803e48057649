"""Sleep stages: the four that Noctis tells apart, and the AASM's five."""

from enum import IntEnum

__all__ = ["AASM_NAMES", "COUNT", "LABELS", "Stage"]


class Stage(IntEnum):
    """A sleep stage; the number is the column of a probability array."""

    WAKE = 0
    LIGHT = 1
    DEEP = 2
    REM = 3

    @property
    def label(self) -> str:
        """The name on the wire: ``wake``, ``light``, ``deep`` or ``rem``."""
        return self.name.lower()

    @classmethod
    def from_label(cls, label: str) -> "Stage":
        """Return the stage that ``wake``, ``light``, ``deep`` or ``rem`` names."""
        return cls[label.upper()]

    @classmethod
    def from_aasm(cls, name: str) -> "Stage | None":
        """Return the stage of ``W``, ``N1``, ``N2``, ``N3`` or ``R``; None when unscored."""
        return AASM_NAMES.get(name)


AASM_NAMES = {
    "W": Stage.WAKE,
    "N1": Stage.LIGHT,
    "N2": Stage.LIGHT,
    "N3": Stage.DEEP,
    "R": Stage.REM,
}
LABELS = tuple(stage.label for stage in Stage)
COUNT = len(LABELS)
