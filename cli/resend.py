"""``noctis device resend``: have a device send again what the platform does not have."""

import time
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from cli.local import DEFAULT_VAR, Var
from cli.nouns.care import Care
from cli.nouns.documents import Document
from cli.nouns.platform import platform
from cli.output import Json, out, print_json, progress
from cli.profiles import ProfileOption
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId
from noctis.storage.commands import STREAM_DIGITS, Range

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
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Order a device to send epochs again, acknowledged or not; each is stored once.

    Name a --stream, and --from and --to if not all of it; or say --missing, as after a restore
    of the database. A device that is away gets the order when it comes, within a week.
    """
    device = DeviceId.parse(name)
    wanted = _range(stream, (first, last), missing_only=missing_only)
    with platform(profile, var) as it:
        made = it.care.resend(device, wanted)
        progress(f"{len(made['commands'])} ranges ordered from {name}")
        made["commands"] = _await(it.care, device, made["commands"], seconds=wait)
    _report(made, as_json=json)
    if wait and any(one["state"] != "done" for one in made["commands"]):
        raise typer.Exit(1)


def _range(stream: str, ends: tuple[int, int], *, missing_only: bool) -> Range | None:
    if missing_only == bool(stream):
        message = "neither or both of --stream and --missing are given"
        raise ConfigurationError(message, hint="say which epochs: one of the two")
    if missing_only:
        return None
    try:
        number = int(stream, 16)
    except ValueError:
        number = -1
    if len(stream) != STREAM_DIGITS or number < 0 or ends[0] > ends[1]:
        message = f"{stream!r} from {ends[0]} to {ends[1]} is no range of a stream"
        raise ConfigurationError(
            message, hint="a stream is 16 hex digits, --to not below --from"
        )
    return Range(number, *ends)


def _await(
    care: Care, device: DeviceId, made: list[Document], *, seconds: float
) -> list[Document]:
    """Return the commands once all are answered, or when the time is over."""
    deadline = time.monotonic() + seconds
    ids, before = [one["id"] for one in made], ""
    while True:
        answered = sum(one["state"] != "pending" for one in made)
        text = f"{answered} of {len(made)} ranges answered"
        if made and text != before:
            progress(before := text)
        if answered == len(made) or time.monotonic() >= deadline:
            return made
        time.sleep(LOOK_S)
        made = care.commands(device, ids)


def _report(made: Document, *, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    if made["overwritten"]:
        out.print(
            f"{made['overwritten']} seqs are gone: the device's spool has overwritten them"
        )
    _tell(made["commands"])


def _tell(made: Sequence[Document]) -> None:
    if not made:
        out.print("nothing is missing that the platform could know of")
    for one in made:
        body, detail = one["body"], one["detail"] or {}
        what = ", ".join(f"{key} {value}" for key, value in detail.items())
        place = f"{body['stream']} {body['from']} to {body['to']}"
        out.print(f"{place}: {one['state']}{', ' if what else ''}{what}", markup=False)
