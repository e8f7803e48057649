"""What devices are told to do, and what is done about them: send again, be erased."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response, Security
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, TypeAdapter

from api.auditing import record
from api.bodies import Body
from api.deps import caller, database
from api.names import DeviceName
from api.paging import MAX_PAGE_SIZE, PageSize, PageToken, next_token, position_of
from api.problems import documented, invalid
from api.routes.provisioning import check_active
from api.scopes import DEVICES_READ, DEVICES_WRITE
from noctis.identity import DeviceId, Principal
from noctis.storage import commands, devices, erasures, missing
from noctis.storage.commands import Range
from noctis.storage.database import Connection, Database
from noctis.storage.errors import NotFoundError

__all__ = ["router"]

router = APIRouter(
    prefix="/v1",
    tags=["devices"],
    responses=documented(401, 403, 404, 422, 503, 504),
)
Reader = Annotated[Principal, Security(caller, scopes=[DEVICES_READ])]
Writer = Annotated[Principal, Security(caller, scopes=[DEVICES_WRITE])]
Store = Annotated[Database, Depends(database)]
Seq = Annotated[StrictInt, Field(ge=0, lt=1 << 32)]
Key = Annotated[int, Path(ge=1, lt=1 << 31)]
_BY_NUMBER: Final = TypeAdapter(tuple[Annotated[int, Field(gt=0, lt=1 << 63)]])
LOOK_S: Final = 20.0  # at all that is stored of a device
MOST: Final = 1000


class SeqRange(Body):
    """Sequence numbers of a stream, both ends included."""

    stream: str = Field(pattern="^[0-9a-f]{16}$", examples=["00f1e2d3c4b5a697"])
    first: Seq = 0
    last: Seq = (1 << 32) - 1


class Resend(Body):
    """What is to be sent again: these `ranges`, or all that is `missing`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"missing": True}]})

    ranges: Annotated[list[SeqRange], Field(min_length=1, max_length=100)] | None = None
    missing: StrictBool = Field(
        default=False, description="all that the platform can tell it does not have"
    )


class Command(BaseModel):
    """A command to a device."""

    id: UUID
    body: dict[str, Any]
    state: Literal["pending", "done", "refused", "expired"] = Field(
        description="a device that is away gets it when it comes, within a week"
    )
    detail: dict[str, Any] | None = Field(description="what the device answered")
    created_at: datetime
    sent_at: datetime | None
    answered_at: datetime | None


class CommandPage(BaseModel):
    """Commands, the newest first."""

    commands: list[Command]
    next_page_token: str | None = Field(description="null on the last page")


class Ordered(BaseModel):
    """Commands that are under way."""

    commands: list[Command]
    overwritten: int = Field(description="seqs that are missing and gone from the device, too")


class Erase(Body):
    """How a device is to be erased."""

    keep_device: StrictBool = Field(
        default=False,
        description="it stays enrolled, for a new stream once its flash is erased",
    )


class Erasure(BaseModel):
    """An erasure: all that is stored of a device goes, for good."""

    id: int
    state: Literal["requested", "erased", "done"] = Field(
        description="`erased`: a second look is to come, five minutes later"
    )
    kind: Literal["device", "tenant"]
    keep_device: bool
    requested_at: datetime
    erased_at: datetime | None
    done_at: datetime | None
    counts: dict[str, int] = Field(description="rows that went, by table")


