"""What people read of alerts: one or two plain sentences each."""

from typing import Final, Literal

from noctis.alerts import Name, Rule

__all__ = ["HONEST", "message"]

HONEST: Final = (
    "Noctis is a sleep platform, not a medical device or a baby monitor: "
    "never rely on it for anybody's safety."
)

_RAISED: Final[dict[Name, str]] = {
    "no_breathing": "{device}: for {span} the radar reports somebody in bed, and no breathing "
    "rate. Most often it is turned away, blocked, or takes an empty bed for a full one.",
    "silent": "{device} has not been heard of for {span}. What it measures meanwhile stays in "
    "its flash, and comes when it is back.",
    "missing_epochs": "{device}: {value} epochs of the last hour are missing. Most often they "
    "are still in its flash, and come by themselves.",
    "drift": "{device} sends other nights than its model was trained on: look at where it "
    "stands, and at `noctis model drift`.",
}
_CLEARED: Final[dict[Name, str]] = {
    "no_breathing": "{device}: the radar reports breathing again.",
    "silent": "{device} is heard of again.",
    "missing_epochs": "{device}: of the last hour fewer than {threshold} epochs are missing.",
    "drift": "{device} sends nights again as its model was trained on.",
}
_ABSENT: Final = "{device}: nobody is reported in bed any more."
_OFF: Final = "{device}: nobody looks any more; the rule is off, or the device revoked."


def message(
    name: Name,
    transition: Literal["raised", "cleared"],
    rule: Rule,
    device: str,
    value: int | None,
    *,
    why: str = "",
) -> str:
    """Return what to say of a transition.

    ``value``: what the look measured, in UNITS of the rule. ``why``: ``off`` where nobody looks
    any more, ``absent`` where nobody is in bed; else empty.
    """
    if transition == "raised":
        line = _RAISED[name]
    else:
        line = {"off": _OFF, "absent": _ABSENT}.get(why, _CLEARED[name])
    told = line.format(
        device=device,
        span=_span(value or 0),
        value=value,
        threshold=rule.threshold,
    )
    return f"{told} {HONEST}" if name == "no_breathing" else told


def _span(seconds: int) -> str:
    """Return a length of time in the largest unit that says it well."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} seconds"
