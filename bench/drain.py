"""A device brings half a year at once: what that does to the live epochs of the others.

A flash chip with 189 days of epochs drains through a whole platform while other devices publish
live, an open loop: none waits for an answer before its next epoch is due. The same devices
publish before and after, too, in the same run: the ratio is what the drain costs them. In the
end what is stored is held against what was made. Run it from the root:

    python -m bench.drain --json build/bench/drain.json
"""

import argparse
import asyncio
import json
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bench.latency import Row
from bench.live import GRACE_S, Live, answered, publishing
from cli.embedded import Platform
from cli.service import Service, device_program
from cli.verdict import key_of, read_log
from cli.witness import Witness
from noctis.childproc import free_port
from noctis.identity import DeviceId, app_username
from noctis.storage import accounts, devices, tenants
from noctis.storage.census import count
from noctis.storage.engine import transaction
from noctis.telemetry import configure_logging

__all__ = ["Outcome", "main", "measure"]

TENANT: Final = "bench"
DRAINING: Final = DeviceId(TENANT, "old")
APP: Final = "phone"
FULL: Final = 544_320
"""189 days around the clock."""
LONGEST_S: Final = 3600.0


@dataclass(slots=True)
class Outcome:
    """What was measured; times in seconds since 1970."""

    epochs: int
    began: float
    ended: float
    live: Sequence[Live]
    stages: dict[tuple[int, int], float]
    lost: int
    doubled: int

    def waits(self, since: float, until: float, *, stage: bool) -> list[float]:
        """Return how long live epochs published in that time waited for ack or stage."""
        found = []
        for one in self.live:
            for seq, sent in one.sent.items():
                if since <= sent < until:
                    heard = self.stages.get((one.stream, seq)) if stage else one.acked.get(seq)
                    found.append(GRACE_S if heard is None else heard - sent)
        return found

    def rows(self) -> list[Row]:
        """Return percentiles of the waits with the drain, and without it."""
        parts = (
            ("alone", 0.0, self.began),
            ("drain", self.began, self.ended),
            ("after", self.ended, self.ended + LONGEST_S),
        )
        return [
            Row.of(f"{what}, {name}", self.waits(since, until, stage=what == "stage"))
            for what in ("ack", "stage")
            for name, since, until in parts
        ]

    def unanswered(self) -> int:
        """Return how many live epochs were never acknowledged."""
        return sum(len(one.sent.keys() - one.acked.keys()) for one in self.live)


async def measure(
    folder: Path, *, epochs: int, live: int, pace_s: float, alone_s: float
) -> Outcome:
    """Drain a chip of so many ``epochs`` beside ``live`` devices, an epoch each ``pace_s``."""
    beds = [Live(DeviceId(TENANT, f"bed-{n:03d}")) for n in range(live)]
    _fill(folder / "nor", epochs)
    with Platform(folder / "var", api_port=free_port()) as platform:
        passwords = _enrol(platform, [DRAINING, *(one.id for one in beds)])
        host, port = platform.broker_address
        with Witness(host, port, app=APP, tenant=TENANT, password=passwords[APP]) as app:
            async with publishing(beds, (host, port), passwords, pace_s):
                await asyncio.sleep(alone_s)
                began = time.time()
                drain = _start(platform, folder, passwords[str(DRAINING)])
                await _end(drain)
                ended = time.time()
                await asyncio.sleep(alone_s)
            await answered(beds)
            stages = dict(app.arrivals)
        drain.stop()
        lost, doubled = _judge(platform, folder / "log", beds)
    return Outcome(epochs, began, ended, beds, stages, lost, doubled)


def _enrol(platform: Platform, ids: Sequence[DeviceId]) -> dict[str, str]:
    passwords = {name: secrets.token_urlsafe(18) for name in (APP, *map(str, ids))}
    with transaction(platform.engine, seconds=60) as connection:
        tenants.add(connection, TENANT)
        accounts.add(TENANT, connection, app_username(APP, TENANT), "app", passwords[APP])
        for one in ids:
            devices.add(TENANT, connection, one.device)
            accounts.add(TENANT, connection, str(one), "device", passwords[str(one)])
    platform.follow_accounts()
    return passwords


