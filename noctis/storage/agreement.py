"""How two versions' stored stages of the same epochs pair up."""

from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Result, text

from noctis.stages import COUNT
from noctis.storage.origins import LAST_SERVED, SERVED
from noctis.storage.replays import Part
from noctis.storage.runs import signed

__all__ = ["ABSENT", "NULL", "SHAPE", "Pairs", "of_part", "of_span", "served"]

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


# By the epochs' own key: a span of a device costs a span, however much is stored besides.
_SPAN: Final = """
  FROM (SELECT device_id, stream, seq FROM epochs
         WHERE device_id = :device AND epoch_start >= :since AND epoch_start < :until) e"""
_OF_SPAN: Final = text(f"""
{PAIR}
{_SPAN}
  JOIN predictions a ON a.device_id = e.device_id AND a.stream = e.stream AND a.seq = e.seq
   AND a.model_id = :own{OTHER}
 GROUP BY 1, 2
""")
_SERVED_IN_SPAN: Final = text(f"""
SELECT p.model_id = :own AS is_own, coalesce(p.stage, {NULL}) AS stage, count(*) AS n
{_SPAN}
 CROSS JOIN LATERAL (
    SELECT stage, model_id FROM predictions
     WHERE device_id = e.device_id AND stream = e.stream AND seq = e.seq AND {SERVED}
     ORDER BY {LAST_SERVED} LIMIT 1
  ) p
 GROUP BY 1, 2
""")  # noqa: S608 - every part is a constant of the schema


def of_span(
    connection: Connection, device_id: int, own: int, since: datetime, until: datetime
) -> Pairs:
    """Return how a version's stages of a device's epochs pair up with the served ones.

    Of epochs whose run has a clock, with since <= start < until.
    """
    keys = {"device": device_id, "own": own, "other": None, "since": since, "until": until}
    return paired(connection.execute(_OF_SPAN, keys))


def served(
    connection: Connection, device_id: int, own: int, since: datetime, until: datetime
) -> Pairs:
    """Return how many epochs of a device the version served, and how many others did.

    Shape (2, 5): rows: others, the version; columns: the stages, and NULL.
    """
    counts = np.zeros((2, COUNT + 1), np.int64)
    keys = {"device": device_id, "own": own, "since": since, "until": until}
    for row in connection.execute(_SERVED_IN_SPAN, keys):
        counts[int(row.is_own), row.stage] += row.n
    return counts


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
