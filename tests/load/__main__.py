"""``make load``: exit code 0 only when every promise was kept."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from noctis.telemetry import configure_logging
from tests.load import report
from tests.load.kpis import judge
from tests.load.run import Asked, Run


def main() -> int:
    """Run, leave the report, print it; return the exit code."""
    asked, folder, as_json = _asked()
    configure_logging("load", level="warning")
    run = Run(asked)
    verdicts = judge(run.go(), skipped=() if asked.kill else ("recovery",))
    report.write(folder, asdict(asked), verdicts, run.facts)
    form = report.as_json if as_json else report.as_markdown
    sys.stdout.write(form(asdict(asked), verdicts, run.facts))
    sys.stderr.write(f"the report is in {folder}\n")
    return 0 if all(it.holds for it in verdicts) else 1


def _asked() -> tuple[Asked, Path, bool]:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("--devices", type=int, default=200)
    parser.add_argument("--rate", type=float, default=20.0, help="epochs a second, of all")
    parser.add_argument("--minutes", type=float, default=3.0, help="under load, before kills")
    parser.add_argument("--reads", type=float, default=20.0, help="reads a second")
    parser.add_argument("--questions", type=float, default=1.0, help="predictions a second")
    parser.add_argument("--kill", nargs="*", default=list(Asked(1, 1, 1).kill), metavar="PART")
    parser.add_argument("--folder", type=Path, default=Path("build/load"))
    parser.add_argument("--json", action="store_true")
    it = parser.parse_args()
    asked = Asked(it.devices, it.rate, it.minutes, it.reads, it.questions, tuple(it.kill))
    return asked, it.folder, it.json


if __name__ == "__main__":
    sys.exit(main())
