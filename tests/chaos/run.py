"""One run: a platform, its devices, what befalls it, and what is found afterwards."""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg

from tests.chaos.checker import (
    Findings,
    check_answers,
    check_apps,
    check_predictions,
    check_stored,
    check_wire,
)
from tests.chaos.clocks import library
from tests.chaos.evidence import Made, export, made_by, predictions_of
from tests.chaos.fleets import Fleet, device_names
from tests.chaos.nemesis import Nemesis, recoveries
from tests.chaos.progress import Progress
from tests.chaos.reader import Reader, answers
from tests.chaos.schedule import KINDS, Event, Kind
from tests.chaos.site import APP, WIRE, Asked, Site
from tests.chaos.watchers import (
    EVERYTHING_OF_APPS,
    EVERYTHING_OF_DEVICES,
    Watcher,
    heard,
)
from tests.disks import can_mount

__all__ = ["WRONG", "Outcome", "kinds_here", "run", "tell"]

WARM_S: Final = 60.0
OK: Final = 200
MEMORY_MIB: Final = 512.0
A_FAULT_S: Final = 12.0
"""What a fault costs beside its own length: the recovery, processes that start."""

TOLD_EVERY_S: Final = 20.0


@dataclass
class Outcome:
    """What a run found; ``verdict`` is the one JSON value of the command."""

    asked: Asked
    epochs: int = 0
    answers: int = 0
    seconds: float = 0.0
    findings: Findings = field(default_factory=Findings)
    nemesis: Nemesis | None = None
    progress: Progress | None = None

    @property
    def faults(self) -> int:
        """How many faults happened."""
        happened = self.nemesis.happened if self.nemesis else []
        return sum(len(it.event.faults) for it in happened)

    @property
    def verdict(self) -> dict[str, Any]:
        counts = self.findings.counts
        happened = self.nemesis.happened if self.nemesis else []
        return {
            "faults": self.faults,
            "epochs": self.epochs,
            "answers": self.answers,
            **{name: counts[name] for name in WRONG},
            "worst_recovery_seconds": round(max(recoveries(happened), default=0.0), 1),
            "most_mib": round(max(self.progress.most_mib.values(), default=0.0), 1)
            if self.progress
            else 0.0,
        }

    @property
    def holds(self) -> bool:
        return self.epochs > 0 and not any(self.findings.counts.values())


WRONG: Final = (
    *("lost", "phantom", "duplicates", "crossed", "altered", "misplaced", "disordered"),
    *("predictions_missing", "predictions_doubled", "undelivered", "unheard", "misanswered"),
    *("vanished", "unrecovered", "died", "memory"),
)
"""The kinds of wrong that a verdict counts; it holds where there is none."""


def tell(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stderr.flush()


def kinds_here() -> tuple[Kind, ...]:
    """Return the kinds of faults that can be brought about here; say which cannot."""
    missing: dict[Kind, str] = {}
    if not can_mount():
        missing["disk full"] = "only root, where it may mount, can make a small disk"
    if library() is None:
        missing["clock"] = "libfaketime is not there: apt-get install libfaketime"
    for kind, why in missing.items():
        tell(f"no fault of kind {kind}: {why}")
    return tuple(kind for kind in KINDS if kind not in missing)


def run(asked: Asked, events: Sequence[Event]) -> Outcome:
    """Run a whole schedule; return what was found."""
    outcome = Outcome(asked)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="noctis-chaos-", ignore_cleanup_errors=True) as it:
        folder = Path(it)
        folder.chmod(0o755)
        tell(f"seed {asked.seed}: starting the platform")
        with Site(folder, asked) as site:
            _play(site, events, outcome)
    outcome.seconds = time.monotonic() - began
    return outcome


def _play(site: Site, events: Sequence[Event], outcome: Outcome) -> None:
    nemesis = outcome.nemesis = Nemesis(site)
    with _watchers(site) as watchers, Progress(site, watchers) as progress:
        outcome.progress = progress
        hours = _hours(events, site.asked.speed)
        for fleet in site.fleets:
            _sleep(site, fleet, hours)
        if progress.recovered_s(time.time()) is None:
            outcome.findings.add("unrecovered", "nothing is stored before the first fault")
            return
        with _reader(site):
            _hurt(nemesis, events, progress, outcome)
        _drain(site, progress, outcome)
        _settle(site)
        for watcher in watchers:
            watcher.flush()
    _check(site, outcome)


def _sleep(site: Site, fleet: Fleet, hours: float) -> None:
    """Let a tenant's devices sleep; those of the last one of several in real time."""
    last = 0 < fleet.number == site.asked.tenants - 1
    speed = 1.0 if last else site.asked.speed
    fleet.sleep(hours, speed, site.clocks.environment(f"device-{fleet.number}"))


def _hours(events: Sequence[Event], speed: float) -> float:
    """Return how long a night lasts that no run outlasts."""
    each = [
        max(it.after_s + it.lasts_s for it in event.faults) + event.pause_s for event in events
    ]
    return (sum(each) + A_FAULT_S * len(events) + WARM_S) * 3 * speed / 3600