def _fill(nor: Path, epochs: int) -> None:
    owner = ["--tenant", TENANT, "--device", DRAINING.device]
    chip = ["--nor", str(nor), "--epochs", str(epochs), "--end", str(int(time.time()) - 3600)]
    fill = [device_program(), "fill", *owner, *chip]
    subprocess.run(fill, check=True, timeout=600)  # noqa: S603 - our own program


def _start(platform: Platform, folder: Path, password: str) -> Service:
    files = ["--nor", str(folder / "nor"), "--log", str(folder / "log")]
    owner = ["--tenant", TENANT, "--device", DRAINING.device]
    night = ["--hours", "0.0084", "--speed", "max", "--once"]
    return platform.add_device("drain", [*owner, *files, *night], password=password)


async def _end(drain: Service) -> None:
    """Wait until all that the device has is acknowledged."""
    deadline = time.time() + LONGEST_S
    while not drain.done:
        if time.time() > deadline:
            message = f"the drain does not end: {drain.tail()}"
            raise TimeoutError(message)
        await asyncio.sleep(0.1)


def _judge(platform: Platform, log: Path, beds: Sequence[Live]) -> tuple[int, int]:
    """Return how many epochs are lost, and how many rows there are too many."""
    lost = doubled = 0
    made = {DRAINING: {(*key_of(it), it["record_hex"]) for it in read_log(log)}}
    made |= {one.id: {(one.stream, seq, "") for seq in one.sent} for one in beds}
    for device, truth in made.items():
        with transaction(platform.engine, seconds=300) as connection:
            rows = count(TENANT, connection, device.device).records
        if device != DRAINING:
            rows = [(stream, seq, "") for stream, seq, _ in rows]
        lost += len(truth - set(rows))
        doubled += len(rows) - len(truth & set(rows))
    return lost, doubled


def main() -> None:
    """Measure, print a table, write the figures; exit 1 if anything is lost or doubled."""
    parser = argparse.ArgumentParser(prog="python -m bench.drain", description=__doc__)
    parser.add_argument("--epochs", type=int, default=FULL)
    parser.add_argument("--devices", type=int, default=100, help="that publish live")
    parser.add_argument("--pace", type=float, default=30.0, help="seconds from epoch to epoch")
    parser.add_argument("--alone", type=float, default=60.0, help="seconds before and after")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    configure_logging("bench", level="warning")
    with tempfile.TemporaryDirectory(
        prefix="noctis-bench-", ignore_cleanup_errors=True
    ) as name:
        Path(name).chmod(0o755)
        outcome = asyncio.run(
            measure(
                Path(name),
                epochs=asked.epochs,
                live=asked.devices,
                pace_s=asked.pace,
                alone_s=asked.alone,
            )
        )
    result = _report(outcome)
    if asked.json is not None:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(0 if result["verdict"] else 1)


def _report(outcome: Outcome) -> dict[str, Any]:
    rows = outcome.rows()
    print(f"{'milliseconds':<16}{'count':>8}{'p50':>9}{'p95':>9}{'p99':>9}{'longest':>9}")
    for row in rows:
        print(
            f"{row.name:<16}{row.count:>8}{row.p50:>9}{row.p95:>9}{row.p99:>9}{row.longest:>9}"
        )
    seconds = outcome.ended - outcome.began
    rate = outcome.epochs / seconds
    by_name = {row.name: row for row in rows}
    ratios = {
        what: round(by_name[f"{what}, drain"].p95 / by_name[f"{what}, alone"].p95, 2)
        for what in ("ack", "stage")
    }
    print(f"{outcome.epochs} epochs drained in {seconds:.0f} s, {rate:.0f} a second")
    print(
        f"p95 beside the drain is {ratios['ack']} (ack), {ratios['stage']} (stage) times alone"
    )
    print(f"lost {outcome.lost}, doubled {outcome.doubled}, unanswered {outcome.unanswered()}")
    return {
        "epochs": outcome.epochs,
        "seconds": round(seconds, 1),
        "epochs_per_second": round(rate),
        "p95_ratio": ratios,
        "rows": [asdict(row) for row in rows],
        "lost": outcome.lost,
        "doubled": outcome.doubled,
        "unanswered": outcome.unanswered(),
        "verdict": outcome.lost == outcome.doubled == outcome.unanswered() == 0,
    }


if __name__ == "__main__":
    main()
