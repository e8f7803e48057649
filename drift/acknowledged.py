"""What a person has looked at is told no more: findings of a kept report, set aside by name."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from noctis.errors import ConfigurationError
from noctis.storage import drift_acknowledgements, drift_reports
from noctis.storage.drift_acknowledgements import Acknowledgement
from noctis.storage.engine import Connection

__all__ = ["acknowledge", "as_told", "known_changes", "known_channels"]


def acknowledge(
    tenant: str, connection: Connection, device: str | None, *, by: str, reason: str
) -> Acknowledgement:
    """Set aside what the newest report on a tenant, or on a device, finds.

    Raises ConfigurationError where it finds nothing, and where nobody or no reason is named.
    """
    whose = tenant if device is None else f"{tenant}/{device}"
    if not by.strip() or not reason.strip():
        message = f"who acknowledges the drift of {whose}, and what was it?"
        raise ConfigurationError(message, hint="say so: --by NAME --reason TEXT")
    reports = drift_reports.newest(tenant, connection, device)
    kept = next((it for it in reports if it.device == device), None)
    if kept is None or kept.verdict != "drift":
        message = f"the newest report on {whose} tells of no drift"
        raise ConfigurationError(message, hint="the kept ones: noctis model drift")
    channels = [it for it in kept.body["channels"] if it["verdict"] == "drift"]
    changes = kept.body["changes"] or ()
    return drift_acknowledgements.add(
        tenant,
        connection,
        device,
        model=kept.model,
        changes={it["stream"]: date.fromisoformat(it["told"]) for it in changes},
        channels=[f"{it['name']} {why}" for it in channels for why in it["why"]],
        by=by.strip(),
        reason=reason.strip(),
    )


def known_changes(acknowledged: Sequence[Acknowledgement]) -> dict[str, date]:
    """Return the streams whose change is known, and the evening since which another counts."""
    known: dict[str, date] = {}
    for it in acknowledged:
        for stream, told in it.changes.items():
            known[stream] = max(told, known.get(stream, told))
    return known


def known_channels(acknowledged: Sequence[Acknowledgement], model: str) -> frozenset[str]:
    """Return what is known to be unlike the training of a model: of another it is no word."""
    return frozenset().union(*(it.channels for it in acknowledged if it.model == model))


def as_told(it: Acknowledgement) -> dict[str, Any]:
    """Return an acknowledgement as JSON has it."""
    changes: Mapping[str, str] = {name: day.isoformat() for name, day in it.changes.items()}
    return {
        "subject": it.tenant if it.device is None else f"{it.tenant}/{it.device}",
        "model": it.model,
        "changes": changes,
        "channels": sorted(it.channels),
        "by": it.by,
        "reason": it.reason,
        "at": it.at.isoformat(),
    }
