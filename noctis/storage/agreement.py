"""How two versions' stored stages of the same epochs pair up."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Result, text

from noctis.stages import COUNT
from noctis.storage.origins import LAST_SERVED, SERVED
from noctis.storage.replays import Part
from noctis.storage.runs import signed

__all__ = ["ABSENT", "NULL", "SHAPE", "Pairs", "of_part"]

Pairs = NDArray[np.int64]
"""Counts of epochs, shape ``SHAPE``: rows by the stage of the one that is compared, columns by
the other's. Behind the stages come NULL, judged without a stage, and ABSENT, not judged."""

NULL: Final = COUNT
ABSENT: Final = COUNT + 1
SHAPE: Final = (COUNT + 2, COUNT + 2)

PAIR: Final = f"""
SELECT coalesce(a.stage, {NULL}) AS own, coalesce(b.stage, {ABSENT}) AS other, count(*) AS n"""
OTHER: Final = f"""
  LEFT JOIN LATERAL (
    SELECT coalesce(j.stage, {NULL}) AS stage FROM predictions j
     WHERE j.device_id = a.device_id AND j.stream = a.stream AND j.seq = a.seq
       AND CASE WHEN CAST(:other AS integer) IS NULL THEN j.{SERVED}
                ELSE j.model_id = :other END
     ORDER BY j.{LAST_SERVED.replace(", ", ", j.")} LIMIT 1
  ) b ON true"""  # noqa: S608 - every part is a constant of the schema

_PART: Final = text(f"""
{PAIR}
  FROM predictions a{OTHER}
 WHERE a.device_id = :device AND a.stream = :stream AND a.seq BETWEEN :first AND :last
   AND a.model_id = :own
 GROUP BY 1, 2
""")


def of_part(connection: Connection, part: Part, own: int, other: int | None) -> Pairs:
    """Return how a version's stages of a replay's part pair up with another's.

    ``other``: another version, None for what is served.
    """
    return paired(
        connection.execute(
            _PART,
            {
                "device": part.device_id,
                "stream": signed(part.stream),
                "first": part.first_seq,
                "last": part.last_seq,
                "own": own,
                "other": other,
            },
        )
    )


def paired(rows: Result[Any]) -> Pairs:
    """Return rows (own, other, n) as counts."""
    pairs = np.zeros(SHAPE, np.int64)
    for row in rows:
        pairs[row.own, row.other] += row.n
    return pairs
