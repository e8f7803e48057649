"""Show that the spool's tests miss none of its rules: leave each out, expect a failure.

    python firmware/test/spool_mutants.py [PART OF A RULE]

spool_mutants.toml has the rules and the one replacement that breaks each. A scratch copy of the
file is built into the spool's tests, which are compiled once, and run until one fails.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

TEST = Path(__file__).parent
CORE = TEST.parent / "lib" / "noctis_core"
CORE_FILES = (
    *(f"spool{part}.cpp" for part in ("", "_layout", "_mount", "_reader")),
    *("slot.cpp", "crc.cpp", "frame.cpp", "w25q64.cpp", "partition_flash.cpp"),
)
TEST_FILES = (
    *(f"test_{name}.cpp" for name in ("main", "spool", "chips")),
    *(f"test_spool_{name}.cpp" for name in ("power_cuts", "every_cut", "owner")),
)
FLAGS = ("-std=c++17", "-O1", "-Wno-unused", f"-I{CORE / 'include'}", f"-I{TEST}")
WORKERS = 2
HANGS_S = 200


@dataclass(frozen=True)
class Mutant:
    """A rule, and how to leave it out: one replacement in one file of the core."""

    rule: str
    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Stage:
    """Some of the tests: cheap ones come first."""

    name: str
    filters: tuple[str, ...]
    runs: int = 0


SLOW = "*8 MiB chip*,*very first writes*,*over the driver and*,*in the cure of*"
STAGES = (
    Stage(
        "cases", ("-sf=*test_spool.cpp,*test_spool_owner.cpp,*test_chips.cpp", f"-tce={SLOW}")
    ),
    Stage("short runs", ("-tc=*short runs*",), 400),
    Stage("slow cases", (f"-tc={SLOW}",)),
    Stage("every cut", ("-tc=*wherever the power is cut*",)),
    Stage("short runs", ("-tc=*short runs*",), 3000),
)


class Workshop:
    """The objects of the unchanged files, and what is built of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        sources = [
            *(CORE / "src" / name for name in CORE_FILES),
            *map(TEST.joinpath, TEST_FILES),
        ]
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(lambda source: compile_one(source, self._object(source)), sources))
        self._objects = {source.name: self._object(source) for source in sources}

    def _object(self, source: Path) -> Path:
        return self._folder / f"{source.name}.o"

    def unchanged(self) -> Path:
        """Return the tests' program of the core as it is."""
        program = self._folder / "unchanged"
        compiler("-o", program, *self._objects.values())
        return program

    def build(self, mutant: Mutant, number: int) -> Path:
        """Return the tests' program of the core without that rule."""
        text = (CORE / "src" / mutant.file).read_text()
        if text.count(mutant.old) != 1:
            fail(f"{mutant.file} has {text.count(mutant.old)} times, not once: {mutant.old!r}")
        folder = self._folder / str(number)
        folder.mkdir()
        source = folder / mutant.file
        source.write_text(text.replace(mutant.old, mutant.new))
        compile_one(source, folder / "mutant.o")
        objects = self._objects | {mutant.file: folder / "mutant.o"}
        compiler("-o", folder / "tests", *objects.values())
        return folder / "tests"


def compiler(*arguments: str | Path) -> None:
    """Run the C++ compiler; end the program where it fails."""
    command = [os.environ.get("CXX", "c++"), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        fail(f"{' '.join(command)}\n{result.stderr}")


def compile_one(source: Path, target: Path) -> None:
    """Compile one file."""
    compiler(*FLAGS, "-c", source, "-o", target)


def fail(complaint: str) -> NoReturn:
    """End the program: nothing is known of the mutants."""
    message = f"spool_mutants: {complaint}"
    raise SystemExit(message)


def failure(program: Path, stage: Stage) -> str:
    """Run a stage; return which test failed and after how much, or nothing."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("NOCTIS_CUT")}
    environment = kept | {"NOCTIS_CUT_RUNS": str(stage.runs), "NOCTIS_CUT_EVERY": "7"}
    command = [str(program), *stage.filters, "--abort-after=1", "--no-colors=true"]
    try:
        result = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=HANGS_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        fail(f"{stage.name} did not end within {HANGS_S} s: a mutant that hangs proves nothing")
    return "" if result.returncode == 0 else f"{stage.name}: {explain(result.stdout)}"


def explain(output: str) -> str:
    """Return the run, the step or the name of the test that failed."""
    if seed := re.search(r"NOCTIS_CUT_SEED=(\d+)", output):
        return f"run {int(seed[1]) + 1}"
    if step := re.search(r"logged: step (\d+)", output):
        return f"step {int(step[1]) + 1}"
    names = re.findall(r"TEST CASE: *(.+)", output.partition("ERROR")[0])
    return names[-1] if names else "crashes"


def catch(job: tuple[Workshop, int, Mutant]) -> tuple[Mutant, str, float]:
    """Return what caught a mutant (nothing: it survives), and how long that took."""
    workshop, number, mutant = job
    program = workshop.build(mutant, number)
    begun = time.monotonic()
    caught = next(filter(None, (failure(program, stage) for stage in STAGES)), "")
    return mutant, caught, time.monotonic() - begun


def results(mutants: list[Mutant]) -> Iterator[tuple[Mutant, str, float]]:
    """Yield what caught each mutant, in their order."""
    with tempfile.TemporaryDirectory(prefix="spool-mutants-") as folder:
        workshop = Workshop(Path(folder))
        program = workshop.unchanged()
        if wrong := next(filter(None, (failure(program, stage) for stage in STAGES[:3])), ""):
            fail(f"the tests fail without any change: {wrong}")
        with ThreadPoolExecutor(WORKERS) as pool:
            jobs = [(workshop, number, mutant) for number, mutant in enumerate(mutants)]
            yield from pool.map(catch, jobs)


def main() -> None:
    """Print a table of the mutants; end with 1 if one survives."""
    table = tomllib.loads((TEST / "spool_mutants.toml").read_text())["mutant"]
    mutants = [Mutant(**row) for row in table if "".join(sys.argv[1:2]) in row["rule"]]
    survivors = 0
    begun = time.monotonic()
    for mutant, caught, seconds in results(mutants):
        survivors += not caught
        print(f"{seconds:5.1f} s  {mutant.rule:64} {caught or 'SURVIVES'}", flush=True)
    spent = time.monotonic() - begun
    print(f"{len(mutants) - survivors} of {len(mutants)} mutants caught in {spent:.0f} s")
    if survivors or not mutants:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
