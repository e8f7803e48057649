import json

import numpy as np
import pytest

from inference.context import Moment, row_from_codes
from inference.stage import QUALITY_FLOOR, Judged, Staged, is_stageable, payload
from noctis.features import FEATURES, NAMES, quantise
from noctis.stages import Stage

ASLEEP = {"hr_mean": 60.0, "rr_mean": 14.2, "quality": 0.9}
MOMENT = Moment(7, 1_790_000_010)
JUDGED = Judged(Stage.REM, (0.1, 0.2, 0.3, 0.4))


def row(*, in_bed: bool = True, **values: float) -> np.ndarray:
    known = ASLEEP | values
    codes = quantise([[known.get(name, np.nan) for name in NAMES]])[0]
    return row_from_codes(codes, in_bed=in_bed)


def told(*, moment: Moment = MOMENT, judged: Judged = JUDGED) -> dict[str, object]:
    document: dict[str, object] = json.loads(
        payload(Staged(0xF0, moment, row(), judged, "stager@1"))
    )
    return document


def test_a_stage_is_told_with_all_that_an_app_shows() -> None:
    assert told() == {
        "schema_version": 1,
        "t": "2026-09-21T14:13:30Z",
        "stream": "00000000000000f0",
        "seq": 7,
        "stage": "rem",
        "probability": {"wake": 0.1, "light": 0.2, "deep": 0.3, "rem": 0.4},
        "hr_bpm": 60.0,
        "rr_bpm": 14.2,
        "in_bed": True,
        "quality": 0.9,
        "model": "stager@1",
    }


def test_an_epoch_without_a_clock_has_no_time() -> None:
    assert told(moment=Moment(7, 300, 2))["t"] is None


def test_an_epoch_without_a_stage_has_no_probabilities() -> None:
    document = told(judged=Judged(None, None))
    assert document["stage"] is None
    assert document["probability"] is None
    assert document["hr_bpm"] == 60.0


@pytest.mark.parametrize(
    ("epoch", "stageable"),
    [
        (row(), True),
        (row(in_bed=False), False),
        (row(quality=np.nan), False),
        (row(quality=0.0), False),
        (row(quality=QUALITY_FLOOR - 1 / 30), False),
        (row(quality=QUALITY_FLOOR), True),
        (row(quality=1.0), True),
    ],
)
def test_an_empty_bed_and_poor_epochs_are_not_staged(
    epoch: np.ndarray, *, stageable: bool
) -> None:
    assert is_stageable(epoch) is stageable


def test_the_floor_is_a_code_of_its_own() -> None:
    quality = FEATURES[NAMES.index("quality")]
    assert quality.values(quality.codes(QUALITY_FLOOR)) == pytest.approx(QUALITY_FLOOR)
