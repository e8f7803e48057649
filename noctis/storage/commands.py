"""Commands to devices: ordered, sent until they are answered, and what came of them.

A device answers each command once it is done or refused. Until then the companion sends it
again, the oldest of a device first and one at a time, because a device does one at a time.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, cast, get_args
from uuid import UUID, uuid4

from sqlalchemy import Connection, Select, case, func, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on, insert

from noctis.errors import StorageError
from noctis.identity import DeviceId
from noctis.status import Result
from noctis.storage.command_models import commands
from noctis.storage.devices import Device
from noctis.storage.devices import get as device_of
from noctis.storage.models import devices, tenants

__all__ = [
    "STREAM_DIGITS",
    "Command",
    "Nudge",
    "Open",
    "Range",
    "answer",
    "expire",
    "list_of",
    "newest",
    "open_commands",
    "order",
    "order_erase",
    "order_resend",
    "sent",
]

LIFETIME: Final = timedelta(days=7)
"""For so long a device may be away; what was not answered by then is ordered anew."""

SOON: Final = timedelta(minutes=15)
"""For so long a person waits for a device to restart or to blink; later it would startle."""

Nudge = Literal["reboot", "identify"]

STREAM_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Range:
    """Sequence numbers ``first`` to ``last``, both included, of a stream."""

    stream: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Command:
    """A command: ``state`` is pending, done, refused or expired; ``detail`` is the answer's."""

    id: UUID
    body: dict[str, Any]
    state: str
    detail: dict[str, Any] | None
    created_at: datetime
    sent_at: datetime | None
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Open:
    """The command that a device is to be sent next; ``attempts``: how often it was."""

    id: UUID
    device: DeviceId
    body: dict[str, Any]
    attempts: int
    sent_at: datetime | None


_COLUMNS: Final = (
    commands.c.id,
    commands.c.body,
    commands.c.state,
    commands.c.detail,
    commands.c.created_at,
    commands.c.sent_at,
    commands.c.answered_at,
)


def order_resend(
    tenant: str, connection: Connection, device: str, ranges: Sequence[Range]
) -> list[UUID]:
    """Order a device to send ranges again; return the commands' ids, in the same order.

    A range that is ordered already and not answered yet is not ordered twice: its id is
    returned. Raises NotFoundError for an unknown device, StorageError for a revoked one.
    """
    known = device_of(tenant, connection, device)
    _check_told(tenant, known)
    pending = {
        _range_of(row.body): cast("UUID", row.id)
        for row in connection.execute(_of_device(known.id).where(_is_open()))
        if row.body["command"] == "resend"
    }
    ids = []
    for one in ranges:
        if one not in pending:
            pending[one] = _add(connection, known.id, _resend(one))
        ids.append(pending[one])
    return ids


def order(
    tenant: str, connection: Connection, device: str, what: Nudge, *, seconds: int | None = None
) -> UUID:
    """Order a device to restart, or to show itself for ``seconds``; return the command's id.

    One that is ordered already and not answered yet is not ordered twice. Raises NotFoundError
    for an unknown device, StorageError for a revoked one.
    """
    known = device_of(tenant, connection, device)
    _check_told(tenant, known)
    body = {"command": what} | ({} if seconds is None else {"seconds": seconds})
    for row in connection.execute(_of_device(known.id).where(_is_open())):
        if row.body == body:
            return cast("UUID", row.id)
    return _add(connection, known.id, body)


def order_erase(connection: Connection, key: int, streams: Collection[int]) -> None:
    """Order the device ``key`` to erase its flash and settings if it is at one of the streams.

    A device that began another stream meanwhile refuses: what is in there now was not meant.
    """
    for stream in streams:
        _add(connection, key, {"command": "erase", "stream": f"{stream:0{STREAM_DIGITS}x}"})


def _check_told(tenant: str, known: Device) -> None:
    if known.revoked_at is not None:
        message = f"device {tenant}/{known.name} is revoked: it cannot be told anything"
        raise StorageError(message, hint="add it under a new name")


