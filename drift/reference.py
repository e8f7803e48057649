"""What drift is measured against: the version that serves, or one that is named."""

from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from noctis.errors import ModelError
from registry import fingerprint
from registry.fingerprint import Fingerprint
from registry.manifest import verify
from registry.store import ALIASES, CHAMPION, Registry

__all__ = ["SHIPPED", "Reference", "load", "serving", "standing_in"]

SHIPPED: Final = "shipped"


@dataclass(frozen=True, slots=True)
class Reference:
    """A version, ``name@version``, and the fingerprint of its training."""

    model: str
    fingerprint: Fingerprint


def serving(models: Path) -> str:
    """Return the champion of the registry below ``models``, ``shipped`` without one."""
    return Registry(models).resolve() or SHIPPED


def standing_in(models: Path) -> Reference:
    """Return the nearest before a champion that cannot be read; the shipped model at last."""
    for version in Registry(models).stand_ins(CHAMPION):
        with suppress(ModelError, OSError):
            return load(models, version)
    return load(models, SHIPPED)


def load(models: Path, version: str | None = None) -> Reference:
    """Return what to measure against: a version, an alias, ``shipped``; else what serves.

    Raises ModelError where it is not there, was changed, or has no fingerprint.
    """
    registry = Registry(models)
    pointed = {str(alias): registry.resolve(alias) or SHIPPED for alias in ALIASES}
    wanted = serving(models) if version is None else pointed.get(version, version)
    folder = Path(str(files("inference") / "default"))
    if wanted != SHIPPED:
        folder = registry.version_folder(wanted)
    return Reference(verify(folder).full_name, fingerprint.read(folder))