@router.post(
    "/devices/{device:name}:resend",
    operation_id="resendEpochs",
    summary="Have a device send epochs again",
    status_code=202,
    responses=documented(409, "revoked"),
)
async def resend(device: DeviceName, wanted: Resend, who: Writer, store: Store) -> Ordered:
    """Order a device to send epochs again, acknowledged or not; each is stored once.

    `GET …/commands/{id}` tells what came of each command.
    """
    if (wanted.ranges is None) != wanted.missing:
        raise invalid(("body",), "name ranges, or say missing: one of the two")

    def work(connection: Connection) -> Ordered:
        check_active(devices.get(who.tenant, connection, device))
        asked, overwritten = _ranges(wanted.ranges), 0
        if wanted.missing:
            found = missing.find(who.tenant, connection, device)
            asked, overwritten = found.ranges[:MOST], found.overwritten
        ids = commands.order_resend(who.tenant, connection, device, asked)
        record(who, connection, "device_ordered", f"{who.tenant}/{device}", order="resend")
        made = commands.list_of(who.tenant, connection, device, ids)
        return Ordered(commands=[_command(it) for it in made], overwritten=overwritten)

    return await store.call(work, within_s=LOOK_S if wanted.missing else None)


@router.get(
    "/devices/{device:name}/commands",
    operation_id="listCommands",
    summary="List a device's commands",
    responses=documented(400),
)
async def list_commands(
    device: DeviceName,
    who: Reader,
    store: Store,
    page_size: PageSize = 100,
    page_token: PageToken = None,
) -> CommandPage:
    """Return what a device was told to do, the newest first, and what it answered."""
    before = position_of(page_token, _BY_NUMBER, device)[0] if page_token else None
    size = min(page_size, MAX_PAGE_SIZE)
    found = await store.call(
        lambda it: commands.newest(who.tenant, it, device, before=before, limit=size + 1)
    )
    page = found[:size]
    token = next_token([page[-1][0]], device) if len(found) > size else None
    return CommandPage(commands=[_command(it) for _, it in page], next_page_token=token)


@router.get(
    "/devices/{device:name}/commands/{command}",
    operation_id="getCommand",
    summary="Get what came of a command",
)
async def get_command(device: DeviceName, command: UUID, who: Reader, store: Store) -> Command:
    """Return a command and the device's answer."""

    def work(connection: Connection) -> Command:
        found = commands.list_of(who.tenant, connection, device, [command])
        if not found:
            message = f"device {device!r} was given no command {command}"
            raise NotFoundError(message)
        return _command(found[0])

    return await store.call(work)


@router.post(
    "/devices/{device:name}:erase",
    operation_id="eraseDevice",
    summary="Erase a device and all that is stored of it",
    status_code=202,
    responses=documented(409, "exists"),
)
async def erase(
    device: DeviceName, wanted: Erase, who: Writer, store: Store, response: Response
) -> Erasure:
    """Erase everything of a device, everywhere, for good: this cannot be taken back.

    At once its streams are closed and its account is revoked; what it sends of them later is
    disposed of. `GET /v1/erasures/{id}` tells how far the rest is.
    """

    def work(connection: Connection) -> erasures.Erasure:
        asked = erasures.request(
            who.tenant, connection, device, by=who.subject, keep_device=wanted.keep_device
        )
        name = str(DeviceId(who.tenant, device))
        record(who, connection, "erasure_requested", name, erasure=asked.id)
        return asked

    made = await store.call(work)
    response.headers["Location"] = f"/v1/erasures/{made.id}"
    return _erasure(made)


@router.get(
    "/erasures/{erasure}", operation_id="getErasure", summary="Get how far an erasure is"
)
async def get_erasure(erasure: Key, who: Reader, store: Store) -> Erasure:
    """Return an erasure of the tenant; it stays to be read, without names, for ever."""
    return _erasure(await store.call(lambda it: erasures.of(who.tenant, it, erasure)))


def _ranges(wanted: list[SeqRange] | None) -> list[Range]:
    for place, one in enumerate(wanted or ()):
        if one.first > one.last:
            raise invalid(("body", "ranges", place, "first"), "is above last")
    return [Range(int(one.stream, 16), one.first, one.last) for one in wanted or ()]


def _command(made: commands.Command) -> Command:
    return Command.model_validate(made, from_attributes=True)


def _erasure(made: erasures.Erasure) -> Erasure:
    return Erasure.model_validate(made, from_attributes=True)
