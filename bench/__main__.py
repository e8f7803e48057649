"""``python -m bench``: measure, print a table, and write the figures as JSON."""

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import latency

RESULTS = Path("build/bench")


def main() -> None:
    """Run one measurement or all of them."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("what", nargs="?", default="latency", choices=["latency"])
    parser.add_argument("--devices", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=120.0)
    asked = parser.parse_args()
    print(f"{asked.devices} devices at real-time pace for {asked.seconds:g} s", file=sys.stderr)
    result = latency.measure(count=asked.devices, seconds=asked.seconds)
    _show(result)
    _write("latency", {**result, "rows": [asdict(row) for row in result["rows"]]})


def _show(result: dict[str, Any]) -> None:
    print(f"{'milliseconds':<16}{'count':>8}{'p50':>9}{'p95':>9}{'p99':>9}{'longest':>9}")
    for row in result["rows"]:
        print(
            f"{row.name:<16}{row.count:>8}{row.p50:>9}{row.p95:>9}{row.p99:>9}{row.longest:>9}"
        )
    print(
        f"p95 is {result['p95_ratio']} times the bare broker's; "
        f"{result['published']} epochs published live"
    )


def _write(name: str, result: dict[str, Any]) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    machine = {"cores": os.cpu_count(), "python": platform.python_version()}
    text = json.dumps({"machine": machine, **result}, indent=2) + "\n"
    (RESULTS / f"{name}.json").write_text(text)


if __name__ == "__main__":
    main()
