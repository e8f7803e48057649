"""What a hot reload costs whoever waits for a stage: the real worker, broker and devices.

Devices of the firmware's host build publish at real-time pace. Calm stretches take turns with
stretches in which the champion changes every two seconds, so that hardly an epoch is without a
reload beside it; an epoch belongs to the stretch in which it was published.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from bench.latency import APP, TENANT, Row, enrol, fleet_of
from cli.embedded import Platform
from cli.verdict import Entry, key_of, read_log
from cli.witness import Witness
from inference.model import DEFAULT_FOLDER
from noctis.childproc import free_port
from noctis.telemetry import configure_logging
from registry.manifest import MANIFEST
from registry.store import Registry

__all__ = ["VERSIONS", "Stretch", "main", "measure", "publish"]

FIRST_EPOCHS_S: Final = 35.0
EVERY_S: Final = 2.0
CALM: Final = "calm"
RELOADING: Final = "reloading"
VERSIONS: Final = ("one", "other")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Seconds since the epoch in which the champion stayed, or changed again and again."""

    name: str
    begin: float
    end: float


def measure(model: Path, *, devices: int, seconds: float, rounds: int) -> dict[str, Any]:
    """Return percentiles of calm and of reloading stretches, and what was lost."""
    with tempfile.TemporaryDirectory(prefix="noctis-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with Platform(folder, api_port=free_port()) as platform:
            passwords = enrol(platform, devices)
            registry = publish(platform.var / "models", model)
            host, port = platform.broker_address
            with Witness(host, port, app=APP, tenant=TENANT, password=passwords[APP]) as app:
                fleet = platform.add_device("fleet", fleet_of(folder, devices), password="")
                time.sleep(FIRST_EPOCHS_S)
                switches = count()
                stretches = list(_stretches(registry, switches, seconds, rounds))
                fleet.stop()
                time.sleep(2.0)
        entries = [entry for log in folder.glob("bed.jsonl*") for entry in read_log(log)]
        return _result(entries, app, stretches, next(switches))


def publish(root: Path, model: Path) -> Registry:
    """Publish a model twice, under the VERSIONS that take turns."""
    manifest = json.loads((model / MANIFEST).read_text("utf-8"))
    registry = Registry(root)
    for version in VERSIONS:
        with tempfile.TemporaryDirectory() as draft:
            shutil.copytree(model, draft, dirs_exist_ok=True)
            content = json.dumps(manifest | {"version": version})
            (Path(draft) / MANIFEST).write_text(content, "utf-8")
            registry.publish(Path(draft))
    return registry


def _stretches(
    registry: Registry, switches: Iterator[int], seconds: float, rounds: int
) -> Iterator[Stretch]:
    for turn in range(2 * rounds):
        name = RELOADING if turn % 2 else CALM
        begin = time.time()
        print(f"{name} for {seconds:g} s", file=sys.stderr)
        while time.time() < begin + seconds:
            if name == RELOADING:
                registry.promote("champion", VERSIONS[next(switches) % 2])
            time.sleep(EVERY_S)
        yield Stretch(name, begin, time.time())


def _result(
    entries: list[Entry], app: Witness, stretches: list[Stretch], reloads: int
) -> dict[str, Any]:
    waits: dict[str, list[float]] = {CALM: [], RELOADING: []}
    lost = 0
    for entry in entries:
        at = entry["published_at"]
        name = next((it.name for it in stretches if at and it.begin <= at < it.end), None)
        if name is None:
            continue
        arrived = app.arrivals.get(key_of(entry))
        if arrived is None:
            lost += 1
        else:
            waits[name].append(arrived - at)
    rows = {name: Row.of(name, values) for name, values in waits.items()}
    return {
        "reloads": reloads,
        "rows": list(rows.values()),
        "lost": lost,
        "p99_ratio": round(rows[RELOADING].p99 / rows[CALM].p99, 2),
        "stages_by_model": _counted(app.models),
    }


def _counted(models: Mapping[tuple[int, int], str]) -> dict[str, int]:
    names = sorted(models.values())
    return {name: names.count(name) for name in dict.fromkeys(names)}


def main() -> None:
    """Measure and print a table, or one JSON value; exit 1 where a stage was lost."""
    parser = argparse.ArgumentParser(prog="python -m bench.reload", description=__doc__)
    parser.add_argument("--devices", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each stretch")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="a model's folder")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    configure_logging("bench", level="warning")
    result = measure(
        asked.folder, devices=asked.devices, seconds=asked.seconds, rounds=asked.rounds
    )
    if asked.json:
        print(json.dumps({**result, "rows": [asdict(row) for row in result["rows"]]}))
    else:
        print(f"{'milliseconds':<16}{'count':>8}{'p50':>9}{'p95':>9}{'p99':>9}{'longest':>9}")
        for row in result["rows"]:
            waits = "".join(f"{v:>9}" for v in (row.p50, row.p95, row.p99, row.longest))
            print(f"{row.name:<16}{row.count:>8}{waits}")
        print(f"p99 ratio {result['p99_ratio']} at {result['reloads']} reloads")
        print(f"stages lost: {result['lost']}; by model: {result['stages_by_model']}")
    sys.exit(1 if result["lost"] else 0)


if __name__ == "__main__":
    main()
