"""From a device's publish to an app's receipt of the stage, beside the bare broker.

Devices of the firmware's host build run at real-time pace, spread over the 30 s of an epoch: an
open loop, since none waits for an answer before its next epoch is due. In the same run, on the
same broker, a probe of the same client library sends frames of the same size to itself.
"""

import argparse
import json
import secrets
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import paho.mqtt.client as mqtt
from hdrh.histogram import HdrHistogram
from paho.mqtt.enums import CallbackAPIVersion

from cli.embedded import Platform
from cli.verdict import key_of, read_log
from cli.witness import Witness
from noctis.childproc import free_port
from noctis.identity import DeviceId, app_username
from noctis.storage import accounts, devices, tenants
from noctis.storage.engine import transaction
from noctis.telemetry import configure_logging

__all__ = ["APP", "PROBE", "TENANT", "Probe", "Row", "enrol", "fleet_of", "main", "measure"]

TENANT: Final = "bench"
APP: Final = "phone"
PROBE: Final = "svc-probe-0"
PROBE_EVERY_S: Final = 0.05
FRAME_BYTES: Final = 52
LONGEST_US: Final = 60_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """Percentiles of waits, in milliseconds."""

    name: str
    count: int
    p50: float
    p95: float
    p99: float
    longest: float

    @classmethod
    def of(cls, name: str, waits_s: Iterable[float]) -> "Row":
        """Return the percentiles of waits in seconds."""
        histogram = HdrHistogram(1, LONGEST_US, 3)
        for wait in waits_s:
            histogram.record_value(max(int(wait * 1e6), 1))
        at = [histogram.get_value_at_percentile(p) / 1000 for p in (50, 95, 99, 100)]
        return cls(name, histogram.get_total_count(), *(round(value, 2) for value in at))


class Probe:
    """Sends frames to itself through the broker and notes how long each takes."""

    def __init__(self, host: str, port: int, password: str) -> None:
        self.waits_s: list[float] = []
        self._stopping = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=PROBE)
        self._client.username_pw_set(PROBE, password)
        self._client.on_message = self._on_message
        self._client.connect(host, port)
        self._sender = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> Self:
        self._client.subscribe("noctis/v1/probe/echo", qos=1)
        self._client.loop_start()
        self._sender.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._sender.join()
        self._client.disconnect()
        self._client.loop_stop()

    def _send(self) -> None:
        while not self._stopping.wait(PROBE_EVERY_S):
            payload = struct.pack("<d", time.time()).ljust(FRAME_BYTES, b"\0")
            self._client.publish("noctis/v1/probe/echo", payload, qos=1)

    def _on_message(
        self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage
    ) -> None:
        now = time.time()
        self.waits_s.append(now - struct.unpack_from("<d", message.payload)[0])


def measure(*, count: int, seconds: float) -> dict[str, Any]:
    """Run ``count`` devices for ``seconds`` and return rows of percentiles and their ratio."""
    with tempfile.TemporaryDirectory(prefix="noctis-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with Platform(folder, api_port=free_port()) as platform:
            passwords = enrol(platform, count)
            host, port = platform.broker_address
            with (
                Witness(host, port, app=APP, tenant=TENANT, password=passwords[APP]) as app,
                Probe(host, port, passwords[PROBE]) as probe,
            ):
                fleet = platform.add_device("fleet", fleet_of(folder, count), password="")
                time.sleep(seconds)
                fleet.stop()
                time.sleep(1.0)
                waits = _waits(folder, app)
        rows = [Row.of("device to app", waits), Row.of("bare broker", probe.waits_s)]
    return {
        "devices": count,
        "seconds": seconds,
        "epochs_per_second": round(count / 30, 2),
        "published": waits.published,
        "rows": rows,
        "p95_ratio": round(rows[0].p95 / rows[1].p95, 2),
    }


class _Waits(list[float]):
    published = 0


def enrol(platform: Platform, count: int) -> dict[str, str]:
    """Enrol devices, an app and the probe; return everybody's password."""
    ids = [DeviceId(TENANT, f"bed-{n:04d}") for n in range(1, count + 1)]
    passwords = {name: secrets.token_urlsafe(18) for name in (APP, PROBE, *map(str, ids))}
    with transaction(platform.engine, seconds=60) as connection:
        tenants.add(connection, TENANT)
        accounts.set_service(connection, PROBE, passwords[PROBE])
        app = app_username(APP, TENANT)
        accounts.add(TENANT, connection, app, "app", passwords[APP])
        for device in ids:
            devices.add(TENANT, connection, device.device)
            accounts.add(TENANT, connection, str(device), "device", passwords[str(device)])
    platform.follow_accounts()
    lines = [f"{device}:{passwords[str(device)]}\n" for device in ids]
    (platform.var / "passwords").write_text("".join(lines))
    return passwords


def fleet_of(folder: Path, count: int) -> list[str]:
    """Return the arguments of a program that is so many devices at real-time pace."""
    return [
        *("--tenant", TENANT, "--device", "bed", "--devices", str(count)),
        *("--password-file", str(folder / "passwords")),
        *("--nor", str(folder / "bed.nor"), "--log", str(folder / "bed.jsonl")),
        *("--speed", "1"),
    ]


def _waits(folder: Path, app: Witness) -> _Waits:
    waits = _Waits()
    for log in folder.glob("bed.jsonl*"):
        for entry in read_log(log):
            if entry["published_at"] is None:
                continue
            waits.published += 1
            arrived = app.arrivals.get(key_of(entry))
            if arrived is not None:
                waits.append(arrived - entry["published_at"])
    return waits


def main() -> None:
    """Measure, print a table, and write the figures as JSON if asked to."""
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__)
    parser.add_argument("--devices", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=155.0)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    configure_logging("bench", level="warning")
    print(f"{asked.devices} devices at real-time pace for {asked.seconds:g} s", file=sys.stderr)
    result = measure(count=asked.devices, seconds=asked.seconds)
    print(f"{'milliseconds':<16}{'count':>8}{'p50':>9}{'p95':>9}{'p99':>9}{'longest':>9}")
    for row in result["rows"]:
        print(
            f"{row.name:<16}{row.count:>8}{row.p50:>9}{row.p95:>9}{row.p99:>9}{row.longest:>9}"
        )
    print(
        f"p95 is {result['p95_ratio']} times the bare broker's; "
        f"{result['published']} epochs were published live"
    )
    if asked.json is not None:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        rows = [asdict(row) for row in result["rows"]]
        asked.json.write_text(json.dumps({**result, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
