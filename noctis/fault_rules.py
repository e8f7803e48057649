"""The points at which faults can be asked for, and the rules that ask: ``point=kind…``."""

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, cast, get_args

from noctis.errors import ConfigurationError

__all__ = ["POINTS", "InjectedError", "Kind", "Name", "Rule", "parse"]

Kind = Literal["latency", "error", "drop", "kill", "full", "torn", "shift"]
Name = Literal[
    "database.connect",
    "database.execute",
    "database.commit",
    "database.committed",
    "mqtt.connect",
    "mqtt.subscribe",
    "mqtt.publish",
    "mqtt.send",
    "mqtt.deliver",
    "mqtt.acknowledge",
    "mqtt.probe",
    "ingestor.committed",
    "inference.publish",
    "companion.turn",
    "registry.read",
    "registry.write",
    "model.load",
    "broker.follow",
    "ca.sign",
    "clock.read",
    "process.start",
]

POINTS: Final[Mapping[Name, str]] = MappingProxyType(
    {
        "database.connect": "before a connection to PostgreSQL is made",
        "database.execute": "before each wait for PostgreSQL's answer",
        "database.commit": "before COMMIT is sent",
        "database.committed": "after COMMIT was answered; an error: its outcome is unknown",
        "mqtt.connect": "before a connection to the broker is made",
        "mqtt.subscribe": "before SUBSCRIBE is sent",
        "mqtt.publish": "before PUBLISH with QoS 1 is sent; a drop: it never is",
        "mqtt.send": "before PUBLISH with QoS 0 (down/ack, the time); a drop: it never is",
        "mqtt.deliver": "before a message is handled; a drop: as if it never came",
        "mqtt.acknowledge": "after a message was handled, before PUBACK; a drop: none is sent",
        "mqtt.probe": "before the facade asks whether the broker is there",
        "ingestor.committed": "after a batch's COMMIT, before devices and broker hear of it",
        "inference.publish": "before a live stage is published; an error or a drop: it is not",
        "companion.turn": "before each turn of the companion's parts; long latency: stuck",
        "registry.read": "before a file of the model registry is read; torn: half of it is",
        "registry.write": "before each step (write, flush, rename) of a write to the registry",
        "model.load": "before a model is loaded",
        "broker.follow": "before the broker's accounts and revoked certificates are read",
        "ca.sign": "before the list of revoked certificates is looked at, and signed if due",
        "clock.read": "where the time is read that devices are told; a shift: a wrong clock",
        "process.start": "before a child process (Mosquitto, PostgreSQL, a service) is started",
    }
)
_ONLY: Final[Mapping[str, frozenset[str]]] = {
    "drop": frozenset(
        {"mqtt.publish", "mqtt.send", "mqtt.deliver", "mqtt.acknowledge", "inference.publish"}
    ),
    "full": frozenset({"database.execute", "database.commit", "registry.write"}),
    "torn": frozenset({"registry.read"}),
    "shift": frozenset({"clock.read"}),
}
"""Where kinds make sense that do not make sense everywhere."""

_TIMED: Final = frozenset({"latency", "shift"})
_HINT: Final = "write point=kind[:seconds][@probability][@#passages]; docs/faults.md lists all"
_RULE: Final = re.compile(
    r"(?P<point>[a-z.]+)=(?P<kind>[a-z]+)(:(?P<seconds>-?[0-9.]+))?"
    r"(@(?P<probability>[0-9.]+))?(@#(?P<first>[0-9]+)((?P<open>-)(?P<last>[0-9]+)?)?)?"
)
_FOREVER: Final = 1 << 62


class InjectedError(OSError):
    """What a fault of the kind ``error`` or ``full`` raises; parts take it for the real thing.

    ``errno`` is ENOSPC where a disk is to be full.
    """


@dataclass(slots=True)
class Rule:
    """What is to happen at a point: at passages ``first`` to ``last``, by chance.

    It ends at ``until``, in monotonic seconds. ``order``: of which it is, empty where the
    process was started with it.
    """

    point: Name
    kind: Kind
    seconds: float = 0.0
    probability: float = 1.0
    first: int = 1
    last: int = _FOREVER
    text: str = ""
    order: str = ""
    until: float = float("inf")
    passages: int = 0
    happened: int = 0
    told_at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return time.monotonic() < self.until

    def end(self) -> None:
        """Let nothing happen any more, and whoever waits because of it go on."""
        self.until = float("-inf")

    def is_due(self, chance: float) -> bool:
        """Count a passage and tell whether the fault is to happen now; 0 <= chance < 1."""
        if not self.is_live:
            return False
        with self._lock:
            self.passages += 1
            due = self.first <= self.passages <= self.last
            if not due or chance >= self.probability:
                return False
            self.happened += 1
            return True


def parse(spec: str) -> list[Rule]:
    """Return the rules of a specification; raises ConfigurationError where one is wrong."""
    return [_rule(text.strip()) for text in spec.split(";") if text.strip()]


def _rule(text: str) -> Rule:
    found = _RULE.fullmatch(text)
    if found is None:
        message = f"{text!r} is no fault"
        raise ConfigurationError(message, hint=_HINT)
    name, kind = found["point"], found["kind"]
    first = int(found["first"] or 1)
    last = int(found["last"]) if found["last"] else _FOREVER
    if found["first"] and not found["open"]:
        last = first
    try:
        seconds, probability = float(found["seconds"] or 0), float(found["probability"] or 1)
    except ValueError as error:
        message = f"{text!r} has a number that is none"
        raise ConfigurationError(message, hint=_HINT) from error
    _check(text, name, kind, seconds if found["seconds"] is not None else None)
    return Rule(cast("Name", name), cast("Kind", kind), seconds, probability, first, last, text)


def _check(text: str, name: str, kind: str, seconds: float | None) -> None:
    if name not in POINTS:
        message = f"{text!r} names no point: {name}"
    elif kind not in get_args(Kind):
        message = f"{text!r} names no kind of fault: {kind}"
    elif not _fits(name, kind):
        what = {"drop": "nothing can be dropped", "shift": "no clock is read"}
        message = f"{text!r}: {what.get(kind, f'nothing can be {kind}')} at {name}"
    elif kind == "latency" and name == "mqtt.send":
        message = f"{text!r}: {name} happens at once or not at all"
    elif (seconds is not None) != (kind in _TIMED):
        message = f"{text!r}: seconds belong to latency and shift, which need them"
    elif kind == "latency" and seconds is not None and seconds < 0:
        message = f"{text!r}: nothing takes less than no time"
    else:
        return
    raise ConfigurationError(message, hint=_HINT)


def _fits(name: str, kind: str) -> bool:
    if name == "clock.read":
        return kind == "shift"
    return kind not in _ONLY or name in _ONLY[kind]
