"""Show that the checker misses nothing: break the product, one rule at a time, and be told.

    python -m tests.chaos.mutants [--only PART OF A RULE]

Each mutant is a few replacements in a scratch copy of the tree, hurt by the same short
schedule; it is caught where the verdict names a kind of wrong that it must lead to. The tree as
it is goes first: of it nothing may be found. Verdicts are told, and kept in the folder's
``mutants.json``, as they come: begun again, those of the same tree are not asked for once more.
One JSON value comes out; exit 0 only where all are caught.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

from tests.chaos.child import BROKEN, end_in_order
from tests.chaos.mutations import MUTANTS, Mutant
from tests.chaos.run import WRONG, tell
from tests.chaos.schedule import Event, Fault
from tests.chaos.scratch import Scratch, scratch, tree


def _event(*faults: Fault) -> Event:
    return Event(faults, pause_s=0.5, storm=False)


UNCONFIRMED: Final = _event(
    Fault("one-way", "ingestor", 1.6, link="broker", way="requests"),
    Fault("reset", "ingestor", 0.1, link="broker", after_s=0.8),
)
"""The link is lost between COMMIT and acknowledgement. The broker delivers that again, and then
what was made since: epochs that are stored and new ones, all live, in one batch."""

SCHEDULE: Final = (
    UNCONFIRMED,
    _event(
        Fault("freeze", "database", 4.0),
        Fault("reset", "ingestor", 0.1, link="broker", after_s=3.0),
    ),
    UNCONFIRMED,
    _event(Fault("kill", "database", 1.0)),
    _event(Fault("cut", "device", 3.0), Fault("reset", "device", 0.1, after_s=2.0)),
    _event(Fault("kill", "ingestor", 5.0), Fault("kill", "broker", 1.0, after_s=3.0)),
    _event(Fault("reload", "worker", 0.1)),
    UNCONFIRMED,
)
"""What brings each of the mutants to light: redelivery, lost COMMITs, links, lost queues."""

ASKED: Final = (
    *("--seed", "1", "--tenants", "3", "--devices", "3", "--speed", "120"),
    *("--no-persistence", "--patience", "30", "--json"),
)


def judge(mutant: Mutant, verdict: dict[str, Any]) -> bool:
    """Tell whether the verdict names what the mutant must lead to."""
    if BROKEN in verdict:
        return False
    if not mutant.caught_by:
        return not any(verdict[name] for name in verdict if name in WRONG)
    return any(verdict.get(name, 0) for name in mutant.caught_by)


class Kept:
    """The verdicts on mutants of one tree, in a file that is whole at any moment."""

    def __init__(self, folder: Path, tree: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "mutants.json"
        self._tree = tree
        self.verdicts: dict[str, dict[str, Any]] = {}
        if self._file.exists():
            known = json.loads(self._file.read_text("utf-8"))
            self.verdicts = known["verdicts"] if known["tree"] == tree else {}

    def add(self, rule: str, verdict: dict[str, Any]) -> None:
        """Keep a verdict."""
        self.verdicts[rule] = verdict
        draft = self._file.with_suffix(".draft")
        draft.write_text(json.dumps({"tree": self._tree, "verdicts": self.verdicts}), "utf-8")
        draft.replace(self._file)


def main() -> None:
    """Run all mutants, or those whose rule has one of the texts in it."""
    asked = _arguments()
    end_in_order()
    wanted = [it for it in MUTANTS if any(part in it.rule for part in asked.only or [""])]
    kept = Kept(asked.folder, tree())
    if not all(it.rule in kept.verdicts for it in wanted):
        with scratch() as copy:
            for mutant in (it for it in wanted if it.rule not in kept.verdicts):
                verdict = _run(copy, mutant, asked.within)
                if BROKEN not in verdict:
                    kept.add(mutant.rule, verdict)
    results = {it.rule: _result(it, kept.verdicts.get(it.rule, {BROKEN: 1})) for it in wanted}
    sys.stdout.write(json.dumps(results) + "\n")
    sys.exit(0 if results and all(it["caught"] for it in results.values()) else 1)


def _run(copy: Scratch, mutant: Mutant, within_s: float) -> dict[str, Any]:
    tell(f"mutant: {mutant.rule}")
    began = time.monotonic()
    with copy.mutated(mutant.patches):
        verdict = copy.run(SCHEDULE, ASKED, within_s=within_s)
    result = _result(mutant, verdict)
    what = "as it must be" if result["caught"] else "MISSED"
    what = "NO VERDICT" if BROKEN in verdict else what
    tell(f"{what}: {mutant.rule}: {result['by']}, {time.monotonic() - began:.0f} s")
    return verdict


def _result(mutant: Mutant, verdict: dict[str, Any]) -> dict[str, Any]:
    wrong = {name: verdict[name] for name in verdict if name in WRONG and verdict[name]}
    return {"caught": judge(mutant, verdict), "by": wrong}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.mutants", description=__doc__)
    parser.add_argument("--only", action="append", help="rules with this text in them")
    parser.add_argument("--within", type=float, default=900, help="seconds of each")
    parser.add_argument("--folder", type=Path, default=Path("build/mutants"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
