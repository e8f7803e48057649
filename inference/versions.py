"""Versions of models by the name under which the database knows them."""

from pathlib import Path

from inference.model import DEFAULT_FOLDER
from registry.manifest import read_manifest
from registry.store import Registry

__all__ = ["folder_of"]


def folder_of(root: Path, name: str, version: str) -> Path:
    """Return the folder of ``name@version``: the shipped model's, or one of the registry's.

    Raise ModelError when neither has it. ``root``: the registry's folder.
    """
    shipped = read_manifest(DEFAULT_FOLDER)
    if (shipped.name, shipped.version) == (name, version):
        return DEFAULT_FOLDER
    return Registry(root, name).version_folder(version)
