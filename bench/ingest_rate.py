"""How near the ingestor comes to its two raw limits, in one run on one machine.

The upper limits: a bare C subscriber (mosquitto_sub) that takes the same messages with QoS 1
from the same broker and throws them away, and raw binary COPY of as many rows into the same
table with the same index and synchronous_commit on. The publisher writes ready-made packets
and is shown to outrun both. The ways take turns. Run it from the root:

    python -m bench.ingest_rate --json result.json
"""

import argparse
import json
import os
import selectors
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from sqlalchemy import Engine

from broker.server import MosquittoServer
from noctis import topics
from noctis.childproc import Child, free_port
from noctis.epoch import Frame, Run, encode_frame
from noctis.features import COUNT
from noctis.identity import DeviceId
from noctis.storage import accounts, devices, migrate, rows, tenants
from noctis.storage.engine import create, transaction
from noctis.storage.models import epochs
from noctis.storage.server import PostgresServer
from noctis.telemetry import configure_logging

TENANT: Final = "bench"
DEVICES: Final = 50
START: Final = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
RUN: Final = Run(0, 0, 1, 0, int(START.timestamp()))
PASSWORD: Final = "of a bench"  # noqa: S105 - of a broker that lives for a minute
INGESTOR: Final = "svc-ingestor-0"
PUBACK: Final = 4
"""Bytes of MQTT 3.1.1's PUBACK, so that they can be counted without being read."""


@dataclass(slots=True)
class Maker:
    """Makes epochs that nobody has stored yet."""

    next_seq: int = 1

    def packets(self, messages: int, each: int) -> list[bytes]:
        """Return for each device its share of the messages, as MQTT packets in one piece."""
        share = messages // DEVICES
        firsts = self.next_seq + each * np.arange(share)
        self.next_seq += share * each
        channel = "epochs" if each == 1 else "backlog"
        made = []
        for number in range(DEVICES):
            topic = topics.up(DeviceId(TENANT, f"d{number}"), channel).encode()
            frames = (encode_frame(self._frame(number, int(it), each)) for it in firsts)
            made.append(b"".join(_publish(topic, it, n + 1) for n, it in enumerate(frames)))
        return made

    def table(self, count: int) -> np.ndarray:
        """Return as many rows as raw COPY takes them, in order of their key."""
        share = count // DEVICES
        made = np.zeros(share * DEVICES, rows.ROW)
        number, index = np.divmod(np.arange(len(made)), share)
        made["tenant_id"], made["device_id"], made["stream"] = 1, number + 1, number + 1
        made["seq"] = self.next_seq + index
        made["epoch_start"] = 1_000_000 * (RUN.utc_s + 30 * (made["seq"] - 1))
        made["codes"] = np.random.default_rng(self.next_seq).integers(0, 30, (len(made), COUNT))
        made["received_at"] = 1_000_000 * RUN.utc_s
        self.next_seq += share
        return made

    def _frame(self, number: int, first: int, each: int) -> Frame:
        random = np.random.default_rng([number, first])
        codes = random.integers(0, 30, (each, COUNT)).astype(np.int16)
        return Frame(number + 1, first, 0, RUN, codes, np.ones(each, np.bool_))


def _publish(topic: bytes, payload: bytes, mid: int) -> bytes:
    body = struct.pack("!H", len(topic)) + topic + struct.pack("!H", mid % 65535 + 1) + payload
    low, high = len(body) & 0x7F, len(body) >> 7
    return bytes([0x32, low | 0x80, high] if high else [0x32, low]) + body


def _connect(port: int, username: str) -> socket.socket:
    link = socket.create_connection(("127.0.0.1", port), 10)
    body = b"\x00\x04MQTT\x04\xc2\x00\x3c\x00\x00"
    for part in (username.encode(), PASSWORD.encode()):
        body += struct.pack("!H", len(part)) + part
    link.sendall(bytes([0x10, len(body)]) + body)
    answer = link.recv(4)
    if answer != b"\x20\x02\x00\x00":
        message = f"the broker refuses {username}: {answer.hex()}"
        raise RuntimeError(message)
    link.settimeout(0)
    return link


def publish(port: int, packets: list[bytes], messages: int) -> float:
    """Publish with QoS 1 from all devices at once; return the seconds to the last PUBACK."""
    links = [_connect(port, f"{TENANT}/d{number}") for number in range(len(packets))]
    left = [memoryview(it) for it in packets]
    started, awaited = time.perf_counter(), PUBACK * messages
    with selectors.DefaultSelector() as ready:
        for number, link in enumerate(links):
            ready.register(link, selectors.EVENT_READ | selectors.EVENT_WRITE, number)
        while awaited > 0:
            for key, events in ready.select(10):
                number, link = key.data, links[key.data]
                if events & selectors.EVENT_READ:
                    awaited -= len(link.recv(1 << 16))
                if events & selectors.EVENT_WRITE:
                    left[number] = left[number][link.send(left[number][: 1 << 16]) :]
                    if not left[number]:
                        ready.modify(link, selectors.EVENT_READ, number)
    seconds = time.perf_counter() - started
    for link in links:
        link.close()
    return seconds


