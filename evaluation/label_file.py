"""Reference stages as a file: CSV with a place in time and a stage on each line.

The columns are ``t`` (ISO 8601 with a zone) or ``t_s`` (seconds after a start that is told
besides, as a night's ``stages.csv`` has it), and ``stage``: ``W N1 N2 N3 R`` or
``wake light deep rem``, empty where unscored. Further columns are passed over.
"""

import csv
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from noctis.errors import NoctisError
from noctis.stages import AASM_NAMES, Stage
from noctis.storage.labels import Label

__all__ = ["LabelFileError", "parse_labels"]

_STAGES: Final = {**AASM_NAMES, **{stage.label: stage for stage in Stage}}


class LabelFileError(NoctisError):
    """A file of reference stages that cannot be read; the message names the line."""


def parse_labels(text: str, start: datetime | None = None) -> list[Label]:
    """Return the labels of a file's text; ``start``: of its column ``t_s``.

    Raises LabelFileError for columns, times or stages that cannot be understood.
    """
    lines = csv.DictReader(text.splitlines())
    columns = set(lines.fieldnames or ())
    if "stage" not in columns or not columns & {"t", "t_s"}:
        message = f"the columns are {', '.join(lines.fieldnames or ['none'])}"
        raise LabelFileError(message, hint="there must be stage, and t or t_s")
    if "t" not in columns and start is None:
        message = "the column t_s counts seconds from a start that nobody named"
        raise LabelFileError(message, hint="--start 2026-03-01T22:00:00Z")
    found = list(_labels(lines, start))
    if not found:
        message = "no line has a stage"
        raise LabelFileError(
            message, hint="a stage is W, N1, N2, N3, R, wake, light, deep or rem"
        )
    return found


def _labels(lines: "csv.DictReader[str]", start: datetime | None) -> Iterator[Label]:
    for number, line in enumerate(lines, 2):
        name = (line["stage"] or "").strip()
        if not name:
            continue
        if name not in _STAGES:
            message = f"line {number}: {name!r} is no stage"
            raise LabelFileError(message, hint="W N1 N2 N3 R, or wake light deep rem")
        yield Label(_moment(line, start, number), _STAGES[name])


def _moment(line: Mapping[str, str | None], start: datetime | None, number: int) -> datetime:
    try:
        if "t" not in line and start is not None:
            return start + timedelta(seconds=float(line["t_s"] or "nan"))
        moment = datetime.fromisoformat(line["t"] or "")
    except (ValueError, OverflowError) as error:
        message = f"line {number}: {line.get('t', line.get('t_s'))!r} is no time"
        raise LabelFileError(message, hint="as 2026-03-01T22:00:30Z, or seconds") from error
    if moment.tzinfo is None:
        message = f"line {number}: {line['t']!r} names no time zone"
        raise LabelFileError(message, hint="write Z for UTC, or +01:00")
    return moment
