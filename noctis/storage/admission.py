"""Which frames of a batch may be stored: known devices, streams of their own, sound runs.

And which are disposed of: those of a closed stream, and those that are older than what their
tenant keeps. Nothing is written down of these, not even their run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from noctis.epoch import EPOCH_SECONDS, Frame
from noctis.identity import DeviceId
from noctis.storage.runs import Device, RunBook, bind_streams, signed, verdict

__all__ = ["KEPT", "Accepted", "Admission", "Received", "admit"]

# How far ahead of receipt an epoch may start: a run's clock may be a day ahead, and drift.
FUTURE: Final = timedelta(days=2)

KEPT: Final = timedelta(days=400)
"""How long epochs stay where neither the tenant nor the platform says otherwise."""


@dataclass(frozen=True, slots=True)
class Received:
    """A frame, the device whose topic it came on, and whether that was the backlog's."""

    device: DeviceId
    frame: Frame
    backlog: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """A frame that may be stored: its place in the batch, and its run's time base if known."""

    index: int
    device: Device
    frame: Frame
    utc: datetime | None
    backlog: bool


@dataclass(slots=True)
class Admission:
    """Frames that may be stored; by index, those refused, and why, and those disposed of."""

    accepted: list[Accepted] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    disposed: set[int] = field(default_factory=set)


def admit(
    connection: Connection,
    received: Sequence[Received],
    now: datetime,
    *,
    kept: timedelta = KEPT,
) -> Admission:
    """Return which frames may be stored, and what becomes of the others.

    Streams are bound and runs written down on the way. ``kept``: how long epochs of tenants
    without a word of their own stay.
    """
    admission = Admission()
    devices = _devices(connection, {item.device for item in received}, kept)
    admission.refused = {
        index: reason
        for index, item in enumerate(received)
        if (reason := _standing(devices.get(item.device)))
    }
    known = [
        (index, devices[item.device], item)
        for index, item in enumerate(received)
        if index not in admission.refused
    ]
    claims = [(signed(item.frame.stream), device) for _, device, item in known]
    strange = [signed(received[index].frame.stream) for index in admission.refused]
    owners, closed = bind_streams(connection, claims, strange, now)
    admission.disposed = {
        index for index, item in enumerate(received) if signed(item.frame.stream) in closed
    }
    open_ones = [one for one in known if one[0] not in admission.disposed]
    own = [one for one in open_ones if owners[signed(one[2].frame.stream)] == one[1].id]
    admission.refused |= dict.fromkeys(
        {one[0] for one in open_ones} - {one[0] for one in own}, "foreign_stream"
    )
    _in_runs(connection, own, now, admission)
    for index in admission.disposed:
        admission.refused.pop(index, None)
    return admission


def _standing(device: Device | None) -> str:
    if device is None:
        return "unknown_device"
    return "revoked_device" if device.revoked else ""


def _devices(
    connection: Connection, wanted: set[DeviceId], kept: timedelta
) -> dict[DeviceId, Device]:
    names = sorted(wanted)
    rows = connection.execute(
        text(
            "SELECT t.name, d.name, d.id, d.tenant_id, d.revoked_at IS NOT NULL, "
            "coalesce(make_interval(days => t.retention_days), :kept) "
            "FROM unnest(CAST(:tenants AS text[]), CAST(:devices AS text[])) w(tenant, device) "
            "JOIN tenants t ON t.name = w.tenant "
            "JOIN devices d ON d.tenant_id = t.id AND d.name = w.device"
        ),
        {
            "tenants": [n.tenant for n in names],
            "devices": [n.device for n in names],
            "kept": kept,
        },
    )
    return {DeviceId(tenant, name): Device(*row) for tenant, name, *row in rows}


def _in_runs(
    connection: Connection,
    known: Sequence[tuple[int, Device, Received]],
    now: datetime,
    admission: Admission,
) -> None:
    """Look every frame's run up, or write it down, and refuse frames that contradict it."""
    book = RunBook()
    book.load(connection, [(device, item.frame) for _, device, item in known])
    young = [one for one in known if not _is_past(book, one[1], one[2].frame, now)]
    admission.disposed |= {one[0] for one in known} - {one[0] for one in young}
    book.settle(connection, [(device, item.frame) for _, device, item in young], now)
    for index, device, item in young:
        reason = _contradiction(book, device, item.frame, now)
        run = book.of(device, item.frame)
        if reason or run is None:
            admission.refused[index] = reason
        else:
            admission.accepted.append(
                Accepted(index, device, item.frame, run.utc, item.backlog)
            )


def _is_past(book: RunBook, device: Device, frame: Frame, now: datetime) -> bool:
    """Tell whether all of a frame is older than what its tenant keeps."""
    stored = book.of(device, frame)
    utc = verdict(frame.run, now) if stored is None else stored.utc
    return utc is not None and utc + _last_start(frame) < now - device.kept


def _last_start(frame: Frame) -> timedelta:
    """Return when the frame's last epoch starts, counted from its run's time base."""
    return timedelta(seconds=EPOCH_SECONDS * (frame.first + frame.count - 2 - frame.run_seq))


def _contradiction(book: RunBook, device: Device, frame: Frame, now: datetime) -> str:
    known = book.of(device, frame)
    if known is None or known.run != frame.run:
        return "run_differs"
    if book.interrupts(device, frame):
        return "run_inside"
    if known.utc is not None and _last_start(frame) > now - known.utc + FUTURE:
        return "future"
    return ""
