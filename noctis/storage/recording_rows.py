"""A recording as its row holds it, and the columns that make one."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import numpy as np
from sqlalchemy import ColumnElement, Row, Select, literal, select

from noctis.figures import Figures
from noctis.hypnogram import Hypnogram
from noctis.storage.models import devices, models
from noctis.storage.night_models import FIGURES, recordings

__all__ = ["FOUND", "NIGHT", "Night", "Recording", "recording_of", "selected"]


FOUND: Final = "found"


@dataclass(frozen=True, slots=True)
class Night:
    """What a recording shows: two nights are equal when nobody can tell them apart.

    ``state``: ``open``, or ``closed``. ``evening``: the date of the night in the device's
    ``time_zone``, whose days go from noon to noon. ``hypnogram``: one byte for each 30 s from
    ``started_at`` on, as in ``noctis.hypnogram``. ``model_id``: the model that gave
    its last stage. ``moved``: epochs whose time another clock than their own tells.
    ``closes_at``: when an open one closes if nothing more is heard of it. ``staged_by``:
    ``live``, its stages are those that apps were shown; or ``night``, a model that had all of
    it in sight made them anew. The rates are those of ``noctis.vitals``, once it has closed.
    """

    state: str
    evening: date
    time_zone: str
    started_at: datetime
    ended_at: datetime
    hypnogram: bytes
    model_id: int | None
    moved: int
    closes_at: datetime | None = field(compare=False)
    staged_by: str = "live"
    breathing_rate_per_min: float | None = None
    heart_rate_bpm: float | None = None
    heart_rate_dip_percent: float | None = None

    @property
    def codes(self) -> Hypnogram:
        """The hypnogram, shape (n,)."""
        return np.frombuffer(self.hypnogram, np.uint8)


@dataclass(frozen=True, slots=True)
class Recording:
    """A night under its identity; ``revision`` rises by one whenever what it shows changes.

    ``state`` ``withdrawn``: it is no night any more; ``replaced_by`` is the one that took it
    in, if there is one. ``epochs`` are stored, ``missing`` are not, ``unstaged`` are those in
    bed without a stage. ``model``: ``name@version``. What a person made of it: ``note``,
    ``tags``, whether it is to be ``excluded`` from lists; ``edits`` counts these changes.
    ``kind``: FOUND in the epochs, or what a person declared it to be; ``declared_by``: who did.
    """

    id: UUID
    device: str
    revision: int
    night: Night
    figures: Figures
    epochs: int
    missing: int
    unstaged: int
    model: str | None
    replaced_by: UUID | None
    revised_at: datetime
    note: str | None = None
    tags: tuple[str, ...] = ()
    excluded: bool = False
    edits: int = 0
    deleted_at: datetime | None = None
    kind: str = FOUND
    declared_by: str | None = None


NIGHT: Final = tuple(Night.__dataclass_fields__)
_MODEL: Final = (models.c.name + "@" + models.c.version).label("model")
_OTHERS: Final = ("epochs", "missing", "unstaged")
_LAST: Final = (
    *("replaced_by", "revised_at", "note", "tags", "excluded", "edits", "deleted_at", "kind"),
    "declared_by",
)


def selected(*, hypnograms: bool = True) -> Select[Any]:
    """Return the query of all recordings; without ``hypnograms`` they come with empty ones.

    A night's hypnogram is most of its row.
    """
    night = [_night_column(name, hypnograms=hypnograms) for name in NIGHT]
    figures = [recordings.c[name] for name in FIGURES]
    return (
        select(
            *(recordings.c.id, devices.c.name.label("device"), recordings.c.revision),
            *night,
            *figures,
            *(recordings.c[name] for name in _OTHERS),
            _MODEL,
            *(recordings.c[name] for name in _LAST),
        )
        .join(devices, devices.c.id == recordings.c.device_id)
        .outerjoin(models, models.c.id == recordings.c.model_id)
    )


def _night_column(name: str, *, hypnograms: bool) -> ColumnElement[Any]:
    if name == "hypnogram" and not hypnograms:
        return literal(b"").label(name)
    return recordings.c[name]


def recording_of(row: Row[Any]) -> Recording:
    """Return what a row of ``selected`` stands for."""
    night = 3 + len(NIGHT)
    figures = night + len(FIGURES)
    values = tuple(row)
    key, device, revision = values[:3]
    epochs, missing, unstaged, model, replaced_by, revised_at = values[figures : figures + 6]
    note, tags, excluded, edits, deleted_at, kind, declared_by = values[figures + 6 :]
    return Recording(
        key,
        device,
        revision,
        Night(*values[3:night]),
        Figures(*values[night:figures]),
        epochs,
        missing,
        unstaged,
        model,
        replaced_by,
        revised_at,
        note,
        tuple(tags),
        excluded,
        edits,
        deleted_at,
        kind,
        declared_by,
    )
