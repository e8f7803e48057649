"""What the sensors saw before the scored night begins.

A bedside device sees the sleeper from the moment they come to bed; a laboratory scores from the
lights' going out. Where ``heart_rate.csv`` begins before time 0, the night that the firmware
plays begins there too, up to EVENING epochs early, unscored and without motion, of which
nothing is known then.
"""

import csv
from math import floor
from pathlib import Path
from typing import Final

from noctis.epoch import EPOCH_SECONDS

__all__ = ["EVENING", "begun_early"]

EVENING: Final = 50  # epochs: 25 min
_HEART: Final = "heart_rate.csv"
_STAGES: Final = "stages.csv"
_MOVED: Final = (_STAGES, _HEART, "motion_counts.csv")

_Table = list[list[str]]


def begun_early(folder: Path, draft: Path) -> Path:
    """Return the folder of the same night as it is to be played.

    That is ``folder`` itself where nothing is known of the evening, else the empty folder
    ``draft`` with copies whose times are counted from the evening's first epoch.
    """
    try:
        heart = folder / _HEART
        early = min(_epochs_before(_read(heart)), EVENING) if heart.is_file() else 0
        if early:
            _move(folder, draft, early)
    except (ValueError, IndexError, csv.Error):
        return folder  # the firmware says what is wrong with it, and where
    return draft if early else folder


def _move(folder: Path, draft: Path, early: int) -> None:
    """Write the files with their times ``early`` epochs later, line by line.

    The stages' unscored epochs come last, so that a line keeps its number in complaints.
    """
    for name in filter(lambda it: (folder / it).is_file(), _MOVED):
        header, *rows = _read(folder / name)
        column = _times(header)
        for row in filter(None, rows):
            row[column] = f"{float(row[column]) + early * EPOCH_SECONDS:.3f}"
        if name == _STAGES:
            blank = [""] * len(header)
            starts = (str(EPOCH_SECONDS * at) for at in range(early))
            rows += [[*blank[:column], start, *blank[column + 1 :]] for start in starts]
        _write(draft / name, [header, *rows])


def _epochs_before(heart: _Table) -> int:
    """Return the whole epochs from the first heart rate to time 0."""
    column = _times(heart[0])
    first = min((float(row[column]) for row in heart[1:] if row), default=0.0)
    return max(floor(-first / EPOCH_SECONDS), 0)


def _times(header: list[str]) -> int:
    return [name.strip() for name in header].index("t_s")


def _read(path: Path) -> _Table:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def _write(path: Path, rows: _Table) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
