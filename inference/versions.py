"""Versions of models, live ones and those of whole nights, wherever they lie."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from inference.model import DEFAULT_FOLDER, Model
from inference.night import NIGHT_FOLDER, NIGHT_NAME, NightModel
from registry.manifest import read_manifest
from registry.store import DEFAULT_NAME, Registry

__all__ = ["SHIPPED_FOLDERS", "folder_of", "load"]

SHIPPED_FOLDERS: Final[Mapping[str, Path]] = {
    DEFAULT_NAME: DEFAULT_FOLDER,
    NIGHT_NAME: NIGHT_FOLDER,
}
"""The folders of the models that come with Noctis, by the names that they serve under."""


def load(folder: Path) -> Model | NightModel:
    """Return the model in ``folder`` once everything about it was checked.

    Raises ModelError that says what is wrong.
    """
    of_nights = read_manifest(folder).architecture == "night"
    return NightModel.load(folder) if of_nights else Model.load(folder)


def folder_of(root: Path, name: str, version: str) -> Path:
    """Return the folder of ``name@version``: the shipped model's, or one of the registry's.

    Raise ModelError when neither has it. ``root``: the registry's folder.
    """
    shipped = SHIPPED_FOLDERS.get(name)
    if shipped is not None and read_manifest(shipped).version == version:
        return shipped
    return Registry(root, name).version_folder(version)