def _add(connection: Connection, key: int, body: dict[str, Any]) -> UUID:
    made = uuid4()
    connection.execute(insert(commands).values(id=made, device_id=key, body=body))
    return made


def list_of(
    tenant: str, connection: Connection, device: str, ids: Collection[UUID] | None = None
) -> list[Command]:
    """Return a device's commands in the order they were given; ``ids``: only these."""
    query = _of_device(device_of(tenant, connection, device).id)
    if ids is not None:
        query = query.where(commands.c.id.in_(ids))
    return [Command(*row) for row in connection.execute(query)]


def newest(
    tenant: str, connection: Connection, device: str, *, before: int | None, limit: int
) -> list[tuple[int, Command]]:
    """Return a device's commands with their numbers, the newest first, below ``before``."""
    key = device_of(tenant, connection, device).id
    query = select(commands.c.number, *_COLUMNS).where(commands.c.device_id == key)
    if before is not None:
        query = query.where(commands.c.number < before)
    rows = connection.execute(query.order_by(commands.c.number.desc()).limit(limit))
    return [(row[0], Command(*row[1:])) for row in rows]


def open_commands(connection: Connection) -> list[Open]:
    """Return of each device the oldest command that it has not answered."""
    rows = connection.execute(
        select(
            commands.c.id,
            tenants.c.name.label("tenant"),
            devices.c.name.label("device"),
            commands.c.body,
            commands.c.attempts,
            commands.c.sent_at,
        )
        .ext(distinct_on(commands.c.device_id))
        .join(devices, devices.c.id == commands.c.device_id)
        .join(tenants, tenants.c.id == devices.c.tenant_id)
        .where(_is_open(), devices.c.revoked_at.is_(None))
        .order_by(commands.c.device_id, commands.c.number)
    )
    return [
        Open(row.id, DeviceId(row.tenant, row.device), row.body, row.attempts, row.sent_at)
        for row in rows
    ]


def sent(connection: Connection, ids: Collection[UUID]) -> None:
    """Note that commands were given to the broker."""
    connection.execute(
        update(commands)
        .where(commands.c.id.in_(ids))
        .values(sent_at=func.now(), attempts=commands.c.attempts + 1)
    )


def answer(tenant: str, connection: Connection, device: str, result: Result) -> bool:
    """Note what a device answered; False if it has no such command or answered it before."""
    owner = (
        select(devices.c.id)
        .join(tenants, tenants.c.id == devices.c.tenant_id)
        .where(tenants.c.name == tenant, devices.c.name == device)
        .scalar_subquery()
    )
    done = connection.execute(
        update(commands)
        .where(commands.c.id == result.id, commands.c.device_id == owner, _is_open())
        .values(state=result.state, detail=result.detail, answered_at=func.now())
    )
    return done.rowcount == 1


def expire(connection: Connection) -> int:
    """Give up commands that nobody answered in time; return how many."""
    kind = commands.c.body["command"].astext
    lifetime = case((kind.in_(get_args(Nudge)), SOON), else_=LIFETIME)
    ended = connection.execute(
        update(commands)
        .where(_is_open(), commands.c.created_at < func.now() - lifetime)
        .values(state="expired")
    )
    return ended.rowcount


def _is_open() -> Any:  # noqa: ANN401 - SQLAlchemy's own type of a condition is no better
    return commands.c.state == text("'pending'")  # a constant: the partial index serves it


def _of_device(key: int) -> Select[Any]:
    return select(*_COLUMNS).where(commands.c.device_id == key).order_by(commands.c.number)


def _resend(one: Range) -> dict[str, Any]:
    return {
        "command": "resend",
        "stream": f"{one.stream:0{STREAM_DIGITS}x}",
        "from": one.first,
        "to": one.last,
    }


def _range_of(body: dict[str, Any]) -> Range:
    return Range(int(body["stream"], 16), body["from"], body["to"])