def _hurt(
    nemesis: Nemesis, events: Sequence[Event], progress: Progress, outcome: Outcome
) -> None:
    for number, event in enumerate(events, 1):
        tell(f"{number}/{len(events)} {' and '.join(map(str, event.faults))}")
        this = nemesis.befall(event)
        if not event.storm or number == len(events):
            this.recovered_s = progress.recovered_s(this.ended)
            if this.recovered_s is None:
                outcome.findings.add("unrecovered", event)
                tell(f"not recovered: {event}")
        time.sleep(event.pause_s)
    nemesis.heal()
    for line in nemesis.site.died:
        outcome.findings.add("died", line)


def _drain(site: Site, progress: Progress, outcome: Outcome) -> None:
    """Let the devices bring what is left; what they cannot bring is undelivered."""
    tell("the devices bring what is left")
    for fleet in site.fleets:
        fleet.bring()
    _wait(
        "{} are stored",
        progress.stored,
        lambda _: all(it.exit_code is not None for it in site.fleets),
        patience_s=1.5 * site.asked.patience_s,
    )
    for fleet in site.fleets:
        if fleet.exit_code != 0:
            outcome.findings.add("undelivered", f"{fleet.tenant}: {fleet.told()}")


def _settle(site: Site) -> None:
    """Wait until as many epochs have a prediction as are stored, or no more get one."""
    tell("the worker settles what is left")
    _wait(
        "{} are left",
        partial(_unpredicted, site),
        lambda left: left == 0,
        patience_s=site.asked.patience_s,
    )


def _wait(
    words: str,
    count: Callable[[], int | None],
    is_over: Callable[[int | None], bool],
    *,
    patience_s: float,
) -> None:
    """Wait until it is over, or a count of epochs has stayed the same for ``patience_s``."""
    last = None
    changed = told = time.monotonic()
    while (began := time.monotonic()) < changed + patience_s:
        now = count()
        if is_over(now):
            return
        if now is not None and now != last:
            last, changed = now, time.monotonic()
        if began > told + TOLD_EVERY_S:
            tell(words.format(last))
            told = began
        time.sleep(max(0.5, 5 * (time.monotonic() - began)))


def _unpredicted(site: Site) -> int | None:
    """Return how many stored epochs have no prediction; None: the database does not say."""
    query = """
        SELECT (SELECT count(*) FROM epochs) + (SELECT count(*) FROM epochs_untimed)
             - (SELECT count(*) FROM
                (SELECT DISTINCT device_id, stream, seq FROM predictions WHERE origin = 0) p)
    """
    with suppress(psycopg.Error), psycopg.connect(site.postgres.url) as connection:
        row = connection.execute(query).fetchone()
        return None if row is None else int(row[0])
    return None


@contextmanager
def _watchers(site: Site) -> Iterator[list[Watcher]]:
    """Yield an app of each tenant, and beside them one that hears what devices send."""
    with ExitStack() as ends:
        port = site.broker.port
        wire = Watcher(port, WIRE, EVERYTHING_OF_DEVICES, site.folder / "wire")
        ends.enter_context(wire)
        apps = [
            Watcher(port, f"{APP}@{it}", EVERYTHING_OF_APPS, site.folder / it)
            for it in _tenants(site)
        ]
        for app in apps:
            ends.enter_context(app)
        yield apps


def _reader(site: Site) -> Reader:
    """Return an app that asks the facade for what is stored of any tenant's devices."""
    port, names = site.parts["facade"].metrics_port, device_names(site.asked.devices)
    return Reader(port, APP, _tenants(site), names, site.folder / "answers")


def _tenants(site: Site) -> list[str]:
    return list(dict.fromkeys(fleet.tenant for fleet in site.fleets))


def _check(site: Site, outcome: Outcome) -> None:
    tell("checking")
    url = site.postgres.url
    everything: list[Made] = []
    for fleet in site.fleets:
        everything += made_by(fleet.folder)
    owners = {it.key[1]: it.key[0] for it in everything}
    outcome.epochs = len(everything)
    found = outcome.findings
    tenants = _tenants(site)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        files = [site.folder / f"{tenant}.csv" for tenant in tenants]
        exported = [*pool.map(partial(export, url), tenants, files)]
    for tenant, stored in zip(tenants, exported, strict=True):
        made = [it for it in everything if it.key[0].startswith(f"{tenant}/")]
        found.extend(check_stored(tenant, made, stored))
        found.extend(check_predictions(made, predictions_of(url, tenant)))
        told = heard(site.folder / tenant)
        if not told:
            found.add("unheard", f"the app of {tenant} heard nothing")
        found.extend(check_apps(tenant, owners, (it.key for it in made), told))
    told = answers(site.folder / "answers")
    outcome.answers = sum(it.what != "token" and it.status == OK for it in told)
    if not outcome.answers:
        found.add("unheard", "the facade answered nothing")
    found.extend(check_answers(owners, (it.key for it in everything), told))
    found.extend(check_wire({it.key: it for it in everything}, heard(site.folder / "wire")))
    assert outcome.progress is not None
    most = outcome.progress.most_mib
    tell(f"most memory: {', '.join(f'{name} {most[name]:.0f} MiB' for name in most)}")
    for name, mebibytes in most.items():
        if mebibytes > MEMORY_MIB:
            found.add("memory", f"{name} held {mebibytes:.0f} MiB")
