"""How near the ingest comes to its raw limits, and how it stands beside its peers.

    python -m bench.ingest --json [--quick]

One JSON object on stdout, progress on stderr, 0 when every aim is met. bench/README.md says how
each figure comes about.
"""

import argparse
import json
import os
import sys
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any, Final

from bench import peers, sizes
from bench.load import Fleet
from bench.rounds import Runs, alternate, bind
from bench.stage import PASSWORD, Stage, say, staged
from noctis.epoch import EPOCH_SECONDS
from noctis.errors import NoctisError
from noctis.telemetry import configure_logging

__all__ = ["FULL", "QUICK", "Scale", "main", "measure", "misses"]

LIVE_AIM: Final = 0.35
BACKLOG_AIM: Final = 0.6
FLAT_WITHIN: Final = 0.2
FEW: Final = 100

Pair = tuple[Runs, Runs]
"""Of few devices, of many."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured: rounds, and messages of each round."""

    rounds: int
    live: int
    backlog: int
    peers: int
    many: int


FULL: Final = Scale(rounds=5, live=30_000, backlog=5_000, peers=60_000, many=50_000)
QUICK: Final = Scale(rounds=2, live=10_000, backlog=2_000, peers=3_000, many=5_000)


def measure(scale: Scale) -> dict[str, Any]:
    """Measure on servers of its own and return the figures."""
    with staged() as stage:
        stage.enrol(max(scale.many, 500))
        warm = _fleet(stage, FEW, "epochs", 6)
        warmed = bind(stage, warm)
        fleet = _fleet(stage, 500, "epochs", 1)
        live = alternate(stage, fleet, warm, messages=scale.live, rounds=scale.rounds)
        fleet = _fleet(stage, 50, "backlog", 2)
        backlog = alternate(stage, fleet, warm, messages=scale.backlog, rounds=scale.rounds)
        paced = _by_devices(stage, scale, (3, 4), within_s=EPOCH_SECONDS)
        flat_out = _by_devices(stage, scale, (7, 8))
        fleet = _fleet(stage, 500, "epochs", 5)
        rounds = min(scale.rounds, 3)
        beside = peers.measure(stage, fleet, warm, messages=scale.peers, rounds=rounds)
        all_runs = (live, backlog, *paced, *flat_out, beside.ingestor)
        sent = warmed + sum(it.epochs + it.bound for it in all_runs)
        return {
            **_limits(live, backlog),
            "vs_peers": beside.keyed,
            **_lost(stage, sent),
            "cost_of_many_devices": _growth(paced, flat_out),
            "live": live.told(),
            "backlog": backlog.told(),
            "devices": _told(scale, paced),
            "devices_flat_out": _told(scale, flat_out),
            "peers": beside.told,
            "bytes_per_epoch": sizes.measure(stage),
            "cores": os.cpu_count(),
        }


def _limits(live: Runs, backlog: Runs) -> dict[str, Any]:
    """Return how near the ingestor comes to the raw limits."""
    to_subscriber = live.ratios("ingestor", "c_subscriber")
    to_copy = backlog.ratios("ingestor", "raw_copy")
    return {
        "live_vs_c_subscriber": round(median(to_subscriber), 3),
        "live_per_second": round(live.median("ingestor")),
        "backlog_vs_copy": round(median(to_copy), 3),
        "spread": {"live_vs_c_subscriber": to_subscriber, "backlog_vs_copy": to_copy},
        "publisher_vs_c_subscriber": round(median(live.ratios("publisher", "c_subscriber")), 3),
    }


def _lost(stage: Stage, sent: int) -> dict[str, int]:
    """Count what is stored of the epochs sent; raw COPY has streams of its own."""
    stored = stage.count("SELECT count(*) FROM epochs WHERE stream < (1::bigint << 40)")
    distinct = stage.count(
        "SELECT count(*) FROM (SELECT DISTINCT stream, seq FROM epochs "
        "WHERE stream < (1::bigint << 40)) AS one"
    )
    return {"lost": sent - distinct, "duplicates": stored - distinct}


def _growth(paced: Pair, flat_out: Pair) -> dict[str, float]:
    """Return what many devices cost by what few do."""
    slower = flat_out[0].median("ingestor") / flat_out[1].median("ingestor")
    return {
        "ingestor_cpu": round(paced[1].cpu_per_epoch / paced[0].cpu_per_epoch, 2),
        "ingestor_cpu_flat_out": round(
            flat_out[1].cpu_per_epoch / flat_out[0].cpu_per_epoch, 2
        ),
        "time_flat_out": round(slower, 2),
    }


def _told(scale: Scale, pair: Pair) -> dict[str, Any]:
    return {str(FEW): pair[0].told(), str(scale.many): pair[1].told()}


def misses(result: dict[str, Any]) -> list[str]:
    """Return which aims are not met, in words."""
    peers_behind = [
        name for name, by in result["vs_peers"].items() if by is not None and by <= 1
    ]
    growth = result["cost_of_many_devices"]["ingestor_cpu"]
    checks = {
        f"live is below {LIVE_AIM} of the C subscriber": result["live_vs_c_subscriber"]
        < LIVE_AIM,
        f"backlog is below {BACKLOG_AIM} of raw COPY": result["backlog_vs_copy"] < BACKLOG_AIM,
        f"faster than the ingestor: {', '.join(peers_behind)}": bool(peers_behind),
        "epochs were lost": result["lost"] != 0,
        "epochs were stored twice": result["duplicates"] != 0,
        "the ingestor's cost of an epoch grows with the devices": growth > 1 + FLAT_WITHIN,
        "the publisher does not outrun the subscriber": result["publisher_vs_c_subscriber"]
        <= 1,
    }
    return [text for text, missed in checks.items() if missed]


def _by_devices(
    stage: Stage, scale: Scale, numbers: tuple[int, int], *, within_s: float = 0.0
) -> Pair:
    """Measure the same number of messages from few devices and from many, in turns.

    Over the 30 s in which each of the many makes an epoch, or as fast as it goes.
    """
    fleets = [
        _fleet(stage, devices, "epochs", number)
        for devices, number in zip((FEW, scale.many), numbers, strict=True)
    ]
    runs = [Runs(bound=bind(stage, fleet)) for fleet in fleets]
    for number in range(min(scale.rounds, 3)):
        for fleet, its in zip(fleets, runs, strict=True):
            say(f"{fleet.devices} devices, round {number + 1}")
            load = fleet.load(scale.many)
            its.take(stage, load, fleet, within_s=within_s)  # it has heard of all its devices
            load.path.unlink()
    return runs[0], runs[1]


def _fleet(stage: Stage, devices: int, channel: str, number: int) -> Fleet:
    """Return a fleet with streams of its own; live epochs are of now, backlog is older."""
    ago = timedelta(minutes=30) if channel == "epochs" else timedelta(days=60)
    return Fleet(devices, channel, ago, stage.folder, PASSWORD, number << 20)


def main() -> int:
    """Measure and print; 1 when an aim is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.ingest", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object (it always is)")
    parser.add_argument("--quick", action="store_true", help="about a minute, rough figures")
    asked = parser.parse_args()
    configure_logging("bench", level="warning")
    try:
        result = measure(QUICK if asked.quick else FULL)
    except NoctisError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 2
    print(json.dumps(result, indent=2))
    missed = misses(result)
    for text in missed:
        say(f"aim missed: {text}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
