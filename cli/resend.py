"""``noctis device resend``: have a device send again what the platform does not have."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from cli.local import DEFAULT_VAR, Var, opened
from cli.output import Json, out, print_json, progress
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId
from noctis.storage import commands, missing
from noctis.storage.commands import Command, Range

__all__ = ["resend"]

LOOK_S: Final = 2.0
LAST_SEQ: Final = (1 << 32) - 1

Name = Annotated[str, typer.Argument(help="tenant/device")]
Stream = Annotated[str, typer.Option(help="16 hex digits; see the device's status.")]
From = Annotated[int, typer.Option("--from", min=0, max=LAST_SEQ, help="First seq.")]
To = Annotated[int, typer.Option("--to", min=0, max=LAST_SEQ, help="Last seq, included.")]
MissingOnly = Annotated[
    bool, typer.Option("--missing", help="All that the platform can tell it does not have.")
]
Wait = Annotated[
    float, typer.Option(help="Seconds to wait for the device; 0: order it and leave.")
]


def resend(
    name: Name,
    *,
    stream: Stream = "",
    first: From = 0,
    last: To = LAST_SEQ,
    missing_only: MissingOnly = False,
    wait: Wait = 0.0,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Order a device to send epochs again, acknowledged or not; each is stored once.

    Name a --stream, and --from and --to if not all of it; or say --missing, as after a restore
    of the database. A device that is away gets the order when it comes, within a week.
    """
    device = DeviceId.parse(name)
    ranges, overwritten = _ranges(var, device, stream, (first, last), missing_only=missing_only)
    with opened(var) as connection:
        ids = commands.order_resend(device.tenant, connection, device.device, ranges)
    progress(f"{len(ids)} ranges ordered from {name}")
    told = _await(var, device, ids, ranges, seconds=wait)
    _report(told, ranges, overwritten, as_json=json)
    if wait and any(one.state != "done" for one in told):
        raise typer.Exit(1)


def _ranges(
    var: Path, device: DeviceId, stream: str, ends: tuple[int, int], *, missing_only: bool
) -> tuple[list[Range], int]:
    if missing_only == bool(stream):
        message = "neither or both of --stream and --missing are given"
        raise ConfigurationError(message, hint="say which epochs: one of the two")
    if missing_only:
        with opened(var) as connection:
            found = missing.find(device.tenant, connection, device.device)
        return found.ranges, found.overwritten
    try:
        number = int(stream, 16)
    except ValueError:
        number = -1
    if len(stream) != commands.STREAM_DIGITS or number < 0 or ends[0] > ends[1]:
        message = f"{stream!r} from {ends[0]} to {ends[1]} is no range of a stream"
        raise ConfigurationError(
            message, hint="a stream is 16 hex digits, --to not below --from"
        )
    return [Range(number, *ends)], 0


def _await(
    var: Path, device: DeviceId, ids: Sequence[UUID], ranges: Sequence[Range], *, seconds: float
) -> list[Command]:
    """Return the commands once all are answered, or when the time is over."""
    deadline = time.monotonic() + seconds
    before = ""
    while True:
        with opened(var) as connection:
            told = commands.list_of(device.tenant, connection, device.device, ids)
            answered = sum(one.state != "pending" for one in told)
            if answered == len(told) or time.monotonic() >= deadline:
                return told
            epochs = missing.stored(device.tenant, connection, device.device, ranges)
        text = f"{answered} of {len(told)} ranges answered, {epochs} of their epochs are stored"
        if text != before:
            progress(text)
            before = text
        time.sleep(LOOK_S)


def _report(
    told: Sequence[Command], ranges: Sequence[Range], overwritten: int, *, as_json: bool
) -> None:
    if as_json:
        print_json({"commands": [_plain(one) for one in told], "overwritten": overwritten})
        return
    if overwritten:
        out.print(f"{overwritten} seqs are gone: the device's spool has overwritten them")
    if not ranges:
        out.print("nothing is missing that the platform could know of")
    for one in told:
        body, detail = one.body, one.detail or {}
        what = ", ".join(f"{key} {value}" for key, value in detail.items())
        place = f"{body['stream']} {body['from']} to {body['to']}"
        out.print(f"{place}: {one.state}{', ' if what else ''}{what}", markup=False)


def _plain(one: Command) -> dict[str, Any]:
    times = ("created_at", "sent_at", "answered_at")
    plain = asdict(one)
    plain |= {name: plain[name] and plain[name].isoformat() for name in times}
    return plain | {"id": str(one.id)}
