"""Show that the checker misses nothing: break the product, one rule at a time, and be told.

    python -m tests.chaos.mutants [PART OF A RULE ...]

Each mutant is a few replacements in a scratch copy of the tree, hurt by the same short
schedule; it is caught where the verdict names a kind of wrong that it must lead to. The tree as
it is goes first: of it nothing may be found. One JSON value comes out; exit 0 only where all
are caught.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.chaos.mutations import MUTANTS, Mutant, Patch
from tests.chaos.run import tell
from tests.chaos.schedule import Event, Fault, as_text

ROOT: Final = Path(__file__).parents[2]
RUN_S: Final = 900
BUILD_S: Final = 1800
SCHEDULE: Final = (
    Event(
        (
            Fault("freeze", "database", 4.0),
            Fault("reset", "ingestor", 0.1, link="broker", after_s=3.0),
        ),
        pause_s=0.5,
        storm=False,
    ),
    Event((Fault("kill", "database", 1.0),), pause_s=0.5, storm=False),
    Event(
        (Fault("cut", "device", 3.0), Fault("reset", "device", 0.1, after_s=2.0)),
        pause_s=0.5,
        storm=False,
    ),
    Event(
        (Fault("kill", "ingestor", 5.0), Fault("kill", "broker", 1.0, after_s=3.0)),
        pause_s=0.5,
        storm=False,
    ),
    Event((Fault("reload", "worker", 0.1),), pause_s=0.5, storm=False),
)
"""What brings each of the mutants to light: redelivery, lost COMMITs, links, lost queues."""

ASKED: Final = (
    *("--seed", "1", "--tenants", "3", "--devices", "3", "--speed", "120"),
    *("--no-persistence", "--patience", "30", "--json"),
)


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

    def run(self) -> dict[str, Any]:
        """Hurt the copy; return its verdict."""
        schedule = self.folder / "schedule.json"
        schedule.write_text(as_text(SCHEDULE), "utf-8")
        done = subprocess.run(
            [self.python, "-m", "tests.chaos", "--schedule", schedule, *ASKED],
            cwd=self.folder,
            env={name: it for name, it in os.environ.items() if name != "PYTHONPATH"},
            stdout=subprocess.PIPE,
            text=True,
            timeout=RUN_S,
            check=False,
        )
        verdict: dict[str, Any] = json.loads(done.stdout) if done.stdout else {"broken": 1}
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
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    with tempfile.TemporaryDirectory(prefix="noctis-mutants-") as name:
        made = Scratch(Path(name))
        made.folder.chmod(0o755)
        for file in filter(None, listed.split("\0")):
            if (ROOT / file).is_file():
                (made.folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, made.folder / file)
        venv.create(made.folder / ".venv", symlinks=True, with_pip=False)
        packages = [it for it in sys.path if it.endswith("site-packages")]
        [site] = (made.folder / ".venv" / "lib").glob("python*/site-packages")
        (site / "tree.pth").write_text("\n".join([name, *packages]) + "\n")
        shutil.copy(Path(sys.executable).with_name("noctis-device"), made.device)
        yield made


def judge(mutant: Mutant, verdict: dict[str, Any]) -> bool:
    """Tell whether the verdict names what the mutant must lead to."""
    if "broken" in verdict:  # it ended without a verdict
        return False
    if not mutant.caught_by:
        return not any(verdict[name] for name in verdict if name in KINDS)
    return any(verdict.get(name, 0) for name in mutant.caught_by)


KINDS: Final = frozenset(
    {"lost", "phantom", "duplicates", "crossed", "predictions_missing", "predictions_doubled"}
    | {"altered", "misplaced", "disordered", "undelivered", "unrecovered", "died"}
)


def main() -> None:
    """Run all mutants, or those whose rule has one of the texts in it."""
    asked = sys.argv[1:] or [""]
    results: dict[str, dict[str, Any]] = {}
    with scratch() as copy:
        for mutant in (it for it in MUTANTS if any(part in it.rule for part in asked)):
            tell(f"mutant: {mutant.rule}")
            with copy.mutated(mutant.patches):
                verdict = copy.run()
            wrong = {name: verdict[name] for name in verdict if name in KINDS and verdict[name]}
            caught = judge(mutant, verdict)
            results[mutant.rule] = {"caught": caught, "by": wrong}
            missed = "NO VERDICT" if "broken" in verdict else "MISSED"
            tell(f"{'as it must be' if caught else missed}: {mutant.rule}: {wrong}")
    sys.stdout.write(json.dumps(results) + "\n")
    sys.exit(0 if results and all(it["caught"] for it in results.values()) else 1)


if __name__ == "__main__":
    main()
