"""How a prediction came about, and which of an epoch's predictions people see.

People see SERVED predictions alone: the stage of an epoch is that of the version that came to
serve it last. What a shadow or a replay left stays unseen, until its version serves the epoch:
then the row that is there becomes a served one, and keeps its values.
"""

from enum import IntEnum
from typing import Final

__all__ = ["LAST_SERVED", "SERVED", "Origin"]


class Origin(IntEnum):
    """Who asked for a prediction."""

    SERVED = 0  # the settler, of the version that serves the device
    SHADOW = 1  # the settler, of a version that is watched beside it
    REPLAY = 2  # a replay of what is stored


SERVED: Final = f"origin = {Origin.SERVED:d}"
"""The condition of the rows that people see."""

LAST_SERVED: Final = "created_at DESC, model_id DESC"
"""The order that puts the prediction to be shown first, of an epoch's served ones.

``created_at`` is the moment since when a row is what ``origin`` says.
"""
