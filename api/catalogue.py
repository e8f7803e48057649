"""The registry as callers see it: which models there are, their versions, their aliases."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from inference.versions import SHIPPED_FOLDERS, folder_of
from noctis.errors import ModelError
from registry.errors import UnknownVersionError
from registry.manifest import CARD, Manifest, read_manifest
from registry.store import ALIASES, Alias, Registry, Switch

__all__ = ["Catalogue", "Entry", "Pointer"]

MOST_CARD: Final = 64 * 1024
SHIPPED: Final = "shipped"


@dataclass(frozen=True, slots=True)
class Entry:
    """A version: who points at it, and its manifest; ``damage`` says why there is none."""

    version: str
    aliases: tuple[str, ...]
    is_shipped: bool
    manifest: Manifest | None
    damage: str = ""


@dataclass(frozen=True, slots=True)
class Pointer:
    """An alias: its version (None: the shipped model) and how often it was switched."""

    alias: Alias
    version: str | None
    switches: int

    @property
    def etag(self) -> str:
        """The state's name for conditional requests."""
        return f'"{self.switches}-{self.version or "shipped"}"'


class Catalogue:
    """Reads the registry's folder ``root``, the shipped model included."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        """Return the models' names."""
        folders = self.root.iterdir() if self.root.is_dir() else ()
        return sorted(
            {*SHIPPED_FOLDERS, *(it.name for it in folders if (it / "versions").is_dir())}
        )

    def registry(self, name: str) -> Registry:
        """Return the registry of a model; raise UnknownVersionError when there is none."""
        if name not in self.names():
            message = f"there is no model {name!r}"
            raise UnknownVersionError(message, hint=f"there are: {', '.join(self.names())}")
        return Registry(self.root, name)

    def versions(self, name: str) -> list[str]:
        """Return a model's versions by their name, the shipped one among them."""
        return sorted({*self.registry(name).versions(), *self._shipped(name)})

    def folder(self, name: str, version: str) -> Path:
        """Return the folder of a version; raise UnknownVersionError when there is none."""
        if version not in self.versions(name):
            message = f"the model {name} has no version {version!r}"
            raise UnknownVersionError(
                message, hint=f"GET /v1/models/{name}/versions lists them"
            )
        return folder_of(self.root, name, version)

    def resolve(self, name: str, wanted: str) -> str:
        """Return the version that a version, an alias or ``shipped`` means.

        Raises UnknownVersionError when there is none.
        """
        pointed = {str(it.alias): it.version or SHIPPED for it in self.pointers(name)}
        version = pointed.get(wanted, wanted)
        if version == SHIPPED:
            [version] = self._shipped(name) or [SHIPPED]
        self.folder(name, version)
        return version

    def entries(self, name: str, after: str, limit: int) -> list[Entry]:
        """Return versions whose name comes behind ``after``, so many at most."""
        later = [version for version in self.versions(name) if version > after]
        return [self.entry(name, version) for version in later[:limit]]

    def entry(self, name: str, version: str) -> Entry:
        """Return a version; raise UnknownVersionError when there is none."""
        folder = self.folder(name, version)
        is_shipped = version in self._shipped(name)
        pointing = tuple(
            it.alias
            for it in self.pointers(name)
            if it.version == version or (is_shipped and it.version is None)
        )
        try:
            return Entry(version, pointing, is_shipped, read_manifest(folder))
        except ModelError as error:
            return Entry(version, pointing, is_shipped, None, self.without_paths(error.message))

    def card(self, name: str, version: str) -> str:
        """Return what people should know of a version, in Markdown."""
        try:
            with (self.folder(name, version) / CARD).open(encoding="utf-8") as file:
                return file.read(MOST_CARD)
        except (OSError, UnicodeDecodeError):
            return ""

    def pointers(self, name: str) -> list[Pointer]:
        """Return a model's aliases."""
        registry = self.registry(name)
        history = registry.history()
        return [
            Pointer(alias, registry.resolve(alias), sum(it.alias == alias for it in history))
            for alias in ALIASES
        ]

    def pointer(self, name: str, alias: Alias) -> Pointer:
        """Return one alias of a model."""
        [found] = [it for it in self.pointers(name) if it.alias == alias]
        return found

    def switches(self, name: str, alias: Alias) -> list[Switch]:
        """Return an alias's switches, the oldest first."""
        return [it for it in self.registry(name).history() if it.alias == alias]

    def without_paths(self, text: str) -> str:
        """Return a text about models without the place where they lie."""
        for folder in (self.root, *(it.parent for it in SHIPPED_FOLDERS.values())):
            text = text.replace(f"{folder}/", "")
        return text

    @staticmethod
    def _shipped(name: str) -> list[str]:
        """Return the version of a model that came with this release, if there is one."""
        folder = SHIPPED_FOLDERS.get(name)
        return [] if folder is None else [read_manifest(folder).version]
