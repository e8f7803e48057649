"""Faults on demand: named points at every external call, where one can be made to happen.

Off, a point costs the look at an empty dictionary. A specification is taken only where
``NOCTIS_FAULTS=allowed``; ``NOCTIS_FAULT_POINTS`` holds one, with rules parted by ``;``::

    database.commit=latency:0.5@0.1        half a second, at every tenth passage (at random)
    database.connect=error@#1-5            the first five passages fail
    mqtt.acknowledge=drop@0.01             one PUBACK of a hundred is never sent
    ingestor.committed=kill@#3             SIGKILL at the third passage

``#3`` is the third passage alone, ``#3-`` it and all that follow. A point passes every rule
that names it, in their order. Each fault that happens is logged before it does.
"""

import asyncio
import os
import random
import re
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, cast, get_args

import structlog

from noctis.errors import ConfigurationError

__all__ = [
    "POINTS",
    "InjectedError",
    "Kind",
    "Name",
    "Rule",
    "active",
    "apoint",
    "clear",
    "configure",
    "parse",
    "point",
    "use",
]

Kind = Literal["latency", "error", "drop", "kill"]
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
    "registry.read",
    "registry.write",
    "model.load",
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
        "registry.read": "before a file of the model registry is read",
        "registry.write": "before each step (write, flush, rename) of a write to the registry",
        "model.load": "before a model is loaded",
        "process.start": "before a child process (Mosquitto, PostgreSQL, a service) is started",
    }
)
DROPPABLE: Final = frozenset({"mqtt.publish", "mqtt.send", "mqtt.deliver", "mqtt.acknowledge"})
ALLOWED: Final = "allowed"

_HINT: Final = "write point=kind[:seconds][@probability][@#passages]; docs/faults.md lists all"
_RULE: Final = re.compile(
    r"(?P<point>[a-z.]+)=(?P<kind>[a-z]+)(:(?P<seconds>[0-9.]+))?"
    r"(@(?P<probability>[0-9.]+))?(@#(?P<first>[0-9]+)((?P<open>-)(?P<last>[0-9]+)?)?)?"
)
_FOREVER: Final = 1 << 62
_log = structlog.get_logger(__name__)


class InjectedError(OSError):
    """What a fault of the kind ``error`` raises; the parts take it for the real thing."""


@dataclass(slots=True)
class Rule:
    """What is to happen at a point: at passages ``first`` to ``last``, by chance."""

    point: Name
    kind: Kind
    seconds: float = 0.0
    probability: float = 1.0
    first: int = 1
    last: int = _FOREVER
    passages: int = 0
    happened: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def is_due(self) -> bool:
        """Count a passage and tell whether the fault is to happen now."""
        with self._lock:
            self.passages += 1
            due = self.first <= self.passages <= self.last
            if not due or random.random() >= self.probability:  # noqa: S311 - no secret
                return False
            self.happened += 1
            return True


_rules: dict[str, tuple[Rule, ...]] = {}


def point(name: Name) -> bool:
    """Let what is to happen at ``name`` happen; True: what follows is to be left out.

    Raises InjectedError, sleeps in this thread, or ends the process without a farewell.
    """
    if not _rules:
        return False
    dropped = False
    for rule in _due(name):
        if rule.kind == "latency":
            time.sleep(rule.seconds)
        dropped |= _befall(rule)
    return dropped


async def apoint(name: Name) -> bool:
    """Do as ``point`` does, but sleep without holding up the event loop."""
    if not _rules:
        return False
    dropped = False
    for rule in _due(name):
        if rule.kind == "latency":
            await asyncio.sleep(rule.seconds)
        dropped |= _befall(rule)
    return dropped


def parse(spec: str) -> list[Rule]:
    """Return the rules of a specification; raises ConfigurationError where one is wrong."""
    return [_rule(text.strip()) for text in spec.split(";") if text.strip()]


def configure(environment: Mapping[str, str] = os.environ) -> None:
    """Use what NOCTIS_FAULT_POINTS holds.

    Raises ConfigurationError when it makes no sense, or NOCTIS_FAULTS does not allow it.
    """
    spec = environment.get("NOCTIS_FAULT_POINTS", "")
    if spec:
        use(spec, environment)


def use(spec: str, environment: Mapping[str, str] = os.environ) -> list[Rule]:
    """Replace all rules by those of ``spec`` and return them, as ``configure`` does."""
    rules = parse(spec)
    if environment.get("NOCTIS_FAULTS") != ALLOWED:
        message = "faults are not allowed here"
        raise ConfigurationError(message, hint=f"set NOCTIS_FAULTS={ALLOWED}, never at work")
    clear()
    _rules.update({it.point: tuple(r for r in rules if r.point == it.point) for it in rules})
    _log.warning("faults_in_use", rules=spec)
    return rules


def active() -> Sequence[Rule]:
    """Return the rules in use, with how often each was passed and happened."""
    return [rule for rules in _rules.values() for rule in rules]


def clear() -> None:
    """Let nothing happen any more."""
    _rules.clear()


def _due(name: Name) -> list[Rule]:
    due = [rule for rule in _rules.get(name, ()) if rule.is_due()]
    for rule in due:
        _log.warning("fault", point=name, kind=rule.kind, passage=rule.passages)
    return due


def _befall(rule: Rule) -> bool:
    if rule.kind == "error":
        message = f"a fault was asked for at {rule.point}"
        raise InjectedError(message)
    if rule.kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return rule.kind == "drop"


def _rule(text: str) -> Rule:
    found = _RULE.fullmatch(text)
    if found is None:
        message = f"{text!r} is no fault"
        raise ConfigurationError(message, hint=_HINT)
    name, kind = found["point"], found["kind"]
    _check(text, name, kind, timed=found["seconds"] is not None)
    first = int(found["first"] or 1)
    last = int(found["last"]) if found["last"] else _FOREVER
    if found["first"] and not found["open"]:
        last = first
    try:
        seconds, probability = float(found["seconds"] or 0), float(found["probability"] or 1)
    except ValueError as error:
        message = f"{text!r} has a number that is none"
        raise ConfigurationError(message, hint=_HINT) from error
    return Rule(cast("Name", name), cast("Kind", kind), seconds, probability, first, last)


def _check(text: str, name: str, kind: str, *, timed: bool) -> None:
    if name not in POINTS:
        message = f"{text!r} names no point: {name}"
    elif kind not in get_args(Kind):
        message = f"{text!r} names no kind of fault: {kind}"
    elif kind == "drop" and name not in DROPPABLE:
        message = f"{text!r}: nothing can be dropped at {name}"
    elif kind == "latency" and name == "mqtt.send":
        message = f"{text!r}: {name} happens at once or not at all"
    elif timed != (kind == "latency"):
        message = f"{text!r}: seconds belong to latency, and latency needs them"
    else:
        return
    raise ConfigurationError(message, hint=_HINT)
