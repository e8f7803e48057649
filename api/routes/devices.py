"""The tenant's devices."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Security
from pydantic import BaseModel, Field, TypeAdapter

from api.deps import caller, database
from api.names import DeviceName
from api.paging import MAX_PAGE_SIZE, PageSize, PageToken, next_token, position_of
from api.problems import documented
from api.scopes import DEVICES_READ
from noctis.identity import Principal
from noctis.status import Status
from noctis.storage import devices, reports
from noctis.storage.database import Connection, Database

__all__ = ["Device", "router", "shown"]

router = APIRouter(
    prefix="/v1/devices",
    tags=["devices"],
    responses=documented(401, 403, 422, 503, 504),
)
_BY_NAME: Final = TypeAdapter(tuple[str])


class Device(BaseModel):
    """A device of the tenant."""

    name: str = Field(examples=["bedroom"])
    time_zone: str = Field(description="IANA name", examples=["Europe/Berlin"])
    created_at: datetime
    revoked_at: datetime | None = Field(description="null while it may send")


class Report(BaseModel):
    """What a device last said of itself, and when."""

    at: datetime
    status: Status


class DeviceDetail(Device):
    """A device, and how it is."""

    reported: Report | None = Field(description="null: it never came online")


class DevicePage(BaseModel):
    """Devices by name."""

    devices: list[DeviceDetail]
    next_page_token: str | None = Field(description="null on the last page")


@router.get(
    "",
    operation_id="listDevices",
    summary="List the tenant's devices",
    responses=documented(400),
)
async def list_devices(
    who: Annotated[Principal, Security(caller, scopes=[DEVICES_READ])],
    store: Annotated[Database, Depends(database)],
    page_size: PageSize = 100,
    page_token: PageToken = None,
) -> DevicePage:
    """Return the devices by name, those that were revoked too."""
    [after] = position_of(page_token, _BY_NAME) if page_token else [""]
    size = min(page_size, MAX_PAGE_SIZE)

    def work(connection: Connection) -> tuple[list[DeviceDetail], bool]:
        found = devices.list_of(who.tenant, connection, after=after, limit=size + 1)
        page = found[:size]
        told = reports.newest(who.tenant, connection, [each.name for each in page])
        return [_detail(each, told.get(each.name)) for each in page], len(found) > size

    page, more = await store.read(work)
    return DevicePage(
        devices=page, next_page_token=next_token([page[-1].name]) if more else None
    )


@router.get(
    "/{device:name}",
    operation_id="getDevice",
    summary="Get a device",
    responses=documented(404),
)
async def get_device(
    device: DeviceName,
    who: Annotated[Principal, Security(caller, scopes=[DEVICES_READ])],
    store: Annotated[Database, Depends(database)],
) -> DeviceDetail:
    """Return one of the tenant's devices; another tenant's is not found."""

    def work(connection: Connection) -> DeviceDetail:
        known = devices.get(who.tenant, connection, device)
        return _detail(known, reports.last(who.tenant, connection, device))

    return await store.read(work)


def _detail(known: devices.Device, told: tuple[Status, datetime] | None) -> DeviceDetail:
    report = None if told is None else Report(status=told[0], at=told[1])
    return DeviceDetail(**shown(known).model_dump(), reported=report)


def shown(known: devices.Device) -> Device:
    """Return a device as callers see it."""
    return Device(
        name=known.name,
        time_zone=known.time_zone,
        created_at=known.created_at,
        revoked_at=known.revoked_at,
    )
