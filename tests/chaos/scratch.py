"""A copy of the tree in which rules are broken, and which then is hurt."""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from tests.chaos.child import verdict_of
from tests.chaos.mutations import Patch
from tests.chaos.schedule import Event, as_text

__all__ = ["Scratch", "scratch", "tree"]

ROOT: Final = Path(__file__).parents[2]
BUILD_S: Final = 1800


@dataclass(frozen=True, slots=True)
class Scratch:
    """A copy of the tree with a Python and a noctis-device of its own."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / ".venv" / "bin" / "python"

    @property
    def device(self) -> Path:
        return self.python.with_name("noctis-device")

    @contextmanager
    def mutated(self, patches: tuple[Patch, ...]) -> Iterator[None]:
        """Have the tree with these replacements; raise ValueError where one does not apply."""
        before = {it.file: (self.folder / it.file).read_text("utf-8") for it in patches}
        original = self.device.read_bytes()
        try:
            for it in patches:
                self._replace(it)
            if any(it.file.startswith("firmware/") for it in patches):
                self._build()
            yield
        finally:
            for file, text in before.items():
                (self.folder / file).write_text(text, "utf-8")
            self.device.unlink()
            self.device.write_bytes(original)
            self.device.chmod(0o755)

    def run(
        self, events: Sequence[Event], asked: Sequence[str], *, within_s: float
    ) -> dict[str, Any]:
        """Hurt the copy by a schedule, with these options; return its verdict."""
        schedule = self.folder / "schedule.json"
        schedule.write_text(as_text(events), "utf-8")
        verdict, _ = verdict_of(
            [self.python, "-m", "tests.chaos", "--schedule", schedule, *asked],
            within_s=within_s,
            folder=self.folder,
            environment={it: os.environ[it] for it in os.environ if it != "PYTHONPATH"},
        )
        return verdict

    def _replace(self, patch: Patch) -> None:
        path = self.folder / patch.file
        text = path.read_text("utf-8")
        if text.count(patch.old) != 1:
            message = f"{patch.file} has {text.count(patch.old)} times: {patch.old!r}"
            raise ValueError(message)
        path.write_text(text.replace(patch.old, patch.new), "utf-8")

    def _build(self) -> None:
        build = self.folder / "build"
        configure = ["cmake", "-S", str(self.folder / "firmware"), "-B", str(build)]
        configure += ["-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"]
        if shutil.which("ccache"):
            configure.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
        make = ["cmake", "--build", str(build), "--target", "noctis-device"]
        for command in (configure, make):
            subprocess.run(
                command,
                check=True,
                stdout=subprocess.DEVNULL,
                timeout=BUILD_S,
                env={**os.environ, "CCACHE_BASEDIR": str(self.folder), "CCACHE_NOHASHDIR": "1"},
            )
        self.device.unlink()
        shutil.copy(build / "noctis-device", self.device)


@contextmanager
def scratch() -> Iterator[Scratch]:
    """Copy the tree, with a Python that sees the copy and the packages of this one."""
    with tempfile.TemporaryDirectory(prefix="noctis-mutants-") as name:
        made = Scratch(Path(name))
        made.folder.chmod(0o755)
        for file in _files():
            (made.folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, made.folder / file)
        venv.create(made.folder / ".venv", symlinks=True, with_pip=False)
        packages = [it for it in sys.path if it.endswith("site-packages")]
        [site] = (made.folder / ".venv" / "lib").glob("python*/site-packages")
        (site / "tree.pth").write_text("\n".join([name, *packages]) + "\n")
        shutil.copy(Path(sys.executable).with_name("noctis-device"), made.device)
        yield made


def tree() -> str:
    """Return a name of all that is in the tree, another one after each change of it."""
    known = sha256()
    for file in _files():
        known.update(f"{file}\0".encode() + sha256((ROOT / file).read_bytes()).digest())
    return known.hexdigest()


def _files() -> list[str]:
    """Return the files of the tree: those that git knows, or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted(file for file in listed.split("\0") if file and (ROOT / file).is_file())
