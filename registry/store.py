"""The registry: a folder per version that never changes, and aliases that switch in one step.

::

    var/models/<name>/versions/<version>/   manifest.json, model.onnx, golden.json, card.md
    var/models/<name>/aliases/champion      the version that the alias points at
    var/models/<name>/history.jsonl         every switch of an alias, oldest first
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, get_args

from filelock import FileLock, Timeout

from noctis import faults
from noctis.errors import ModelError
from registry import disk
from registry.errors import (
    AliasMovedError,
    NothingToUndoError,
    UnknownVersionError,
    VersionExistsError,
)
from registry.manifest import Manifest, read_manifest, read_version, verify

__all__ = ["ALIASES", "CHAMPION", "DEFAULT_NAME", "Alias", "Registry", "Switch"]

Alias = Literal["champion", "challenger", "shadow"]
CHAMPION: Final = "champion"
ALIASES: Final[tuple[Alias, ...]] = get_args(Alias)
DEFAULT_NAME: Final = "stager"
LOCK_SECONDS: Final = 10.0
WHICHEVER: Final = "*"  # no version has that name
HISTORY: Final = "history.jsonl"
DRAFT: Final = ".draft-"


@dataclass(frozen=True, slots=True)
class Switch:
    """One line of the history: an alias moved from one version to another, or to none."""

    at: str
    action: Literal["promote", "rollback"]
    alias: str
    version: str | None
    previous: str | None
    approver: str | None
    reason: str

    def as_json(self) -> dict[str, str | None]:
        """Return the switch as the history keeps it."""
        return asdict(self)


class Registry:
    """The models of one name below a folder such as ``var/models``."""

    def __init__(self, root: Path, name: str = DEFAULT_NAME) -> None:
        self.name = name
        self.folder = root / name

    def version_folder(self, version: str) -> Path:
        """Return the folder of ``version``; raise ModelError when it is not there."""
        folder = self.folder / "versions" / version
        if version not in self.versions():
            known = ", ".join(self.versions()) or "none"
            message = f"{self.name} has no version {version!r} in {self.folder}"
            raise UnknownVersionError(message, hint=f"known versions: {known}")
        return folder

    def versions(self) -> list[str]:
        """Return the published versions, oldest first by their name."""
        folder = self.folder / "versions"
        if not folder.is_dir():
            return []
        return sorted(entry.name for entry in folder.iterdir() if entry.name[0] != ".")

    def manifest(self, version: str) -> Manifest:
        """Return the manifest of ``version``."""
        return read_manifest(self.version_folder(version))

    def publish(self, source: Path) -> Manifest:
        """Copy the model in ``source`` into the registry, all of it or nothing.

        Raises ModelError when ``source`` is damaged, bears another name, or its version exists.
        """
        manifest, contents = read_version(source)
        if manifest.name != self.name:
            message = f"{source} holds {manifest.full_name}, not a {self.name}"
            raise ModelError(message, hint="publish it under its own name")
        parent = self.folder / "versions"
        disk.make(parent)
        target = parent / manifest.version
        with self._locked():
            if target.exists():
                message = f"{manifest.full_name} exists in {parent} and is immutable"
                raise VersionExistsError(message, hint="publish under a new version")
            self._forget_drafts(parent)
            draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=parent))
            try:
                for name, content in contents.items():
                    disk.write(draft / name, content)
                draft.chmod(0o755)
                disk.sync(draft)
                disk.rename(draft, target)
            except BaseException:
                shutil.rmtree(draft, ignore_errors=True)
                raise
        return manifest

    def alias_path(self, alias: Alias) -> Path:
        """Return the file that names the alias's version; ``os.replace`` is what writes it."""
        return self.folder / "aliases" / alias

    def resolve(self, alias: Alias = "champion") -> str | None:
        """Return the version that ``alias`` points at, None when it points nowhere."""
        path = self.alias_path(alias)
        try:
            is_torn = faults.point("registry.read")
            name = path.read_text("utf-8", "replace").strip()
            return name[: len(name) // 2] if is_torn else name
        except FileNotFoundError:
            return None
        except OSError as error:
            message = f"cannot read {path}: {error.strerror or error}"
            raise ModelError(message, hint="is its disk there, and may we read it?") from error

    def promote(
        self,
        alias: Alias,
        version: str,
        *,
        approver: str | None = None,
        reason: str = "",
        expected: str | None = WHICHEVER,
    ) -> Switch:
        """Let ``alias`` point at ``version``, whose files are verified first.

        Raises ModelError when it points at something else than was ``expected`` meanwhile.
        """
        if alias not in ALIASES:
            message = f"{alias!r} is no alias"
            raise ModelError(message, hint=f"one of {', '.join(ALIASES)}")
        verify(self.version_folder(version))
        with self._locked():
            current = self.resolve(alias)
            _check_expected(alias, current, expected)
            return self._switch(
                Switch(_now(), "promote", alias, version, current, approver, reason)
            )

    def rollback(
        self,
        alias: Alias = "champion",
        *,
        approver: str | None = None,
        reason: str = "",
        expected: str | None = WHICHEVER,
    ) -> Switch:
        """Let ``alias`` point where it pointed before its last switch; a switch like others.

        A second rollback goes one further back. Back from the first version the alias points
        nowhere, and the shipped model serves. Raises ModelError when it points nowhere, or at
        something else than was ``expected``.
        """
        with self._locked():
            current = self.resolve(alias)
            _check_expected(alias, current, expected)
            if current is None:
                message = f"{alias} of {self.name} points nowhere, so nothing can be undone"
                raise NothingToUndoError(message, hint="promote a version first")
            before = next(iter(self.former(alias, current)), None)
            if before is not None:
                verify(self.version_folder(before))
            return self._switch(
                Switch(_now(), "rollback", alias, before, current, approver, reason)
            )

    def history(self) -> list[Switch]:
        """Return every switch of every alias, oldest first.

        A line that a power cut left torn is passed over.
        """
        try:
            lines = (self.folder / HISTORY).read_text("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []
        switches = []
        for line in lines:
            with suppress(ValueError, TypeError):
                switches.append(Switch(**json.loads(line)))
        return switches

    def former(self, alias: Alias, current: str | None) -> list[str]:
        """Return where rollbacks from ``current`` would lead one after another."""
        trail: list[str] = []
        for switch in self.history():
            if switch.alias == alias and switch.action == "rollback":
                del trail[-1:]
            elif switch.alias == alias and switch.version not in {None, *trail[-1:]}:
                trail.append(str(switch.version))
        if trail[-1:] == [
            current
        ]:  # else: a crash between a switch and its line in the history
            del trail[-1]
        return trail[::-1]

    def stand_ins(self, alias: Alias) -> list[str]:
        """Return the versions that may stand in for the one of ``alias``, the nearest first.

        Whatever cannot be read: what the history tells of is all there is then, or nothing.
        """
        current = None
        with suppress(ModelError):
            current = self.resolve(alias)
        try:
            return self.former(alias, current)
        except OSError:
            return []

    def _switch(self, switch: Switch) -> Switch:
        path = self.folder / "aliases" / switch.alias
        disk.make(path.parent)
        if switch.version is None:
            disk.remove(path)
        else:
            draft = path.with_name(f".{switch.alias}")
            disk.write(draft, f"{switch.version}\n".encode())
            disk.rename(draft, path)
        disk.append(self.folder / HISTORY, json.dumps(switch.as_json()).encode())
        return switch

    @staticmethod
    def _forget_drafts(parent: Path) -> None:
        """Remove what a publisher that was killed left behind; we hold the lock."""
        for draft in parent.glob(f"{DRAFT}*"):
            shutil.rmtree(draft, ignore_errors=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        disk.make(self.folder)
        path = self.folder / ".lock"
        try:
            with FileLock(path, timeout=LOCK_SECONDS):
                yield
        except Timeout as error:
            message = f"{path} is held by another process for {LOCK_SECONDS:.0f} s"
            raise ModelError(message, hint="try again when the other has finished") from error


def _check_expected(alias: str, current: str | None, expected: str | None) -> None:
    if expected not in {WHICHEVER, current}:
        message = f"{alias} has moved meanwhile, to {current or 'nothing'}"
        raise AliasMovedError(message, hint="compare with the model that serves now")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
