"""What a device is to be set to, and what it says that it follows: its shadow."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Response, Security
from pydantic import BaseModel, Field, SkipValidation

from api import etags
from api.auditing import record
from api.bodies import Body
from api.deps import caller, database
from api.names import DeviceName
from api.problems import documented, invalid
from api.routes.provisioning import check_active
from api.scopes import DEVICES_READ, DEVICES_WRITE
from noctis.identity import Principal
from noctis.status import ConfigReport, Status
from noctis.storage import config_reports, configs, devices, reports
from noctis.storage.database import Connection, Database

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/devices/{device:name}",
    tags=["devices"],
    responses=documented(401, 403, 404, 422, 503, 504),
)
Store = Annotated[Database, Depends(database)]
Value = bool | int | str


class NewConfig(Body):
    """What a device is to be set to, all of it."""

    desired: dict[str, Annotated[Value, SkipValidation]] = Field(
        description="flat: names of a-z, 0-9 and _, numbers below 2^32, strings of printable "
        "ASCII without quotes and backslashes; 480 characters as JSON at most",
        examples=[{"led": False, "report_s": 300}],
    )


class Reported(BaseModel):
    """What the device last said of itself."""

    at: datetime
    version: int = Field(description="of the configuration that it follows; 0: of none")
    settings: dict[str, Value] | None = Field(
        description="what it is set to, of all that it can be; null: its firmware does not say",
        examples=[{"led": False, "log_level": "info", "report_s": 300}],
    )
    refused: dict[str, str] = Field(
        description="names that it cannot follow, and why: unknown, type or range",
        examples=[{"volume": "unknown"}],
    )
    status: Status


class Shadow(BaseModel):
    """A device's configuration, as it is desired and as it is reported."""

    version: int = Field(description="rises with each change; 0: nothing was ever desired")
    desired: dict[str, Value] = Field(examples=[{"led": False, "report_s": 300}])
    changed_at: datetime | None
    reported: Reported | None = Field(description="null: it never came online")
    in_force: bool = Field(
        description="whether the device says that it follows this version, all of it"
    )


@router.get("/config", operation_id="getDeviceConfig", summary="Get a device's configuration")
async def get_config(
    device: DeviceName,
    who: Annotated[Principal, Security(caller, scopes=[DEVICES_READ])],
    store: Store,
    response: Response,
) -> Shadow:
    """Return what is desired of a device, beside what it last reported."""
    shadow = await store.call(lambda it: _shadow(who, it, device))
    response.headers["ETag"] = _etag(shadow.version)
    return shadow


@router.put(
    "/config",
    operation_id="putDeviceConfig",
    summary="Configure a device",
    responses=documented(409, 412, 428, "revoked"),
)
async def put_config(
    device: DeviceName,
    wanted: NewConfig,
    who: Annotated[Principal, Security(caller, scopes=[DEVICES_WRITE])],
    store: Store,
    response: Response,
    *,
    if_match: etags.IfMatch = None,
) -> Shadow:
    """Say what a device is to be set to; `If-Match` names what that was thought out from.

    The broker keeps it for the device (retained) within a second or two. The device follows
    what it can of it: `reported` tells what that is, and what it refuses, `in_force` whether
    all is as it is desired.
    """
    try:
        configs.check(wanted.desired)
    except configs.UnreadableError as error:
        place = ("body", "desired", *([] if error.name is None else [error.name]))
        raise invalid(place, error.message) from error

    def work(connection: Connection) -> Shadow:
        check_active(devices.get(who.tenant, connection, device))
        known = configs.get(who.tenant, connection, device, to_change=True)
        etags.check(if_match, _etag(known.version))
        made = configs.put(who.tenant, connection, device, wanted.desired)
        if made.version != known.version:
            facts = {"changed": configs.changed(known.body, made.body)}
            record(who, connection, "device_configured", f"{who.tenant}/{device}", **facts)
        return _shadow(who, connection, device)

    shadow = await store.call(work)
    response.headers["ETag"] = _etag(shadow.version)
    return shadow


def _shadow(who: Principal, connection: Connection, device: str) -> Shadow:
    known = configs.get(who.tenant, connection, device)
    report = reports.last(who.tenant, connection, device)
    told = config_reports.last(who.tenant, connection, device)
    reported = None if report is None else _reported(report, told and told[0])
    return Shadow(
        version=known.version,
        desired=known.body,
        changed_at=known.changed_at,
        reported=reported,
        in_force=reported is not None
        and reported.version == known.version
        and not reported.refused,
    )


def _reported(report: tuple[Status, datetime], told: ConfigReport | None) -> Reported:
    """Put together the status and what the device said of its settings, which comes apart."""
    status, at = report
    if told is None:
        return Reported(at=at, version=status.config, settings=None, refused={}, status=status)
    return Reported(
        at=at,
        version=told.version,
        settings=told.settings,
        refused=told.refused,
        status=status,
    )


def _etag(version: int) -> str:
    return f'"{version}"'
