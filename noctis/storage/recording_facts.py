"""What people and apps are told of a recording: names and units, everywhere the same."""

from dataclasses import fields
from typing import Any, Final

from noctis.figures import Figures
from noctis.storage.recording_rows import Recording
from noctis.vitals import Vitals

__all__ = ["figures_of", "night_of"]

_FIGURES: Final = (
    *(each.name for each in fields(Figures)),
    *("efficiency_percent", "light_percent", "deep_percent", "rem_percent"),
)
_VITALS: Final = tuple(each.name for each in fields(Vitals))


def figures_of(found: Recording) -> dict[str, float | None]:
    """Return the figures of a recording, None where one is undefined."""
    told = {name: getattr(found.figures, name) for name in _FIGURES}
    return told | {name: getattr(found.night, name) for name in _VITALS}


def night_of(found: Recording) -> dict[str, Any]:
    """Return what a recording shows, which is another exactly when its revision is."""
    night = found.night
    return {
        "id": found.id,
        "device": found.device,
        "state": night.state,
        "revision": found.revision,
        "evening": night.evening,
        "time_zone": night.time_zone,
        "started_at": night.started_at,
        "ended_at": night.ended_at,
        "figures": figures_of(found),
        "epochs": found.epochs,
        "missing": found.missing,
        "unstaged": found.unstaged,
        "moved": night.moved,
        "model": found.model,
        "staged_by": night.staged_by,
        "revised_at": found.revised_at,
    }
