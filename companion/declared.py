"""Recordings that a person declares: a device's epochs from one moment to another.

They stand beside the nights that are found, and change none. What they show of an epoch is what
its night shows: the night-stager's stage where it has staged the night, else the live one. A
device's declared recordings of one kind do not overlap, so an epoch counts once among them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from companion.nights import QUIET, codes_of, evening_of
from noctis.epoch import EPOCH_SECONDS
from noctis.errors import NoctisError
from noctis.hypnogram import MISSING, OUT_OF_BED, UNSTAGED, Hypnogram
from noctis.storage import devices, marks, recording_changes, recordings, timeline
from noctis.storage.database import Connection
from noctis.storage.recordings import Night, Recording
from noctis.storage.timeline import Timeline, moment

__all__ = ["LONGEST", "OverlapError", "Span", "declare", "hold", "keep", "move", "shown"]

LONGEST: Final = timedelta(hours=48)
_EPOCH: Final = timedelta(seconds=EPOCH_SECONDS)
_EPOCH_US: Final = EPOCH_SECONDS * 1_000_000
_ZERO: Final = datetime.fromtimestamp(0, UTC)


class OverlapError(NoctisError):
    """The device has a declared recording of that kind at that time."""


@dataclass(frozen=True, slots=True)
class Span:
    """What a person declares: a kind, and from when to when, a whole number of epochs."""

    kind: str
    started_at: datetime
    ended_at: datetime


def declare(
    tenant: str,
    connection: Connection,
    device: str,
    span: Span,
    *,
    by: str,
    now: datetime,
    note: str | None = None,
    tags: Sequence[str] = (),
) -> tuple[Recording, bool]:
    """Store a recording that a person declares; return it, and whether it is new.

    One that was declared with the same kind, start and end stays as it is. Raise NotFoundError
    for the device, OverlapError where one of that kind overlaps it.
    """
    owner = devices.get(tenant, connection, device)
    marks.hold(connection, owner.id)
    rival = _rival(connection, owner.id, span)
    if rival is not None and _span(rival) == span:
        return rival, False
    _check(rival)
    night = _read(connection, owner.id, span, owner.time_zone, now)
    made = recording_changes.declare(
        tenant, connection, device, night, kind=span.kind, by=by, note=note, tags=tags
    )
    return made, True


def hold(tenant: str, connection: Connection, key: UUID) -> None:
    """Keep a recording's device from the companion until the transaction ends.

    It comes before any lock on the recording itself, as the companion does it.

    Raise NotFoundError.
    """
    known = recordings.get(tenant, connection, key)
    marks.hold(connection, devices.get(tenant, connection, known.device).id)


def move(tenant: str, connection: Connection, key: UUID, span: Span, *, now: datetime) -> None:
    """Let a declared recording, which is held, begin and end elsewhere, or be of another kind.

    Raise NotFoundError, or OverlapError where another of that kind overlaps it.
    """
    known = recordings.get(tenant, connection, key)
    owner = devices.get(tenant, connection, known.device)
    _check(_rival(connection, owner.id, span, but=key))
    night = _read(connection, owner.id, span, known.night.time_zone, now)
    recording_changes.move(tenant, connection, key, night)


def keep(
    connection: Connection, device_id: int, since: datetime, until: datetime, now: datetime
) -> list[str]:
    """Read a device's declared recordings that touch a span again; return what changed."""
    changed = []
    for known in recordings.overlapping(connection, device_id, since, until, declared=True):
        zone = known.night.time_zone
        if recordings.revise(
            connection, known, _read(connection, device_id, _span(known), zone, now)
        ):
            changed.append("revised")
    return changed


def shown(
    epochs: Timeline, nights: Sequence[Night], span: Span, zone: ZoneInfo, now: datetime
) -> Night:
    """Return what a declared recording shows of a device's epochs in its span.

    ``nights``: those that were found and touch it. It is open until its end, and while epochs
    of it are missing and may be on their way.
    """
    first = _us(span.started_at)
    size = (span.ended_at - span.started_at) // _EPOCH
    hypnogram: Hypnogram = np.full(size, MISSING, np.uint8)
    taken, at = np.unique((epochs.start - first) // _EPOCH_US, return_index=True)
    start, model = epochs.start[at], epochs.model[at].copy()
    codes = codes_of(epochs, slice(None))[at]
    staged_by = "live"
    for night in (it for it in nights if it.staged_by == "night"):
        places = (start - _us(night.started_at) + _EPOCH_US // 2) // _EPOCH_US
        inside = np.flatnonzero((places >= 0) & (places < len(night.codes)))
        told = night.codes[places[inside]]
        is_told = _in_bed(told) & _in_bed(codes[inside])
        codes[inside[is_told]] = told[is_told]
        model[inside[is_told]] = night.model_id or 0
        staged_by = "night" if is_told.any() else staged_by
    hypnogram[taken] = codes
    staged = model[codes < OUT_OF_BED]
    closes_at = _closes_at(epochs, hypnogram, span, now)
    return Night(
        state="closed" if closes_at is None else "open",
        evening=evening_of(span.started_at, zone),
        time_zone=zone.key,
        started_at=span.started_at,
        ended_at=span.ended_at,
        hypnogram=hypnogram.tobytes(),
        model_id=int(staged[-1]) if len(staged) else None,
        moved=int(epochs.is_moved[at].sum()),
        closes_at=closes_at,
        staged_by=staged_by,
    )


def _in_bed(codes: Hypnogram) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (codes < OUT_OF_BED) | (codes == UNSTAGED)
    return found


def _closes_at(
    epochs: Timeline, hypnogram: Hypnogram, span: Span, now: datetime
) -> datetime | None:
    closes_at = span.ended_at
    if len(epochs) and (hypnogram == MISSING).any():
        closes_at = max(closes_at, moment(int(epochs.received.max())) + QUIET)
    return None if closes_at <= now else closes_at


def _read(
    connection: Connection, device_id: int, span: Span, zone: str, now: datetime
) -> Night:
    since, until = span.started_at, span.ended_at
    epochs = timeline.read(connection, device_id, since, until)
    nights = recordings.overlapping(connection, device_id, since, until)
    return shown(epochs, [it.night for it in nights], span, ZoneInfo(zone), now)


def _rival(
    connection: Connection, device_id: int, span: Span, *, but: UUID | None = None
) -> Recording | None:
    """Return a declared recording of the same kind that overlaps a span, but for one."""
    near = recordings.overlapping(
        connection, device_id, span.started_at, span.ended_at, declared=True
    )
    for it in near:
        is_inside = it.night.started_at < span.ended_at and it.night.ended_at > span.started_at
        if is_inside and it.kind == span.kind and it.id != but:
            return it
    return None


def _check(rival: Recording | None) -> None:
    if rival is not None:
        night = rival.night
        message = (
            f"recording {rival.id}, a {rival.kind} from {night.started_at.isoformat()} to "
            f"{night.ended_at.isoformat()}, overlaps it"
        )
        raise OverlapError(message, hint="change or delete that one, or declare another kind")


def _span(known: Recording) -> Span:
    return Span(known.kind, known.night.started_at, known.night.ended_at)


def _us(at: datetime) -> int:
    return (at - _ZERO) // timedelta(microseconds=1)
