"""Faults on demand: named points at every external call, where one can be made to happen.

Off, a point costs the look at an empty dictionary. A specification is taken only where
``NOCTIS_FAULTS=allowed``; ``NOCTIS_FAULT_POINTS`` holds one, with rules parted by ``;``::

    database.commit=latency:0.5@0.1        half a second, at every tenth passage (at random)
    database.connect=error@#1-5            the first five passages fail
    mqtt.acknowledge=drop@0.01             one PUBACK of a hundred is never sent
    ingestor.committed=kill@#3             SIGKILL at the third passage

``#3`` is the third passage alone, ``#3-`` it and all that follow. A point passes every rule
that names it, in their order. A running process takes orders for rules that end by themselves
(``noctis.steering``). What happens is counted, and logged before it does: the first time, and
then once a second at most.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from errno import EIO, ENOSPC
from typing import Final

import structlog
from prometheus_client import Counter, Gauge

from noctis.errors import ConfigurationError
from noctis.fault_rules import POINTS, InjectedError, Kind, Name, Rule, parse

__all__ = [
    "ALLOWED",
    "POINTS",
    "InjectedError",
    "Kind",
    "Name",
    "Rule",
    "active",
    "allowed",
    "apoint",
    "clear",
    "configure",
    "exempt",
    "expire",
    "obey",
    "parse",
    "point",
    "shift",
    "use",
    "withdraw",
]

ALLOWED: Final = "allowed"
_SLICE_S: Final = 0.1
"""How long somebody may go on to wait because of a rule that has ended."""

_TOLD_EVERY_S: Final = 1.0
_log = structlog.get_logger(__name__)
_injected = Counter(
    "noctis_faults_injected_total", "Faults that were made to happen, by point.", ["point"]
)
_in_use = Gauge(
    "noctis_faults_rules", "Rules in use that make faults happen.", multiprocess_mode="livesum"
)
_rules: dict[str, tuple[Rule, ...]] = {}
_exempt: Final = ContextVar("noctis_faults_exempt", default=False)


def point(name: Name) -> bool:
    """Let what is to happen at ``name`` happen; True: what follows is to be left out.

    True of ``torn``, too: only half of what follows is to be done. Raises InjectedError,
    sleeps in this thread, or ends the process without a farewell.
    """
    if not _rules:
        return False
    dropped = False
    for rule in _due(name):
        if rule.kind == "latency":
            for seconds in _slices(rule):
                time.sleep(seconds)
        dropped |= _befall(rule)
    return dropped


async def apoint(name: Name) -> bool:
    """Do as ``point`` does, but sleep without holding up the event loop."""
    if not _rules:
        return False
    dropped = False
    for rule in _due(name):
        if rule.kind == "latency":
            for seconds in _slices(rule):
                await asyncio.sleep(seconds)
        dropped |= _befall(rule)
    return dropped


def shift(name: Name) -> float:
    """Return by how many seconds the clock that is read at ``name`` is to be wrong."""
    if not _rules:
        return 0.0
    return sum(rule.seconds for rule in _due(name) if rule.kind == "shift")


def allowed(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether faults may be asked for in this process."""
    return environment.get("NOCTIS_FAULTS") == ALLOWED


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
    _require(environment)
    _replace(rules)
    _log.warning("faults_in_use", rules=spec)
    return rules


def obey(
    order: str, spec: str, seconds: float, environment: Mapping[str, str] = os.environ
) -> None:
    """Use the rules of an order too, for so many seconds; errors as of ``configure``.

    They end then, whoever is away. An order that is obeyed already is left as it is.
    """
    if any(rule.order == order for rule in active()):
        return
    rules = parse(spec)
    _require(environment)
    for rule in rules:
        rule.order, rule.until = order, time.monotonic() + seconds
    _replace([*active(), *rules])
    _log.warning("faults_ordered", order=order, rules=spec, seconds=round(seconds, 1))


def withdraw(order: str) -> None:
    """Let nothing of an order happen any more, and whoever waits because of it go on."""
    mine = [rule for rule in active() if rule.order == order]
    for rule in mine:
        rule.end()
    expire()


def expire() -> None:
    """Forget rules that have ended."""
    rules = active()
    gone = {rule.order for rule in rules if not rule.is_live}
    if gone:
        _replace([rule for rule in rules if rule.is_live])
        _log.warning("faults_ended", orders=sorted(gone))


def active() -> Sequence[Rule]:
    """Return the rules in use, with how often each was passed and happened."""
    return [rule for rules in tuple(_rules.values()) for rule in rules]


def clear() -> None:
    """Let nothing happen any more."""
    for rule in active():
        rule.end()
    _replace([])


@contextmanager
def exempt() -> Iterator[None]:
    """Let nothing happen in this context: for whoever must hear that faults are to end."""
    token = _exempt.set(True)
    try:
        yield
    finally:
        _exempt.reset(token)


def _require(environment: Mapping[str, str]) -> None:
    if not allowed(environment):
        message = "faults are not allowed here"
        raise ConfigurationError(message, hint=f"set NOCTIS_FAULTS={ALLOWED}, never at work")


def _replace(rules: Sequence[Rule]) -> None:
    _rules.clear()
    _rules.update({it.point: tuple(r for r in rules if r.point == it.point) for it in rules})
    _in_use.set(len(rules))


def _due(name: Name) -> list[Rule]:
    rules = _rules.get(name, ())
    if not rules or _exempt.get():
        return []
    chance = random.random  # no secret hangs on it
    due = [rule for rule in rules if rule.is_due(chance())]
    for rule in due:
        _injected.labels(name).inc()
        _tell(rule)
    return due


def _tell(rule: Rule) -> None:
    now = time.monotonic()
    if rule.kind == "kill" or now - rule.told_at >= _TOLD_EVERY_S:
        rule.told_at = now
        _log.warning(
            "fault",
            point=rule.point,
            kind=rule.kind,
            passage=rule.passages,
            happened=rule.happened,
        )


def _slices(rule: Rule) -> Iterator[float]:
    """Yield pauses that make up a rule's latency, for as long as it lives."""
    end = time.monotonic() + rule.seconds
    while rule.is_live and (left := end - time.monotonic()) > 0:
        yield min(left, _SLICE_S)


def _befall(rule: Rule) -> bool:
    if rule.kind in {"error", "full"}:
        message = f"a fault was asked for at {rule.point}"
        raise InjectedError(ENOSPC if rule.kind == "full" else EIO, message)
    if rule.kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return rule.kind in {"drop", "torn"}
