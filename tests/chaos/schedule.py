"""What befalls whom, and when: a schedule of faults as data, drawn from a seed.

The same seed, count and kinds give the same schedule on every machine. Each kind is as likely
as any other, each target of a kind too.
"""

import json
import math
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final, Literal

from typing_extensions import override

__all__ = ["KINDS", "Event", "Fault", "Kind", "Link", "Target", "as_text", "draw", "from_text"]

Kind = Literal[
    "kill", "freeze", "cut", "one-way", "delay", "reset", "disk full", "clock", "reload"
]
Target = Literal[
    "device", "broker", "ingestor", "worker", "companion", "facade", "database", "log"
]
Link = Literal["broker", "database"]
Way = Literal["requests", "answers"]

SERVICES: Final[tuple[Target, ...]] = ("ingestor", "worker", "companion", "facade")
EVERYONE: Final[tuple[Target, ...]] = ("device", "broker", *SERVICES, "database")
TARGETS: Final[dict[Kind, tuple[Target, ...]]] = {
    "kill": EVERYONE,
    "freeze": EVERYONE,
    "cut": EVERYONE,
    "one-way": EVERYONE,
    "delay": EVERYONE,
    "reset": EVERYONE,
    "disk full": ("device", "broker", "database", "log"),
    "clock": EVERYONE,
    "reload": ("worker",),
}
"""Whom each kind may befall; ``log`` is the disk of the database's log of changes."""

KINDS: Final = tuple(TARGETS)
MOMENTARY: Final[frozenset[Kind]] = frozenset({"reset", "reload"})
"""Over as soon as they have come: nobody waits for their end."""

TOGETHER: Final = 0.1
STORM: Final = 0.3
SHORTEST_S: Final = 0.1
HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of ``lasts_s``; ``link``, ``way``, ``delay_s`` and ``shift_s`` where they apply.

    ``number`` says which of several it is: which tenant's devices; ``after_s`` how long after
    its event's begin it comes.
    """

    kind: Kind
    target: Target
    lasts_s: float
    number: int = 0
    link: Link = "broker"
    way: Way = "requests"
    delay_s: float = 0.0
    shift_s: int = 0
    after_s: float = 0.0

    @override
    def __str__(self) -> str:
        """Return the fault in words."""
        end = "all others" if self.target == self.link else f"the {self.link}"
        more = {
            "cut": f" from {end}",
            "one-way": f" from {end}, {self.way}",
            "delay": f" of {self.delay_s:.2f} s to {end}",
            "reset": f" of links to {end}",
            "clock": f" {self.shift_s:+d} s",
        }.get(self.kind, "")
        whose = f"{self.target} {self.number}" if self.target == "device" else self.target
        lasts = "" if self.kind in MOMENTARY else f", {self.lasts_s:.1f} s"
        return f"{self.kind} {whose}{more}{lasts}"


@dataclass(frozen=True, slots=True)
class Event:
    """Faults of which the second, if any, begins within the first; and the pause behind them.

    ``storm``: the next one does not wait until the platform has recovered.
    """

    faults: tuple[Fault, ...]
    pause_s: float
    storm: bool


def draw(
    seed: int,
    count: int,
    *,
    kinds: Collection[Kind] = KINDS,
    tenants: int = 5,
    longest_s: float = 60.0,
) -> list[Event]:
    """Return events with ``count`` faults in all, two together in a tenth of the events."""
    return list(_events(random.Random(seed), count, tuple(kinds), tenants, longest_s))  # noqa: S311 - to be drawn again


def as_text(events: Sequence[Event]) -> str:
    """Return a schedule as JSON, to be read again by ``from_text``."""
    return json.dumps([asdict(event) for event in events])


def from_text(text: str) -> list[Event]:
    """Return the schedule that a text of ``as_text`` tells."""
    return [
        Event(tuple(Fault(**each) for each in it.pop("faults")), **it)
        for it in json.loads(text)
    ]


def _events(
    rng: random.Random, count: int, kinds: tuple[Kind, ...], tenants: int, longest_s: float
) -> Iterator[Event]:
    left = count
    while left:
        together = rng.random() < TOGETHER and left > 1
        first = _fault(rng, rng.choice(kinds), tenants, longest_s)
        faults = [first]
        while together and len(faults) < 2:
            second = _fault(rng, rng.choice(kinds), tenants, longest_s)
            if _parts(second).isdisjoint(_parts(first)):
                after_s = round(rng.uniform(0, first.lasts_s), 2)
                faults.append(replace(second, after_s=after_s))
        left -= len(faults)
        yield Event(tuple(faults), _log_uniform(rng, 0.05, 2.0), rng.random() < STORM)


def _fault(rng: random.Random, kind: Kind, tenants: int, longest_s: float) -> Fault:
    target = rng.choice(TARGETS[kind])
    links: tuple[Link, ...] = ("broker", "database")
    link = rng.choice(links) if target in SERVICES else _own_link(target)
    ways: tuple[Way, ...] = ("requests", "answers")
    longest_s = SHORTEST_S if kind in MOMENTARY else longest_s
    return Fault(
        kind=kind,
        target=target,
        lasts_s=round(_log_uniform(rng, SHORTEST_S, longest_s), 2),
        number=rng.randrange(tenants),
        link=link,
        way=rng.choice(ways),
        delay_s=round(_log_uniform(rng, 0.01, 1.0), 3),
        shift_s=rng.choice((-HOUR_S, HOUR_S)),
    )


def _own_link(target: Target) -> Link:
    return "database" if target in {"database", "log"} else "broker"


def _parts(fault: Fault) -> set[str]:
    """Return what a fault takes hold of: two at once never hold the same."""
    return {"database"} if fault.target == "log" else {fault.target}


def _log_uniform(rng: random.Random, least: float, most: float) -> float:
    return math.exp(rng.uniform(math.log(least), math.log(most)))
