"""Devices of a tenant."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

__all__ = ["Device", "devices_in"]


@dataclass(frozen=True, slots=True)
class Device:
    """A device by its name; ``revoked_at``: since when it has no account any more."""

    name: str
    time_zone: str
    created_at: datetime
    revoked_at: datetime | None


def devices_in(page: Mapping[str, Any]) -> list[Device]:
    """Return the devices of a page."""
    return [
        Device(
            name=told["name"],
            time_zone=told["time_zone"],
            created_at=datetime.fromisoformat(told["created_at"]),
            revoked_at=_moment(told["revoked_at"]),
        )
        for told in page["devices"]
    ]


def _moment(told: str | None) -> datetime | None:
    return None if told is None else datetime.fromisoformat(told)
