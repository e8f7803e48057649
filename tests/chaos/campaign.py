"""Many runs, one seed after another, whose verdicts add up; goes on where it was ended.

    python -m tests.chaos.campaign --faults 1000
    python -m tests.chaos.campaign --hours 8

Each seed's verdict is written into the folder's ``state.json`` as it is done, and a page of
its timeline beside it. A campaign that is ended (SIGTERM, Ctrl-C: with all that it started) and
begun again leaves out the seeds that are there.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

from tests.chaos.child import end_in_order, verdict_of
from tests.chaos.run import tell

__all__ = ["main", "total"]

LARGEST: Final = frozenset({"worst_recovery_seconds", "most_mib"})
DAY_S: Final = 86_400
Run = Mapping[str, Any]


def total(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the verdict of several runs: counts add up, of the rest the largest counts."""
    verdicts = [run["verdict"] for run in runs]
    names = dict.fromkeys(name for verdict in verdicts for name in verdict)
    return {
        name: max(it.get(name, 0) for it in verdicts)
        if name in LARGEST
        else sum(it.get(name, 0) for it in verdicts)
        for name in names
    }


def holds(runs: Sequence[Run]) -> bool:
    """Tell whether every run held."""
    return bool(runs) and all(run["holds"] for run in runs)


class State:
    """What was run so far, in a file that is whole at any moment."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "state.json"
        self.runs: list[Run] = []
        if self._file.exists():
            self.runs = json.loads(self._file.read_text("utf-8"))["runs"]

    def add(self, run: Run) -> None:
        self.runs.append(run)
        draft = self._file.with_suffix(".draft")
        draft.write_text(json.dumps({"runs": self.runs}, indent=1), "utf-8")
        draft.replace(self._file)

    def next_seeds(self, first: int) -> Iterator[int]:
        done = {run["seed"] for run in self.runs}
        return (seed for seed in count(first) if seed not in done)


def _one(seed: int, folder: Path, faults: int, others: Sequence[str]) -> Run:
    """Run one seed; without a verdict it does not hold."""
    page = folder / f"seed-{seed}.html"
    began = time.monotonic()
    run = [sys.executable, "-m", "tests.chaos", "--json", "--page", str(page)]
    command = [*run, "--seed", str(seed), "--faults", str(faults), *others]
    verdict, held = verdict_of(command, within_s=DAY_S)
    return {
        "seed": seed,
        "holds": held,
        "verdict": verdict,
        "seconds": round(time.monotonic() - began),
        "commit": _commit(),
        "arguments": [*others],
    }


def _commit() -> str:
    asked = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=10)
    return done.stdout.strip()


def main() -> None:
    """Run until there are as many faults, or hours, as asked for; print the sum."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.campaign", description=__doc__)
    parser.add_argument("--faults", type=int, default=1000, help="in all")
    parser.add_argument("--hours", type=float, help="so long instead, whatever the faults")
    parser.add_argument("--each", type=int, default=50, help="faults of a seed")
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--folder", type=Path, default=Path("build/chaos"))
    asked, others = parser.parse_known_args()
    end_in_order()
    state = State(asked.folder)
    ends = None if asked.hours is None else time.monotonic() + 3600 * asked.hours
    for seed in state.next_seeds(asked.seed):
        done = sum(run["verdict"].get("faults", 0) for run in state.runs)
        if done >= asked.faults if ends is None else time.monotonic() >= ends:
            break
        tell(f"seed {seed}: {done} faults so far")
        run = _one(seed, asked.folder, asked.each, others)
        if not run["verdict"].get("faults"):  # nor with the next: it is no matter of the seed
            tell(f"seed {seed} hurt nothing; why stands above")
            sys.exit(1)
        state.add(run)
    wrong = [run["seed"] for run in state.runs if not run["holds"]]
    if wrong:
        tell(f"the verdict does not hold for the seeds {wrong}: see {asked.folder}")
    sys.stdout.write(json.dumps({"seeds": len(state.runs), **total(state.runs)}) + "\n")
    sys.exit(0 if holds(state.runs) else 1)


if __name__ == "__main__":
    main()
