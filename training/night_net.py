"""The net that looks both ways: over a night that is over, as far ahead as back.

It is the net of ``training.nets`` with its 255 epochs of sight moved: the epoch to stage is the
middle one. It reads ``inference.night_tracks``.
"""

from typing import ClassVar

from typing_extensions import override

from inference.night_tracks import NAMES
from training.courses import motion_tracks
from training.nets import REACH, Net

__all__ = ["NightNet"]


class NightNet(Net):
    """See the module."""

    reach: ClassVar[tuple[int, int]] = (REACH // 2, REACH // 2)
    carried: ClassVar[int] = 1

    @staticmethod
    @override
    def motion() -> list[int]:
        """Return the columns of the night's tracks that rest on the accelerometer."""
        return motion_tracks(NAMES)
