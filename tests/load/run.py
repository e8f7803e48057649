"""One run: the platform of ``noctis up``, devices that sleep, a facade that is asked."""

import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

from bench.latency import APP, TENANT, enrol
from bench.reload import VERSIONS, publish
from cli.embedded import Platform
from cli.witness import Witness
from inference.model import DEFAULT_FOLDER
from noctis.childproc import free_port
from noctis.storage import accounts
from noctis.storage.engine import transaction
from registry.store import Registry
from tests.load import night
from tests.load.asking import ADMIN, Requests, token_of
from tests.load.processes import Memory, pids, recovery_s

__all__ = ["Asked", "Run"]

EPOCH_S: Final = 30
SWITCH_S: Final = 2.0
CALM_SHARE: Final = 0.6
DRAIN_S: Final = 120.0
SETTLE_S: Final = 90.0
LONGEST_START_S: Final = 120.0
ONE_MORE: Final = ("--speed", "60", "--hours", "0.0085", "--once")
"""The shortest night that there is: one epoch."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run is to be: ``rate`` epochs a second of so many devices, for some minutes."""

    devices: int
    rate: float
    minutes: float
    reads: float = 20.0
    questions: float = 1.0
    kill: tuple[str, ...] = ("ingestor", "broker", "postgres")

    @property
    def speed(self) -> float:
        """How much faster than the clock the nights run, so that the rate comes about."""
        return self.rate * EPOCH_S / self.devices


