"""Devices come, get another password or another place, and go."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response, Security
from pydantic import Field

from api.auditing import record
from api.bodies import Body, Line
from api.certifying import (
    Credential,
    Password,
    Wanted,
    WantedPassword,
    certify,
    give_password,
)
from api.deps import caller, database, settings
from api.names import NAME, DeviceName
from api.problems import ProblemError, documented, invalid
from api.routes.devices import Device, shown
from api.scopes import DEVICES_WRITE
from noctis.errors import IdentityError
from noctis.identity import DeviceId, Principal
from noctis.settings import Settings
from noctis.storage import accounts, devices, quotas
from noctis.storage.database import Connection, Database

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/devices",
    tags=["devices"],
    responses=documented(401, 403, 422, 503, 504),
)

Zone = Annotated[
    Line,
    Field(
        description="IANA name; tells which evening a night is of", examples=["Europe/Berlin"]
    ),
]
Writer = Annotated[Principal, Security(caller, scopes=[DEVICES_WRITE])]
Store = Annotated[Database, Depends(database)]


class NewDevice(Body):
    """A device to be."""

    name: str = Field(pattern=NAME, examples=["bedroom"])
    time_zone: Zone = "UTC"
    credential: Wanted = Field(
        default_factory=WantedPassword,
        description="how it proves who it is; `kind` tells which way",
    )


class ProvisionedDevice(Device):
    """A device with its first credential."""

    credential: Credential


class Rotation(Body):
    """What a device is to have instead."""

    credential: Wanted = Field(default_factory=WantedPassword)


class DeviceChange(Body):
    """What is to be different."""

    time_zone: Zone


@router.post(
    "",
    operation_id="createDevice",
    summary="Provision a device",
    status_code=201,
    responses=documented(409, "exists", "no-ca", "quota"),
)
async def create_device(
    wanted: NewDevice,
    who: Writer,
    store: Store,
    chosen: Annotated[Settings, Depends(settings)],
    response: Response,
) -> ProvisionedDevice:
    """Add a device with an account at the broker, which knows it within a second or two.

    Its password is in this answer and nowhere else; with a certificate request there is none,
    and what it connects with never leaves the device. Where the answer was lost, so that the
    name is taken (409), `:rotate` makes another one.
    """

    def work(connection: Connection) -> tuple[devices.Device, Credential]:
        quotas.check_devices(who.tenant, connection, chosen.api_devices or None)
        try:
            made = devices.add(who.tenant, connection, wanted.name, time_zone=wanted.time_zone)
        except IdentityError as error:
            raise invalid(("body", "time_zone"), error.message) from error
        username = str(DeviceId(who.tenant, wanted.name))
        secret = accounts.add(who.tenant, connection, username, "device")
        record(who, connection, "device_added", username, kind=wanted.credential.kind)
        if wanted.credential.kind == "password":
            return made, Password(username=username, password=secret)
        request = wanted.credential.request  # and nobody knows the password
        return made, certify(who, connection, wanted.name, request, chosen)

    made, credential = await store.call(work)
    response.headers["Location"] = f"/v1/devices/{made.name}"
    return ProvisionedDevice(**shown(made).model_dump(), credential=credential)


@router.patch(
    "/{device:name}",
    operation_id="updateDevice",
    summary="Change a device",
    responses=documented(404),
)
async def update_device(
    device: DeviceName, change: DeviceChange, who: Writer, store: Store
) -> Device:
    """Change where a device stands. Nights that are known keep the zone they were found in."""

    def work(connection: Connection) -> devices.Device:
        try:
            return devices.set_time_zone(who.tenant, connection, device, change.time_zone)
        except IdentityError as error:
            raise invalid(("body", "time_zone"), error.message) from error

    return shown(await store.call(work))


@router.post(
    "/{device:name}:revoke",
    operation_id="revokeDevice",
    summary="Revoke a device for good",
    responses=documented(404),
)
async def revoke_device(device: DeviceName, who: Writer, store: Store) -> Device:
    """Take a device's account away; the broker ends its connection within a second or two.

    What it sent stays; `:erase` takes that away too. Again: nothing changes.
    """

    def work(connection: Connection) -> devices.Device:
        known = devices.revoke(who.tenant, connection, device)
        record(who, connection, "device_revoked", str(DeviceId(who.tenant, device)))
        return known

    return shown(await store.call(work))


@router.post(
    "/{device:name}:rotate",
    operation_id="rotateDeviceCredential",
    summary="Give a device another password or certificate",
    responses=documented(404, 409, "revoked", "no-ca"),
)
async def rotate_device(
    device: DeviceName,
    who: Writer,
    store: Store,
    chosen: Annotated[Settings, Depends(settings)],
    wanted: Rotation | None = None,
) -> Credential:
    """Make another password; what was before is worth nothing from now on.

    The broker ends the device's connection within a second or two, and takes nothing else.
    With a certificate request the device gets another certificate: its password is worth
    nothing from now on, the certificate before it until the device has connected with the new
    one, so that a lost answer locks nobody out.
    """

    def work(connection: Connection) -> Credential:
        check_active(devices.get(who.tenant, connection, device))
        username = str(DeviceId(who.tenant, device))
        record(who, connection, "device_rotated", username)
        if wanted is None or wanted.credential.kind == "password":
            return give_password(who, connection, device)
        accounts.set_password(who.tenant, connection, username)  # which nobody knows
        return certify(who, connection, device, wanted.credential.request, chosen)

    return await store.call(work)


def check_active(known: devices.Device) -> None:
    """Raise ProblemError 409 for a device that is revoked."""
    if known.revoked_at is not None:
        detail = f"device {known.name!r} is revoked: add it under a new name"
        raise ProblemError(409, detail, kind="revoked")
