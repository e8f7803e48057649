"""The files of the page: read once, named by what is in them, squeezed once.

The folder ``page`` holds ours, ``page/vendor`` what ``scripts/page`` installs. All of them
share one name, a digest of them all, so a browser that has a page keeps all its parts for ever,
and never mixes the parts of two.
"""

import gzip
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

import structlog

__all__ = ["FOLDER", "VENDOR", "Asset", "Assets", "Shelf"]

FOLDER: Final = Path(__file__).with_name("page")
VENDOR: Final = frozenset(
    f"vendor/{name}"
    for name in ("inter.woff2", "swagger-ui.css", "swagger-ui.js", "uplot.css", "uplot.js")
)
_KINDS: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
_SQUEEZED: Final = ".woff2"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Asset:
    """A file: its bytes, and its media type."""

    body: bytes = field(repr=False)
    kind: str

    @cached_property
    def squeezed(self) -> bytes | None:
        """The same as gzip, None where that gains nothing."""
        if self.kind == _KINDS[_SQUEEZED]:
            return None
        return gzip.compress(self.body, mtime=0)


@dataclass(frozen=True)
class Assets:
    """All files by their path below the folder, and the ``name`` that they share.

    ``missing`` are those that must be installed first.
    """

    files: dict[str, Asset]
    name: str
    missing: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Read a folder's files; those of no kind that a browser needs are left out."""
        files = {
            path.relative_to(folder).as_posix(): Asset(path.read_bytes(), _KINDS[path.suffix])
            for path in _paths(folder)
        }
        digest = sha256()
        for name, asset in files.items():
            digest.update(f"{name} {sha256(asset.body).hexdigest()}\n".encode())
        return cls(files, digest.hexdigest()[:16], tuple(sorted(VENDOR - files.keys())))

    def filled(self, document: str) -> bytes:
        """Return an HTML document in which ``{{assets}}`` is where its parts are found."""
        return self.files[document].body.replace(b"{{assets}}", f"/page/{self.name}".encode())


class Shelf:
    """The files of a folder as they are now; a file that changes makes all be read again."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._state: frozenset[tuple[str, int, int]] | None = None
        self._assets: Assets | None = None

    def look(self) -> Assets:
        """Return the files; it costs a look at each."""
        state = frozenset(
            (str(path), told.st_mtime_ns, told.st_size)
            for path in _paths(self._folder)
            for told in (path.stat(),)
        )
        if self._assets is None or state != self._state:
            self._assets, self._state = Assets.of(self._folder), state
            if self._assets.missing:
                _log.warning("page_not_installed", missing=self._assets.missing, do=_DO)
        return self._assets


_DO: Final = "run scripts/page where the platform was installed from"


def _paths(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in _KINDS)
