"""From a model's probabilities to a stage, and to what an app reads of it.

Live worker and settler both decide here, so a stage that was shown and one that is stored
cannot differ.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.context import Moment
from inference.model import Model
from inference.trails import Trails
from noctis.features import FEATURES, NAMES
from noctis.slot import Run
from noctis.stages import LABELS, Stage

__all__ = ["QUALITY_FLOOR", "Judged", "Staged", "is_stageable", "judge", "moment_of", "payload"]

SCHEMA_VERSION: Final = 1

# `hr_sd`, the heart rate's variation within an epoch, needs two 5 s heart rates. An epoch with
# less than ten of its thirty seconds valid cannot hold them, and so little of a sleeper that
# its stage would be its neighbours' alone.
QUALITY_FLOOR: Final = 10 / 30

_IN_BED: Final = len(NAMES)
_HEART: Final = NAMES.index("hr_mean")
_BREATH: Final = NAMES.index("rr_mean")
_QUALITY: Final = NAMES.index("quality")
_FLOOR_CODE: Final = int(FEATURES[_QUALITY].codes(QUALITY_FLOOR))
_MISSING_CODE: Final = FEATURES[_QUALITY].missing


@dataclass(frozen=True, slots=True)
class Judged:
    """A stage with its four probabilities; both None where nothing can be said."""

    stage: Stage | None
    probabilities: tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class Staged:
    """An epoch of a stream and what it was judged to be, by the model ``name@version``."""

    stream: int
    moment: Moment
    row: NDArray[np.int16]
    judged: Judged
    model: str


def moment_of(run: Run, offset_s: int, seq: int, *, clock_known: bool) -> Moment:
    """Return where the epoch that begins ``offset_s`` after its run's time base stands."""
    if clock_known:
        return Moment(seq, run.utc_s + offset_s)
    return Moment(seq, run.tick_s + offset_s, run.boot)


def is_stageable(row: NDArray[np.int16]) -> bool:
    """Tell whether somebody is in bed and enough of the epoch, shape (16,), was valid."""
    quality = int(row[_QUALITY])
    return bool(row[_IN_BED]) and _FLOOR_CODE <= quality < _MISSING_CODE


def judge(
    model: Model,
    sessions: Sequence[NDArray[np.int16] | None],
    trails: Trails | None = None,
) -> list[Judged]:
    """Return a judgement for each epoch's session; None where it is not to be staged.

    All are judged in one call of the model. ``trails``: see ``Model.predict``.
    """
    known = [session for session in sessions if session is not None]
    probabilities = iter(model.predict(known, trails) if known else ())
    return [
        Judged(None, None) if session is None else _judged(next(probabilities))
        for session in sessions
    ]


def payload(staged: Staged) -> bytes:
    """Return the JSON of the topic ``app/<tenant>/<device>/stage``."""
    row = staged.row
    stage, probabilities = staged.judged.stage, staged.judged.probabilities
    document = {
        "schema_version": SCHEMA_VERSION,
        "t": _iso(staged.moment),
        "stream": f"{staged.stream:016x}",
        "seq": staged.moment.seq,
        "stage": None if stage is None else stage.label,
        "probability": None
        if probabilities is None
        else {
            label: round(value, 4) for label, value in zip(LABELS, probabilities, strict=True)
        },
        "hr_bpm": _HEARTS[row[_HEART]],
        "rr_bpm": _BREATHS[row[_BREATH]],
        "in_bed": bool(row[_IN_BED]),
        "quality": _QUALITIES[row[_QUALITY]],
        "model": staged.model,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _judged(probabilities: NDArray[np.float32]) -> Judged:
    return Judged(Stage(int(probabilities.argmax())), tuple(probabilities.tolist()))


def _iso(moment: Moment) -> str | None:
    if moment.boot is not None:
        return None
    return datetime.fromtimestamp(moment.time_s, UTC).isoformat().replace("+00:00", "Z")


def _shown(column: int, digits: int) -> list[float | None]:
    """Return what an app is shown for each code of a feature."""
    values = FEATURES[column].values(np.arange(FEATURES[column].missing + 1)).tolist()
    return [None if np.isnan(value) else round(value, digits) for value in values]


_HEARTS: Final = _shown(_HEART, 1)
_BREATHS: Final = _shown(_BREATH, 1)
_QUALITIES: Final = _shown(_QUALITY, 2)
