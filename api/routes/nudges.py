"""What a person asks of a device: to restart, to show which one it is, to tell its log."""

from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Security
from pydantic import BaseModel, Field, StrictInt, TypeAdapter

from api.auditing import record
from api.bodies import Body
from api.deps import caller, database
from api.names import DeviceName
from api.paging import MAX_PAGE_SIZE, PageSize, PageToken, next_token, position_of
from api.problems import documented
from api.routes.orders import Command
from api.routes.provisioning import check_active
from api.scopes import DEVICES_READ, DEVICES_WRITE
from noctis.identity import Principal
from noctis.storage import commands, devices, logs
from noctis.storage.commands import Nudge
from noctis.storage.database import Connection, Database

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/devices/{device:name}",
    tags=["devices"],
    responses=documented(401, 403, 404, 422, 503, 504),
)
Reader = Annotated[Principal, Security(caller, scopes=[DEVICES_READ])]
Writer = Annotated[Principal, Security(caller, scopes=[DEVICES_WRITE])]
Store = Annotated[Database, Depends(database)]
_ID: Final = TypeAdapter(tuple[int])


class Identify(Body):
    """How long a device is to show which one it is."""

    seconds: Annotated[StrictInt, Field(ge=0, le=600, examples=[30])] = Field(
        default=30, description="0: no longer"
    )


class LogLine(BaseModel):
    """A line of a device's log."""

    at: datetime = Field(
        description="by the moment of receipt and the device's time since boot"
    )
    level: Literal["error", "warning", "info", "debug"]
    text: str = Field(examples=["boot 3 of noctis-device 0.1.0 after power_on"])
    times: int = Field(description="it was said so often in a row, the last time then")
    boot: int = Field(description="the boot of the device, from 1")
    number: int = Field(description="the line's since that boot, from 1; others were dropped")


class LogPage(BaseModel):
    """Lines, the newest first."""

    lines: list[LogLine]
    next_page_token: str | None = Field(description="null on the last page")


@router.post(
    ":reboot",
    operation_id="rebootDevice",
    summary="Have a device restart",
    status_code=202,
    responses=documented(409, "revoked"),
)
async def reboot(device: DeviceName, who: Writer, store: Store) -> Command:
    """Order a device to restart: once, however often the order reaches it.

    It answers after its boot; one that is away for a quarter of an hour is not restarted.
    """
    return await _order(device, who, store, "reboot", None)


@router.post(
    ":identify",
    operation_id="identifyDevice",
    summary="Have a device show which one it is",
    status_code=202,
    responses=documented(409, "revoked"),
)
async def identify(device: DeviceName, wanted: Identify, who: Writer, store: Store) -> Command:
    """Order a device to blink; one that is away for a quarter of an hour does not."""
    return await _order(device, who, store, "identify", wanted.seconds)


@router.get(
    "/logs",
    operation_id="listDeviceLogs",
    summary="Read a device's log",
    responses=documented(400),
)
async def list_logs(
    device: DeviceName,
    who: Reader,
    store: Store,
    *,
    level: Annotated[
        Literal["error", "warning", "info", "debug"],
        Query(description="the least grave lines wanted"),
    ] = "debug",
    page_size: PageSize = 100,
    page_token: PageToken = None,
) -> LogPage:
    """Return what a device said lately, the newest first: its last 1,000 lines of 30 days."""
    before = position_of(page_token, _ID, device, level)[0] if page_token else None
    size = min(page_size, MAX_PAGE_SIZE)
    found = await store.read(
        lambda it: logs.list_of(
            who.tenant, it, device, level=level, before=before, limit=size + 1
        )
    )
    page = found[:size]
    token = next_token([page[-1].id], device, level) if len(found) > size else None
    lines = [LogLine.model_validate(line, from_attributes=True) for line in page]
    return LogPage(lines=lines, next_page_token=token)


async def _order(
    device: str, who: Principal, store: Database, what: Nudge, seconds: int | None
) -> Command:
    def work(connection: Connection) -> Command:
        check_active(devices.get(who.tenant, connection, device))
        made = commands.order(who.tenant, connection, device, what, seconds=seconds)
        record(who, connection, "device_ordered", f"{who.tenant}/{device}", order=what)
        [found] = commands.list_of(who.tenant, connection, device, [made])
        return Command.model_validate(found, from_attributes=True)

    return await store.call(work)
