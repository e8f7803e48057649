from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from evaluation.label_file import LabelFileError, parse_labels
from evaluation.stored import match
from noctis.stages import Stage
from noctis.storage.labels import Label
from noctis.storage.predictions import Staged

START = datetime(2026, 3, 1, 22, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def staged(seconds: float, stage: Stage | None) -> Staged:
    chances = (0.1, 0.2, 0.3, 0.4) if stage is not None else None
    return Staged(at(seconds), 1, int(seconds) // 30, stage, chances, "stager@1")


def test_both_kinds_of_names_and_of_times_are_read() -> None:
    assert parse_labels(
        "t,stage\n2026-03-01T22:00:00Z,N2\n2026-03-01T23:00:30+01:00,rem\n"
    ) == [
        Label(START, Stage.LIGHT),
        Label(at(30), Stage.REM),
    ]
    assert parse_labels("t_s,stage,events\n0,W,\n30,,H\n60,N3,A\n", START) == [
        Label(START, Stage.WAKE),
        Label(at(60), Stage.DEEP),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the columns are none"),
        ("t,sleep\n", "the columns are t, sleep"),
        ("t_s,stage\n0,W\n", "a start that nobody named"),
        ("t,stage\n2026-03-01T22:00:00Z,\n", "no line has a stage"),
        ("t,stage\n2026-03-01T22:00:00Z,W\n2026-03-01T22:00:30Z,N4\n", "line 3: 'N4'"),
        ("t,stage\n2026-03-01T22:00:00,W\n", "line 2: .* no time zone"),
        ("t,stage\nyesterday,W\n", "line 2: 'yesterday' is no time"),
        ("t,stage\n,W\n", "line 2: '' is no time"),
    ],
)
def test_a_file_that_cannot_be_read_names_the_line(text: str, message: str) -> None:
    with pytest.raises(LabelFileError, match=message):
        parse_labels(text)


@pytest.mark.parametrize("seconds", ["", "soon", "inf", "nan", "1e300"])
def test_seconds_that_are_none_name_the_line(seconds: str) -> None:
    with pytest.raises(LabelFileError, match=r"line 2: .* is no time"):
        parse_labels(f"t_s,stage\n{seconds},W\n", START)


def test_a_label_is_compared_with_the_nearest_epoch_half_of_one_away_at_most() -> None:
    labels = [Label(at(30 * n), Stage(n % 4)) for n in range(4)]
    rows = [staged(-12, Stage.WAKE), staged(18, Stage.LIGHT), staged(48, Stage.DEEP)]
    held = match(labels, rows)
    assert np.diag(held.tally.matrix).tolist() == [1, 1, 1, 0]
    assert held.tally.matrix.sum() == 3
    assert held.unmatched == 1


def test_an_epoch_between_two_labels_counts_once() -> None:
    labels = [Label(at(0), Stage.WAKE), Label(at(30), Stage.REM)]
    held = match(labels, [staged(15, Stage.REM)])
    assert (held.tally.matrix.sum(), held.unmatched) == (1, 1)
    assert held.tally.matrix[Stage.REM, Stage.REM] == 1


def test_epochs_without_a_stage_are_counted_as_such_and_labels_without_epochs_too() -> None:
    labels = [Label(at(30 * n), Stage.LIGHT) for n in range(3)]
    held = match(labels, [staged(0, None), staged(30, Stage.LIGHT)])
    assert held.tally.unstaged.tolist() == [0, 1, 0, 0]
    assert (held.tally.matrix.sum(), held.unmatched) == (1, 1)
    assert match(labels, []).unmatched == 3
