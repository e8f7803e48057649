"""``noctis letter``: messages that could not be understood, and why."""

import string
from typing import Annotated, Any, Final

import typer

from cli.completion import TenantName
from cli.local import DEFAULT_VAR, Var, opened
from cli.nouns.documents import plain
from cli.output import Json, out, print_json, print_rows
from noctis.errors import ConfigurationError
from noctis.storage import dead_letters
from noctis.storage.dead_letters import DeadLetter

__all__ = ["app"]

app: Final = typer.Typer(help="Messages that could not be understood.", no_args_is_help=True)

MOST: Final = 1000
SHOWN_BYTES: Final = 256
PRINTABLE: Final = frozenset(string.printable.split()[0] + " ")
DIGITS: Final = 8
WHY: Final = {
    "length": "the message is cut short or too long: a proxy, or a firmware of another version",
    "magic": "it is no frame of ours: something else publishes on the device's topic",
    "version": "the device speaks a version of the protocol that this platform does not read",
    "crc": "bytes were changed on the way, or the device's memory fails",
    "slot_crc": "a slot of the device's flash is damaged",
    "slot_kind": "the device's spool is damaged, or its firmware is at fault",
    "json": "the document is not of the protocol's shape: a firmware of another version",
    "topic": "the topic is not the device's own: its name or its shard is wrong",
    "unknown_device": "nobody enrolled that device here, or it was erased",
    "revoked_device": "the device is revoked; what it still sends is not stored",
    "run_differs": "a run of that number is known with other times: a copied flash",
    "run_inside": "a run begins among the epochs of another one: a copied flash",
    "poison": "the database refuses this very message; its log says why",
    "foreign_stream": "the stream belongs to another device: a copied flash; claim it anew",
    "conflict": "two devices write one stream, or a device's memory fails: claim one anew",
    "overflow": "the device sent more than 100 such messages; these are counted only",
}
"""What each reason means, for whoever looks into it."""


@app.command("list")
def list_letters(
    tenant: TenantName,
    *,
    limit: Annotated[int, typer.Option(help="So many at most.", min=1, max=MOST)] = 30,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """List a tenant's dead letters, the latest first."""
    with opened(var) as connection:
        found = dead_letters.list_of(tenant, connection, limit=limit)
    names = ("letter", "device", "reason", "detail", "count", "last_seen")
    rows = [{name: _plain(tenant, it)[name] for name in names} for it in found]
    empty = f"every message of {tenant} was understood"
    print_rows(rows, as_json=json, empty=empty, right=("count",))


@app.command("show")
def show_letter(
    tenant: TenantName,
    letter: Annotated[str, typer.Argument(help="as list shows it, or its beginning")],
    *,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Show a dead letter: what came, why it was not understood, and what that means."""
    with opened(var) as connection:
        kept = dead_letters.list_of(tenant, connection, limit=MOST)
    found = [it for it in kept if letter and it.sha256.hex().startswith(letter.lower())]
    if len(found) != 1:
        message = f"tenant {tenant!r} has {len(found) or 'no'} dead letters {letter!r}"
        raise ConfigurationError(message, hint=f"noctis letter list {tenant} shows them")
    shown = _plain(tenant, found[0])
    if json:
        print_json(shown)
        return
    for key, value in shown.items():
        if key != "payload":
            out.print(f"{key.replace('_', ' '):<11} {value}", markup=False, soft_wrap=True)
    for line in _dump(found[0].payload[:SHOWN_BYTES]):
        out.print(f"  {line}", markup=False, soft_wrap=True)
    if len(found[0].payload) > SHOWN_BYTES:
        out.print(f"  … of {len(found[0].payload)} bytes; --json has all that is kept")


def _plain(tenant: str, it: DeadLetter) -> dict[str, Any]:
    return {
        "letter": it.sha256.hex()[:DIGITS] or "-",
        "device": f"{tenant}/{it.device}",
        "topic": it.topic,
        "reason": it.reason,
        "detail": it.detail,
        "means": WHY.get(it.reason, "see the detail"),
        "count": it.count,
        "first_seen": plain(it.first_seen),
        "last_seen": plain(it.last_seen),
        "payload": it.payload.hex(),
    }


def _dump(payload: bytes) -> list[str]:
    """Return lines of 16 bytes: offset, hexadecimal, and what of it is text."""
    parts = [(at, payload[at : at + 16]) for at in range(0, len(payload), 16)]
    return [f"{at:04x}  {part.hex(' '):<47}  {_text(part)}" for at, part in parts]


def _text(part: bytes) -> str:
    return "".join(chr(byte) if chr(byte) in PRINTABLE else "." for byte in part)
