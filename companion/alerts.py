"""Looks for what its people should hear of, and tells it: once, whatever happens on the way.

What a look changes is committed with what is to be told of it; only then it is told, and noted
as told when the broker has it. Cut off between these two it is told again, by the same id.
"""

import json
import time
from collections.abc import Iterator
from typing import Final

import structlog
from prometheus_client import Counter

from companion.turns import endlessly
from noctis import topics
from noctis.alert_words import message
from noctis.alerts import RULES, UNITS, Name, event_type, step
from noctis.mqtt import Session
from noctis.storage import alert_events, alert_watches
from noctis.storage.alert_events import Event
from noctis.storage.alert_watches import Look, Told
from noctis.storage.database import Connection, Database
from noctis.topics import shard_of

__all__ = ["PACES_S", "Alerts", "Tidings", "evaluate", "payload"]

LOOK_S: Final = 1.0
PACES_S: Final[dict[Name, float]] = {
    "no_breathing": 30.0,
    "silent": 15.0,
    "missing_epochs": 60.0,
    "drift": 300.0,
}
"""Seconds from one look of a rule to the next."""

STEP_S: Final = 30.0
AT_ONCE: Final = 64

_log = structlog.get_logger(__name__)
_raised = Counter("noctis_alerts_raised_total", "Alerts raised.", ["rule"])
_cleared = Counter("noctis_alerts_cleared_total", "Alerts cleared.", ["rule"])
_told = Counter("noctis_alerts_told_total", "Transitions of alerts that the broker has.")


class Alerts:
    """Looks at some shards' devices, each rule at its own pace, with one query for all.

    ``session`` is how devices are heard: while it is down nobody is called silent. ``paces_s``
    as PACES_S.
    """

    def __init__(
        self,
        database: Database,
        session: Session,
        shards: frozenset[int],
        *,
        paces_s: dict[Name, float] = PACES_S,
    ) -> None:
        self._database = database
        self._session = session
        self._shards = shards
        self._paces_s = paces_s
        self._due = dict.fromkeys(RULES, 0.0)
        self._generation = 0
        self._listening_since = 0.0

    async def run(self) -> None:
        """Work until cancelled."""
        await endlessly("alerts", self.turn, pause_s=LOOK_S)

    async def turn(self) -> bool:
        """Look by each rule that is due; nothing waits then."""
        listening_s = self._listening_s()
        for name in RULES:
            if time.monotonic() >= self._due[name]:
                await self._look(name, listening_s)
                self._due[name] = time.monotonic() + self._paces_s[name]
        return False

    async def _look(self, name: Name, listening_s: float) -> None:
        raised, cleared = await self._database.call(
            lambda it: evaluate(it, name, self._shards, listening_s=listening_s),
            within_s=STEP_S,
        )
        _raised.labels(name).inc(raised)
        _cleared.labels(name).inc(cleared)
        if raised or cleared:
            _log.info("alerts_changed", rule=name, raised=raised, cleared=cleared)

    def _listening_s(self) -> float:
        """Return how long this connection with the broker lasts; 0 without one."""
        if not self._session.ready:
            self._generation = 0
            return 0.0
        if self._generation != self._session.generation:
            self._generation = self._session.generation
            self._listening_since = time.monotonic()
        return time.monotonic() - self._listening_since


def evaluate(
    connection: Connection, name: Name, shards: frozenset[int], *, listening_s: float
) -> tuple[int, int]:
    """Look by a rule at the shards' devices; return how many alerts were raised and cleared.

    All of it is in the caller's transaction: what is known, what changed, what is to be told.
    """
    seen = alert_watches.look(connection, name, listening_s=listening_s)
    looks = [it for it in seen if shard_of(it.device) in shards]
    steps = [(it, *step(it.rule, it.watch, it.sight, it.at)) for it in looks]
    changed = [
        (it, new) for it, new, _ in steps if new != it.watch or new.is_at_rest(it.rule, it.at)
    ]
    alert_watches.keep(connection, name, changed)
    if not looks:
        return 0, 0
    at = looks[0].at
    raised = [_as_told(name, it, "raised") for it, _, change in steps if change == "raised"]
    cleared = [_as_told(name, it, "cleared") for it, _, change in steps if change == "cleared"]
    return (
        alert_watches.raise_(connection, name, at, raised),
        alert_watches.clear(connection, name, at, cleared),
    )


def _as_told(name: Name, look: Look, change: str) -> Told:
    text = message(
        name,
        "raised" if change == "raised" else "cleared",
        look.rule,
        look.device.device,
        look.value,
        why=look.why,
    )
    details = {"value": look.value, "threshold": look.rule.threshold, "unit": UNITS[name]}
    return Told(look, text, details | ({"why": look.why} if look.why else {}))


class Tidings:
    """Tells apps what was committed, in order, a portion at a time.

    ``session`` is how apps are reached.
    """

    def __init__(self, database: Database, session: Session, shards: frozenset[int]) -> None:
        self._database = database
        self._session = session
        self._shards = shards

    async def run(self) -> None:
        """Work until cancelled."""
        await endlessly("tidings", self.turn, pause_s=LOOK_S)

    async def turn(self) -> bool:
        """Tell what is untold; return whether more may wait."""
        if not self._session.ready:
            return False
        events = await self._database.call(
            lambda it: alert_events.untold(it, self._shards, limit=AT_ONCE)
        )
        done = []
        try:
            for event in events:
                topic = topics.alert(event.device)
                await self._session.publish(topic, payload(event))
                done.append(event.id)
        finally:
            if done:
                await self._database.call(lambda it: alert_events.told(it, done))
                _told.inc(len(done))
        return len(events) == AT_ONCE


def payload(event: Event) -> bytes:
    """Return what apps hear of a transition, as JSON."""
    return json.dumps(dict(_members(event)), separators=(",", ":")).encode()


def _members(event: Event) -> Iterator[tuple[str, object]]:
    yield "id", event.id
    yield "alert", event.alert_id
    yield "rule", event.rule
    yield "state", event.state
    yield "event_type", event_type(event.rule, event.state)
    yield "at", event.at.isoformat()
    yield "message", event.message
    yield "details", event.details
