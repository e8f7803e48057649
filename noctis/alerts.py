"""Rules of alerts, and what becomes of one: raised late, cleared late, never raised in a row.

Nothing here knows a clock, a database or a device: whoever looks at a device tells what he
sees, and what was known before; he gets what is known now, and at most one transition. What is
known is a ``Watch``: kept between any two looks, it gives the same transitions as if nobody had
ever stopped.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, Literal, get_args

from noctis.errors import NoctisError

__all__ = [
    "DEFAULTS",
    "LIMITS",
    "LONGEST_COOLDOWN_S",
    "MOST_LOOKS",
    "RULES",
    "UNITS",
    "Name",
    "Rule",
    "RuleError",
    "Sight",
    "Transition",
    "Watch",
    "check",
    "event_type",
    "step",
]

Name = Literal["no_breathing", "silent", "missing_epochs", "drift"]
Transition = Literal["raised", "cleared", "acknowledged"]
RULES: Final[tuple[Name, ...]] = get_args(Name)


class Sight(Enum):
    """What a look at a device showed.

    ``UNKNOWN``: nothing that speaks for or against. ``OFF``: nobody is to look any more.
    """

    BAD = "bad"
    GOOD = "good"
    UNKNOWN = "unknown"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Rule:
    """When an alert is raised and cleared.

    A look is bad that measures ``threshold`` or more, in UNITS of the rule. ``raise_after`` bad
    looks without a good one between them raise an alert, ``clear_after`` good ones without a
    bad one clear it; for ``cooldown_s`` seconds after that none is raised again.
    """

    enabled: bool = True
    threshold: int = 1
    raise_after: int = 1
    clear_after: int = 1
    cooldown_s: int = 0


@dataclass(frozen=True, slots=True)
class Watch:
    """What is known of a device and a rule: all that the next look needs.

    ``streak``: looks against what is the case: bad ones while no alert is open, good ones while
    one is.
    """

    is_open: bool = False
    streak: int = 0
    cleared_at: datetime | None = None

    def is_at_rest(self, rule: Rule, at: datetime) -> bool:
        """Tell whether it says no more than a watch that never saw anything."""
        return not (self.is_open or self.streak or self._is_cooling(rule, at))

    def may_raise(self, rule: Rule, at: datetime) -> bool:
        """Tell whether there were bad looks enough, and the last alert is long enough ago."""
        return self.streak >= rule.raise_after and not self._is_cooling(rule, at)

    def _is_cooling(self, rule: Rule, at: datetime) -> bool:
        cooldown = timedelta(seconds=rule.cooldown_s)
        return self.cleared_at is not None and at < self.cleared_at + cooldown


DEFAULTS: Final[dict[Name, Rule]] = {
    "no_breathing": Rule(threshold=300, raise_after=2, clear_after=4, cooldown_s=1800),
    "silent": Rule(threshold=600, raise_after=2, clear_after=2, cooldown_s=900),
    "missing_epochs": Rule(threshold=20, raise_after=2, clear_after=2, cooldown_s=21600),
    "drift": Rule(threshold=1, raise_after=1, clear_after=1, cooldown_s=604800),
}
"""What a tenant has of whom nothing else is said."""

UNITS: Final[dict[Name, str]] = {
    "no_breathing": "s",
    "silent": "s",
    "missing_epochs": "epochs",
    "drift": "reports",
}
"""What thresholds and values are measured in."""

LIMITS: Final[dict[Name, tuple[int, int]]] = {
    "no_breathing": (60, 3600),
    "silent": (10, 604800),
    "missing_epochs": (1, 120),
    "drift": (1, 1),
}
"""The least and the greatest threshold of each rule."""

MOST_LOOKS: Final = 1000
LONGEST_COOLDOWN_S: Final = 30 * 86400


def step(
    rule: Rule, watch: Watch, sight: Sight, at: datetime
) -> tuple[Watch, Literal["raised", "cleared"] | None]:
    """Return what is known after a look at the moment ``at``, and what has changed by it.

    Looks come in the order of their time.
    """
    if sight is Sight.OFF:
        return _off(watch, at)
    if sight is Sight.UNKNOWN:
        return watch, None
    if watch.is_open:
        return _open(rule, watch, sight, at)
    return _closed(rule, watch, sight, at)


def _off(watch: Watch, at: datetime) -> tuple[Watch, Literal["cleared"] | None]:
    if watch.is_open:
        return Watch(cleared_at=at), "cleared"
    return Watch(cleared_at=watch.cleared_at), None


def _open(
    rule: Rule, watch: Watch, sight: Sight, at: datetime
) -> tuple[Watch, Literal["cleared"] | None]:
    streak = watch.streak + 1 if sight is Sight.GOOD else 0
    if streak >= rule.clear_after:
        return Watch(cleared_at=at), "cleared"
    return Watch(is_open=True, streak=streak), None


def _closed(
    rule: Rule, watch: Watch, sight: Sight, at: datetime
) -> tuple[Watch, Literal["raised"] | None]:
    streak = min(watch.streak + 1, rule.raise_after) if sight is Sight.BAD else 0
    known = Watch(streak=streak, cleared_at=watch.cleared_at)
    if sight is Sight.BAD and known.may_raise(rule, at):
        return Watch(is_open=True), "raised"
    return known, None


def event_type(rule: Name, transition: Transition) -> str:
    """Return what Home Assistant calls it: the rule alone where it was raised."""
    return rule if transition == "raised" else f"{rule}_{transition}"


class RuleError(NoctisError):
    """A rule that cannot be; ``setting`` is what is wrong with it."""

    def __init__(self, message: str, setting: str) -> None:
        super().__init__(message, hint="see docs/alerts.md, When it is raised and cleared")
        self.setting = setting


def check(name: Name, rule: Rule) -> None:
    """Let a rule pass whose numbers make sense; raise RuleError for another."""
    limits = {
        "threshold": LIMITS[name],
        "raise_after": (1, MOST_LOOKS),
        "clear_after": (1, MOST_LOOKS),
        "cooldown_s": (0, LONGEST_COOLDOWN_S),
    }
    for setting, (least, most) in limits.items():
        value = getattr(rule, setting)
        if not least <= value <= most:
            message = f"{setting} of {name} is {value}; {least} to {most} are allowed"
            raise RuleError(message, setting)
