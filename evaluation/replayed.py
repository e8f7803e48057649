"""How what a replay stored compares with other stages of the same epochs."""

from typing import Any, Final

import numpy as np

from evaluation import agreement
from noctis.storage import predictions, replays
from noctis.storage.agreement import SHAPE, of_part
from noctis.storage.engine import Engine, transaction
from noctis.storage.replays import Replay

__all__ = ["compare"]

SECONDS: Final = 60.0


def compare(engine: Engine, replay: Replay, against: str | None) -> dict[str, Any]:
    """Return how a replay compares with ``name@version`` (None: what was served), as JSON.

    Part by part, each a transaction of its own.
    """
    with transaction(engine, SECONDS) as connection:
        own = predictions.known_model(connection, replay.model)
        other = None if against is None else predictions.known_model(connection, against)
        parts = replays.parts(connection, replay.id, is_open=False)
    pairs = np.zeros(SHAPE, np.int64)
    for part in parts:
        with transaction(engine, SECONDS) as connection:
            pairs += of_part(connection, part, own, other)
    return agreement.document(pairs)
