"""Nights that are over, staged anew by a model that has all of them in sight.

A closed night's hypnogram is the night-stager's: a pure function of its stored epochs and of
that model. Live stages stay as they were told. Where there is no such model, because it is
switched off or broken, or where it fails, a night keeps its live stages and says so.
"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray
from prometheus_client import Counter

from companion.nights import rows_of
from inference.champion import Champion
from inference.night import NIGHT_FOLDER, NIGHT_NAME, NO_STAGE, NightModel, stage_whole_night
from noctis.errors import ModelError
from noctis.hypnogram import OUT_OF_BED, UNSTAGED
from noctis.storage import predictions, timeline
from noctis.storage.database import Connection
from noctis.storage.recordings import Night
from noctis.vitals import vitals
from registry.store import Registry

__all__ = ["NightStager", "revised"]

_IN_BED: Final = (*range(OUT_OF_BED), UNSTAGED)

_log = structlog.get_logger(__name__)
_failures = Counter(
    "noctis_nights_unrevised_total", "Nights that the night-stager failed on: they stay live."
)


class NightStager:
    """The night-stager in use: the champion of its name, or the shipped one."""

    def __init__(self, models: Path) -> None:
        registry = Registry(models, NIGHT_NAME)
        self._champion = Champion(
            registry, load=NightModel.load, shipped=NIGHT_FOLDER, service="companion"
        )

    def look(self) -> NightModel | None:
        """Return the model to use now, None where none can be used; loads it if it is new."""
        try:
            return self._champion.look()
        except ModelError:  # said and counted when it was refused
            return None


def revised(
    connection: Connection, device_id: int, night: Night, model: NightModel | None
) -> Night:
    """Return a night as it is once it has closed: staged by the model, if any, and measured."""
    if night.state != "closed":
        return night
    epochs = timeline.codes(connection, device_id, night.started_at, night.ended_at)
    rows = rows_of(night, epochs)
    staged = night if model is None else _staged(connection, night, model, rows)
    return replace(staged, **asdict(vitals(staged.codes, rows)))


def _staged(
    connection: Connection, night: Night, model: NightModel, rows: NDArray[np.int16]
) -> Night:
    """Return a night as the model stages it; as it is where that fails."""
    try:
        stages = stage_whole_night(model, rows).stages
    except Exception as error:  # noqa: BLE001 - a model's failure must not end the nights
        _failures.inc()
        _log.exception("night_not_revised", model=model.full_name, error=repr(error))
        return night
    codes = night.codes.copy()
    told = np.where(stages == NO_STAGE, UNSTAGED, stages).astype(np.uint8)
    in_bed = np.isin(codes, _IN_BED)
    codes[in_bed] = told[in_bed]
    is_staged = bool((codes < OUT_OF_BED).any())
    return replace(
        night,
        hypnogram=codes.tobytes(),
        model_id=predictions.model_id(connection, model.name, model.version)
        if is_staged
        else None,
        staged_by="night",
    )
