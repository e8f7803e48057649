"""Hurt a platform by a seed, and say whether every epoch is stored and staged once."""

import argparse
import json
import logging
import os
import sys
from pathlib import Path

import structlog

from tests.chaos.child import end_in_order
from tests.chaos.page import page
from tests.chaos.run import Outcome, kinds_here, run, tell
from tests.chaos.schedule import Event, draw, from_text
from tests.chaos.site import Asked


def main() -> None:
    """Run; print the verdict as JSON; exit 0 only where it holds."""
    asked = _arguments()
    end_in_order()
    os.environ["NOCTIS_PROFILE"] = "local"
    structlog.configure(
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )
    persistence = asked.seed % 2 == 0 if asked.persistence is None else asked.persistence
    outcome = run(
        Asked(
            asked.seed,
            asked.tenants,
            asked.devices,
            asked.speed,
            persistence,
            asked.patience,
            asked.attic,
        ),
        _schedule(asked),
    )
    if asked.page is not None:
        asked.page.write_text(page(outcome), "utf-8")
    _report(outcome, as_json=asked.json)
    sys.exit(0 if outcome.holds else 1)


def _schedule(asked: argparse.Namespace) -> list[Event]:
    """Return the schedule of a file, or the one that the seed gives."""
    if asked.schedule is not None:
        return from_text(asked.schedule.read_text("utf-8"))
    return draw(
        asked.seed,
        asked.faults,
        kinds=kinds_here(),
        tenants=asked.tenants,
        longest_s=asked.longest,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tenants", type=int, default=5)
    parser.add_argument("--devices", type=int, default=4, help="of each tenant")
    parser.add_argument(
        "--attic", type=int, default=0, help="epochs in the flash of one more device"
    )
    parser.add_argument("--speed", type=float, default=60.0, help="of the nights")
    parser.add_argument("--longest", type=float, default=60.0, help="seconds of a fault")
    parser.add_argument(
        "--persistence",
        action=argparse.BooleanOptionalAction,
        help="of the broker; by itself with even seeds",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=150.0,
        help="seconds without progress after which what has not come is missing",
    )
    parser.add_argument("--schedule", type=Path, help="play this one, a file of JSON")
    parser.add_argument("--page", type=Path, help="leave a page with the timeline there")
    parser.add_argument("--json", action="store_true", help="one JSON value, nothing else")
    return parser.parse_args()


def _report(outcome: Outcome, *, as_json: bool) -> None:
    for kind, examples in outcome.findings.examples.items():
        for example in examples:
            tell(f"{kind}: {example}")
    tell(
        f"{outcome.seconds:.0f} s; the verdict {'holds' if outcome.holds else 'does not hold'}"
    )
    if as_json:
        sys.stdout.write(json.dumps(outcome.verdict) + "\n")
        return
    for name, value in outcome.verdict.items():
        sys.stdout.write(f"{name:<24}{value:>10}\n")


if __name__ == "__main__":
    main()
