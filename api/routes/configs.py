"""What a device is to be set to, and what it says that it follows: its shadow."""

import json
import re
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response, Security
from pydantic import BaseModel, Field, SkipValidation

from api import etags
from api.bodies import Body
from api.deps import caller, database
from api.names import DeviceName
from api.problems import documented, invalid
from api.routes.provisioning import check_active
from api.scopes import DEVICES_READ, DEVICES_WRITE
from noctis.identity import Principal
from noctis.status import Status
from noctis.storage import configs, devices, reports
from noctis.storage.database import Connection, Database

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/devices/{device:name}",
    tags=["devices"],
    responses=documented(401, 403, 404, 422, 503, 504),
)
Store = Annotated[Database, Depends(database)]
LONGEST: Final = 480
"""Characters of a configuration as JSON: with its version, what a device's parser reads."""

_KEY: Final = re.compile("[a-z][a-z0-9_]{0,31}")
_WORD: Final = re.compile(r"[ -!#-\[\]-~]{0,64}")
_MOST: Final = 1 << 32
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
    status: Status


class Shadow(BaseModel):
    """A device's configuration, as it is desired and as it is reported."""

    version: int = Field(description="rises with each change; 0: nothing was ever desired")
    desired: dict[str, Value] = Field(examples=[{"led": False, "report_s": 300}])
    changed_at: datetime | None
    reported: Reported | None = Field(description="null: it never came online")
    in_force: bool = Field(description="whether the device says that it follows this version")


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
    responses=documented(409, 412, 428),
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

    The broker keeps it for the device (retained) within a second or two. Which names it knows
    is the firmware's affair: `reported.version` tells which configuration it follows.
    """
    _check(wanted.desired)

    def work(connection: Connection) -> Shadow:
        check_active(devices.get(who.tenant, connection, device))
        known = configs.get(who.tenant, connection, device, to_change=True)
        etags.check(if_match, _etag(known.version))
        configs.put(who.tenant, connection, device, wanted.desired)
        return _shadow(who, connection, device)

    shadow = await store.call(work)
    response.headers["ETag"] = _etag(shadow.version)
    return shadow


def _check(desired: dict[str, Value]) -> None:
    """Let pass what a device can read: it reads a configuration as strictly as a command."""
    for name, value in desired.items():
        if not _KEY.fullmatch(name) or name == "version":
            detail = "a name begins with a letter, has a-z, 0-9 and _, and is not 'version'"
            raise invalid(("body", "desired", name), detail)
        if not _is_plain(value):
            detail = "is no bool, no whole number below 2^32 and no short plain string"
            raise invalid(("body", "desired", name), detail)
    length = len(json.dumps(desired, separators=(",", ":")))
    if length > LONGEST:
        raise invalid(("body", "desired"), f"{length} characters; {LONGEST} are the most")


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return _WORD.fullmatch(value) is not None
    return isinstance(value, bool) or (isinstance(value, int) and 0 <= value < _MOST)


def _shadow(who: Principal, connection: Connection, device: str) -> Shadow:
    known = configs.get(who.tenant, connection, device)
    report = reports.last(who.tenant, connection, device)
    reported = None
    if report is not None:
        status, at = report
        reported = Reported(at=at, version=status.config, status=status)
    return Shadow(
        version=known.version,
        desired=known.body,
        changed_at=known.changed_at,
        reported=reported,
        in_force=reported is not None and reported.version == known.version,
    )


def _etag(version: int) -> str:
    return f'"{version}"'
