"""Alerts of devices. They are no medical alarms."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

__all__ = ["Alert", "alert_of", "alerts_in"]


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that people should know of a device; open until ``cleared_at``.

    ``details``: what was measured, and the threshold.
    """

    id: int
    device: str
    rule: str
    message: str
    details: Mapping[str, Any]
    raised_at: datetime
    cleared_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None


def alerts_in(page: Mapping[str, Any]) -> list[Alert]:
    """Return the alerts of a page."""
    return [alert_of(told) for told in page["alerts"]]


def alert_of(told: Mapping[str, Any]) -> Alert:
    """Return the alert that a document tells."""
    return Alert(
        id=told["id"],
        device=told["device"],
        rule=told["rule"],
        message=told["message"],
        details=told["details"],
        raised_at=datetime.fromisoformat(told["raised_at"]),
        cleared_at=_moment(told["cleared_at"]),
        acknowledged_at=_moment(told["acknowledged_at"]),
        acknowledged_by=told["acknowledged_by"],
    )


def _moment(told: str | None) -> datetime | None:
    return None if told is None else datetime.fromisoformat(told)
