"""Which frames of a batch may be stored: known devices, streams of their own, sound runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from noctis.epoch import EPOCH_SECONDS, Frame
from noctis.identity import DeviceId
from noctis.storage.runs import Device, RunBook, bind_streams, signed

__all__ = ["Accepted", "Received", "admit"]

# How far ahead of receipt an epoch may start: a run's clock may be a day ahead, and drift.
FUTURE: Final = timedelta(days=2)


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


def admit(
    connection: Connection, received: Sequence[Received], now: datetime
) -> tuple[list[Accepted], dict[int, str]]:
    """Return the frames that may be stored, and why the others may not, by their index.

    Streams are bound and runs written down on the way.
    """
    devices = _devices(connection, {item.device for item in received})
    refused = {
        index: reason
        for index, item in enumerate(received)
        if (reason := _standing(devices.get(item.device)))
    }
    known = [
        (index, devices[item.device], item)
        for index, item in enumerate(received)
        if index not in refused
    ]
    if not known:
        return [], refused
    claims = [(signed(item.frame.stream), device) for _, device, item in known]
    owners = bind_streams(connection, claims, now)
    own = [one for one in known if owners[signed(one[2].frame.stream)] == one[1].id]
    refused |= dict.fromkeys(
        {one[0] for one in known} - {one[0] for one in own}, "foreign_stream"
    )
    accepted, unsound = _in_runs(connection, own, now)
    return accepted, refused | unsound


def _standing(device: Device | None) -> str:
    if device is None:
        return "unknown_device"
    return "revoked_device" if device.revoked else ""


def _devices(connection: Connection, wanted: set[DeviceId]) -> dict[DeviceId, Device]:
    names = sorted(wanted)
    rows = connection.execute(
        text(
            "SELECT t.name, d.name, d.id, d.tenant_id, d.revoked_at IS NOT NULL "
            "FROM unnest(CAST(:tenants AS text[]), CAST(:devices AS text[])) w(tenant, device) "
            "JOIN tenants t ON t.name = w.tenant "
            "JOIN devices d ON d.tenant_id = t.id AND d.name = w.device"
        ),
        {"tenants": [n.tenant for n in names], "devices": [n.device for n in names]},
    )
    return {DeviceId(t, d): Device(key, tenant, revoked) for t, d, key, tenant, revoked in rows}


def _in_runs(
    connection: Connection, known: Sequence[tuple[int, Device, Received]], now: datetime
) -> tuple[list[Accepted], dict[int, str]]:
    """Look every frame's run up, or write it down, and refuse frames that contradict it."""
    frames = [(device, item.frame) for _, device, item in known]
    book = RunBook()
    book.load(connection, frames)
    book.settle(connection, frames, now)
    accepted: list[Accepted] = []
    refused: dict[int, str] = {}
    for index, device, item in known:
        reason = _contradiction(book, device, item.frame, now)
        run = book.of(device, item.frame)
        if reason or run is None:
            refused[index] = reason
        else:
            accepted.append(Accepted(index, device, item.frame, run.utc, item.backlog))
    return accepted, refused


def _contradiction(book: RunBook, device: Device, frame: Frame, now: datetime) -> str:
    known = book.of(device, frame)
    if known is None or known.run != frame.run:
        return "run_differs"
    if book.interrupts(device, frame):
        return "run_inside"
    last = EPOCH_SECONDS * (frame.first + frame.count - 2 - frame.run_seq)
    if known.utc is not None and timedelta(seconds=last) > now - known.utc + FUTURE:
        return "future"
    return ""