@dataclass
class Run:
    """A run; ``go`` returns the measured figures by the KPIs' names."""

    asked: Asked
    facts: dict[str, Any] = field(default_factory=dict)
    _measured: dict[str, float | None] = field(default_factory=dict)

    def go(self) -> Mapping[str, float | None]:
        """Start everything, load it, hurt it, let it drain, and count."""
        self._look_at_the_machine()
        with tempfile.TemporaryDirectory(
            prefix="noctis-load-", ignore_cleanup_errors=True
        ) as name:
            folder = Path(name)
            folder.chmod(0o755)
            _tell("starting the platform")
            with Platform(folder, api_port=free_port(), tell=_tell) as platform:
                self._load(platform, folder)
        return self._measured

    def _look_at_the_machine(self) -> None:
        cores, busy = os.cpu_count() or 1, os.getloadavg()[0]
        self.facts |= {"cores": cores, "busy_before": round(busy, 1)}
        if busy > cores / 2:
            _tell(f"{busy:.1f} of {cores} cores are busy: promises of speed will say little")

    def _load(self, platform: Platform, folder: Path) -> None:
        passwords = enrol(platform, self.asked.devices)
        registry = publish(platform.var / "models", DEFAULT_FOLDER)
        registry.promote("champion", VERSIONS[0])
        secret = _add_admin(platform)
        host, port = platform.broker_address
        with (
            Memory(platform.var) as memory,
            Witness(host, port, app=APP, tenant=TENANT, password=passwords[APP]) as app,
        ):
            (folder / "nights").mkdir()
            fleet = platform.add_device("fleet", self._fleet(folder, *self._night), password="")
            self._wait_for_the_first(app)
            window = self._stretch(platform, registry, secret)
            self._hurt(platform)
            fleet.stop()
            self._drain(platform, folder)
            self._judge(folder / "nights", platform, app, window)
        self._measured["memory"] = max(memory.most.values(), default=None)
        self.facts["memory_mib"] = memory.most

    @property
    def _night(self) -> tuple[str, ...]:
        """A night that is longer than the run, whatever is killed."""
        seconds = 60 * self.asked.minutes + LONGEST_START_S + 90 * len(self.asked.kill)
        hours = seconds * self.asked.speed / 3600
        return ("--speed", f"{self.asked.speed:g}", "--hours", f"{hours:.4f}")

    def _fleet(self, folder: Path, *night: str) -> list[str]:
        return [
            *("--tenant", TENANT, "--device", "bed", "--devices", str(self.asked.devices)),
            *("--password-file", str(folder / "passwords")),
            *("--nor", str(folder / "nights" / "nor"), "--log", str(folder / "nights" / "log")),
            *night,
        ]

    def _wait_for_the_first(self, app: Witness) -> None:
        """Wait until each device has been heard of: whatever is cold is warm then."""
        _tell(f"{self.asked.devices} devices at {self.asked.rate:g} epochs/s")
        deadline = time.monotonic() + LONGEST_START_S
        while time.monotonic() < deadline:
            if len({stream for stream, _ in list(app.arrivals)}) >= self.asked.devices:
                return
            time.sleep(0.2)
        _tell("not every device was heard of in time")

    def _stretch(self, platform: Platform, registry: Registry, secret: str) -> night.Window:
        """Let everybody ask and sleep; in the second part the champion changes all the time."""
        seconds = 60 * self.asked.minutes
        url = f"http://127.0.0.1:{platform.api_port}"
        requests = Requests(
            platform.api_port,
            token_of(url, ADMIN, secret),
            self.asked.devices,
            reads=self.asked.reads,
            questions=self.asked.questions,
            seconds=seconds,
        )
        before = night.stored(platform.engine)
        begin = time.time()
        requests.start()
        _wait_until(begin + CALM_SHARE * seconds, "the champion stays")
        with _switching(registry) as switch:
            while time.time() < begin + seconds:
                switch()
                time.sleep(SWITCH_S)
        window = night.Window(begin, time.time())
        after = night.stored(platform.engine)
        requests.wait()
        self._note_requests(requests)
        self.facts["stored_in_the_window"] = (after or 0) - (before or 0)
        return window

    def _note_requests(self, requests: Requests) -> None:
        reads, questions = requests.reads, requests.questions
        self._measured["reads_p99"] = None if reads is None else reads.p99
        self._measured["predict_p95"] = None if questions is None else questions.p95
        self._measured["http_failures"] = requests.failures
        self.facts["reads"] = reads and f"{reads.count}, p50 {reads.p50} ms, p99 {reads.p99} ms"
        self.facts["predictions_asked"] = questions and questions.count

    def _hurt(self, platform: Platform) -> None:
        """Kill one part after the other; the night goes on."""
        recoveries: dict[str, float | None] = {}
        for name in self.asked.kill:
            _tell(f"killing {name}")
            pid = pids(platform.var)[name]
            recoveries[name] = recovery_s(pid, lambda: night.stored(platform.engine))
            _tell(f"{name}: stored again after {recoveries[name]} s")
        known = [it for it in recoveries.values() if it is not None]
        if known and len(known) == len(recoveries):
            self._measured["recovery"] = max(known)
        self.facts["recovery_s"] = recoveries

    def _drain(self, platform: Platform, folder: Path) -> None:
        """Start the devices once more, to bring what is left in their flash, and to end."""
        _tell("the devices bring what is left")
        arguments = self._fleet(folder, *ONE_MORE)
        last = platform.add_device("fleet", arguments, password="")
        began = time.monotonic()
        while last.exit_code is None and time.monotonic() < began + DRAIN_S:
            time.sleep(0.1)
        self.facts["drain_s"] = round(time.monotonic() - began, 1)
        self._measured["undelivered"] = float(last.exit_code != 0)
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline and self._unpredicted(platform):
            time.sleep(0.5)
        self._measured["unpredicted"] = self._unpredicted(platform)

    @staticmethod
    def _unpredicted(platform: Platform) -> int | None:
        stored, predicted = night.stored(platform.engine), night.predicted(platform.engine)
        return None if stored is None or predicted is None else stored - predicted

    def _judge(
        self, folder: Path, platform: Platform, app: Witness, window: night.Window
    ) -> None:
        entries = night.entries_of(folder)
        moments = night.due(entries, self.asked.speed)
        missing, row = night.missing_and_waits(moments, app.arrivals, window)
        expected = sum(window.holds(moment) for moment in moments.values())
        lost, others = night.wrong(folder, platform.engine)
        stored = self.facts["stored_in_the_window"]
        self._measured |= {
            "stage_p95": row.p95 if row.count else None,
            "stages_missing": missing,
            "epochs_lost": lost,
            "epochs_doubled": others,
            "ingest_share": round(stored / expected, 3) if expected else None,
        }
        self.facts |= {
            "epochs_made": len(entries),
            "epochs_in_the_window": expected,
            "stage_ms": f"p50 {row.p50}, p95 {row.p95}, p99 {row.p99}, longest {row.longest}",
        }


def _add_admin(platform: Platform) -> str:
    with transaction(platform.engine, seconds=60) as connection:
        return accounts.add(TENANT, connection, ADMIN, "app", role="admin")


@contextmanager
def _switching(registry: Registry) -> Iterator[Callable[[], None]]:
    turns = count(1)
    _tell("the champion changes every two seconds")

    def switch() -> None:
        registry.promote("champion", VERSIONS[next(turns) % 2])

    yield switch


def _wait_until(moment: float, told: str) -> None:
    while (left := moment - time.time()) > 0:
        _tell(f"{told}: {math.ceil(left)} s")
        time.sleep(min(left, 15))


def _tell(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
