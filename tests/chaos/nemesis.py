"""Does to the platform what a schedule says, and mends it."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final

from bench.reload import VERSIONS
from tests.chaos.schedule import Event, Fault
from tests.chaos.site import Site
from tests.disks import FILLER, fill
from tests.proxy import Direction

__all__ = ["Happened", "Nemesis"]

Cure = Callable[[], None]
LEFT_BYTES: Final = 4096
BOTH: Final[frozenset[Direction]] = frozenset(("requests", "answers"))


@dataclass
class Happened:
    """An event as it came about; times in unix seconds.

    ``recovered_s`` is from the end of its last fault until the platform works again; None
    where nobody waited for it, or the next event came first.
    """

    event: Event
    began: float
    ended: float = 0.0
    recovered_s: float | None = None


@dataclass
class Nemesis:
    """Hurts one site; ``heal`` leaves nothing of it behind."""

    site: Site
    happened: list[Happened] = field(default_factory=list)
    _versions: "cycle[str]" = field(default_factory=lambda: cycle(reversed(VERSIONS)))

    def befall(self, event: Event) -> Happened:
        """Let the faults of an event happen; return when each has ended."""
        this = Happened(event, time.time())
        self.happened.append(this)
        began = time.monotonic()
        begins = [(fault.after_s, fault) for fault in event.faults]
        ends = [(fault.after_s + fault.lasts_s, fault) for fault in event.faults]
        cures: dict[Fault, Cure] = {}
        for moment, fault in sorted((*begins, *ends), key=lambda it: it[0]):
            time.sleep(max(0.0, began + moment - time.monotonic()))
            if fault in cures:
                cures.pop(fault)()
            else:
                cures[fault] = self._begin(fault)
        this.ended = time.time()
        return this

    def heal(self) -> None:
        """Mend whatever there may be left."""
        for proxy in self.site.links.values():
            proxy.held.clear()
            proxy.delay_s = 0.0

    def _begin(self, fault: Fault) -> Cure:
        doing: dict[str, Callable[[Fault], Cure]] = {
            "kill": self._kill,
            "freeze": self._freeze,
            "cut": self._cut,
            "one-way": self._cut,
            "delay": self._delay,
            "reset": self._reset,
            "disk full": self._fill,
            "clock": self._shift,
            "reload": self._reload,
        }
        return doing[fault.kind](fault)

    def _kill(self, fault: Fault) -> Cure:
        site = self.site
        if fault.target == "device":
            return self._cut_power(fault.number)
        if fault.target == "broker":
            site.broker.kill()
            return site.start_broker
        if fault.target == "database":
            site.postgres.kill()
            return site.start_database
        part = site.parts[fault.target]
        site.down.add(fault.target)
        part.kill()

        def start() -> None:
            part.launch()
            site.down.discard(fault.target)

        return start

    def _cut_power(self, number: int) -> Cure:
        fleets = self.site.fleets_of(number)
        for fleet in fleets:
            fleet.kill()

        def start() -> None:
            for fleet in fleets:
                fleet.again()

        return start

    def _freeze(self, fault: Fault) -> Cure:
        if fault.target == "database":
            self.site.postgres.freeze()
            return self.site.postgres.thaw
        send = self._sender(fault)
        send(signal.SIGSTOP)
        return lambda: send(signal.SIGCONT)

    def _sender(self, fault: Fault) -> Callable[[signal.Signals], None]:
        if fault.target == "device":
            fleets = self.site.fleets_of(fault.number)
            return lambda number: [fleet.send(number) for fleet in fleets]
        if fault.target == "broker":
            pid = self.site.broker.pid
            return lambda number: os.kill(pid, number)
        return self.site.parts[fault.target].child.send

    def _cut(self, fault: Fault) -> Cure:
        proxies = self.site.proxies(fault.target, fault.link)
        ways = BOTH if fault.kind == "cut" else frozenset({fault.way})
        for proxy in proxies:
            proxy.held |= ways

        def mend() -> None:
            for proxy in proxies:
                proxy.held -= ways

        return mend

    def _delay(self, fault: Fault) -> Cure:
        proxies = self.site.proxies(fault.target, fault.link)
        for proxy in proxies:
            proxy.delay_s = fault.delay_s

        def mend() -> None:
            for proxy in proxies:
                proxy.delay_s = 0.0

        return mend

    def _reset(self, fault: Fault) -> Cure:
        for proxy in self.site.proxies(fault.target, fault.link):
            proxy.cut()
        return lambda: None

    def _fill(self, fault: Fault) -> Cure:
        site = self.site
        disk = site.disk(fault.target)
        fill(disk, leave=LEFT_BYTES)

        def mend() -> None:
            (disk / FILLER).unlink(missing_ok=True)
            if fault.target in {"log", "database"} and site.postgres.exit_code is not None:
                site.start_database()

        return mend

    def _shift(self, fault: Fault) -> Cure:
        name = f"device-{fault.number}" if fault.target == "device" else fault.target
        self.site.clocks.set(name, fault.shift_s)
        return lambda: self.site.clocks.set(name, 0)

    def _reload(self, _: Fault) -> Cure:
        self.site.registry.promote("champion", next(self._versions))
        return lambda: None


def recoveries(happened: Sequence[Happened]) -> list[float]:
    """Return the times that recoveries took which somebody waited for."""
    return [it.recovered_s for it in happened if it.recovered_s is not None]