@dataclass(slots=True)
class Platform:
    """A database, a broker, and what each way in needs of them."""

    postgres: PostgresServer
    broker: MosquittoServer
    engine: Engine
    folder: Path

    def bare_subscriber(self, packets: list[bytes], messages: int) -> float:
        """Return the seconds until a C program has taken every message."""
        arguments = ["mosquitto_sub", "-p", str(self.broker.port), "-u", INGESTOR]
        arguments += ["-P", PASSWORD, "-i", "bare", "-q", "1", "-C", str(messages)]
        arguments += ["-F", "%l"]
        for channel in ("epochs", "backlog"):
            arguments += ["-t", f"{topics.ROOT}/up/+/+/+/{channel}"]
        with subprocess.Popen(arguments, stdout=subprocess.DEVNULL) as taker:  # noqa: S603
            time.sleep(0.5)
            started = time.perf_counter()
            publish(self.broker.port, packets, messages)
            taker.wait(120)
            return time.perf_counter() - started

    def ingestor(self, packets: list[bytes], messages: int, each: int) -> float:
        """Return the seconds until the ingestor has committed every epoch."""
        with _ingestor(self) as stored:
            started = time.perf_counter()
            publish(self.broker.port, packets, messages)
            while stored() < messages * each:
                if time.perf_counter() - started > 300:  # noqa: PLR2004 - a deadline
                    message = f"only {stored():.0f} of {messages * each} epochs were stored"
                    raise TimeoutError(message)
                time.sleep(0.01)
            return time.perf_counter() - started

    def raw_copy(self, table: np.ndarray, batch: int) -> float:
        """Return the seconds of raw binary COPY in transactions of ``batch`` rows."""
        parts = np.array_split(table, max(1, len(table) // batch))
        payloads = [rows.copy_payload(epochs, part) for part in parts]
        statement = (
            f"COPY epochs ({', '.join(epochs.columns.keys())}) FROM STDIN (FORMAT BINARY)"
        )
        started = time.perf_counter()
        for payload in payloads:
            with transaction(self.engine, 60) as connection:
                driver = connection.connection.driver_connection
                if driver is None:
                    raise RuntimeError
                with driver.cursor().copy(statement) as copy:
                    copy.write(payload)
        return time.perf_counter() - started


@contextmanager
def _ingestor(platform: Platform) -> Iterator[Callable[[], float]]:
    """Run ``python -m ingestor``; yield a function that tells how many epochs it stored."""
    port = free_port()
    environment = {
        **os.environ,
        "NOCTIS_BROKER_PORT": str(platform.broker.port),
        "NOCTIS_BROKER_PASSWORD": PASSWORD,
        "NOCTIS_DATABASE_URL": platform.postgres.url,
        "NOCTIS_METRICS_PORT": str(port),
    }
    log = platform.folder / "ingestor.log"
    child = Child([sys.executable, "-m", "ingestor"], log=log, environment=environment)
    try:
        _wait_ready(port)
        yield lambda: _metric(port, "noctis_ingest_rows_total")
    finally:
        child.stop()


def _wait_ready(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _metric(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(it.split()[1]) for it in lines if it.startswith(f"{name} "))


@contextmanager
def _platform() -> Iterator[Platform]:
    with tempfile.TemporaryDirectory(prefix="noctis-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # so that unprivileged servers reach their folders in it
        with PostgresServer(folder / "postgres") as postgres:
            migrate.upgrade(postgres.url)
            engine = create(postgres.url)
            with MosquittoServer(folder / "broker", persistence=False) as broker:
                broker.start(free_port(), _enrol(engine))
                yield Platform(postgres, broker, engine, folder)
            engine.dispose()


def _enrol(engine: Engine) -> list[accounts.Account]:
    with transaction(engine, 120) as connection:
        tenants.add(connection, TENANT)
        accounts.set_service(connection, INGESTOR, PASSWORD)
        for number in range(DEVICES):
            devices.add(TENANT, connection, f"d{number}")
            accounts.add(TENANT, connection, f"{TENANT}/d{number}", "device", PASSWORD)
        return accounts.active(connection)


def measure(*, messages: int, each: int, rounds: int) -> dict[str, float]:
    """Return median rates in messages a second of each way, and the ingestor's ratios."""
    maker = Maker()
    seconds: dict[str, list[float]] = {"publisher": [], "bare": [], "ingestor": [], "copy": []}
    with _platform() as platform:
        for _ in range(rounds):
            packets = maker.packets(messages, each)
            alone = publish(platform.broker.port, packets, messages)
            seconds["publisher"].append(alone)
            seconds["bare"].append(platform.bare_subscriber(packets, messages))
            seconds["ingestor"].append(platform.ingestor(packets, messages, each))
            table = maker.table(messages * each)
            seconds["copy"].append(platform.raw_copy(table, batch=2000 * min(each, 16)))
    rates = {way: messages / median(them) for way, them in seconds.items()}
    return {
        **{f"{way}_messages_per_s": round(rate) for way, rate in rates.items()},
        "ingestor_epochs_per_s": round(rates["ingestor"] * each),
        "ingestor_to_bare_subscriber": round(rates["ingestor"] / rates["bare"], 3),
        "ingestor_to_raw_copy": round(rates["ingestor"] / rates["copy"], 3),
    }


def main() -> None:
    """Measure live epochs and backlog, print a table, write JSON where asked."""
    parser = argparse.ArgumentParser(prog="python -m bench.ingest_rate", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--live", type=int, default=6_000, help="messages of one epoch")
    parser.add_argument("--backlog", type=int, default=600, help="messages of 64 epochs")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    configure_logging("bench", level="warning")
    result = {
        "live": measure(messages=asked.live, each=1, rounds=asked.rounds),
        "backlog": measure(messages=asked.backlog, each=64, rounds=asked.rounds),
    }
    print(f"{'':<32}{'live':>12}{'backlog':>12}")
    for name, value in result["live"].items():
        print(f"{name:<32}{value:>12}{result['backlog'][name]:>12}")
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
