"""Firmware: images for devices that know their hash, and how far a device's update is."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request, Security
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import override

from api.deps import caller, database, settings
from api.names import DeviceName
from api.problems import ProblemError, documented, respond
from api.scopes import DEVICES_READ
from noctis.identity import Principal
from noctis.settings import Settings
from noctis.storage import devices, rollouts
from noctis.storage.database import Connection, Database

__all__ = ["get_firmware_image", "router"]

router = APIRouter(tags=["devices"])
Sha256 = Annotated[
    str, Path(pattern="^[0-9a-f]{64}$", examples=["0" * 64], description="of the image")
]
FOREVER: Final = "public, max-age=31536000, immutable"


class Update(BaseModel):
    """How far a device is with the firmware that it was offered last."""

    version: str = Field(description="that it was offered", examples=["0.2.0"])
    state: str = Field(
        description="offered, downloading, verifying, installed, pending (on trial), valid, "
        "rolled_back, refused, silent or withdrawn",
        examples=["valid"],
    )
    percent: int | None = Field(description="of a download")
    reason: str | None = Field(description="why it was refused or rolled back")
    running: str | None = Field(description="the version that it last said it runs")
    reported_at: datetime | None


class Updates(BaseModel):
    """The newest update of a device; null: it was never offered one."""

    update: Update | None


class Image(FileResponse):
    """A file, or a range of it; a range that makes no sense is a problem like any other."""

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused: list[Message] = []

        async def send_unless_refused(message: Message) -> None:
            if message.get("status", 0) >= HTTPStatus.BAD_REQUEST:
                refused.append(message)
            if not refused:
                await send(message)

        await super().__call__(scope, receive, send_unless_refused)
        if refused:
            status = refused[0]["status"]
            known = Headers(raw=refused[0]["headers"]).get("content-range")
            headers = {"Content-Range": known} if known else {}
            problem = ProblemError(status, "Range names no part of it", headers=headers)
            await respond(Request(scope), problem)(scope, receive, send)


@router.get(
    "/v1/firmware/images/{sha256}",
    operation_id="getFirmwareImage",
    summary="Fetch an image of firmware",
    response_class=FileResponse,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "the image"},
        206: {"description": "a range of it"},
        **documented(400, 404, 416, 422),
    },
)
async def get_firmware_image(
    sha256: Sha256, known: Annotated[Settings, Depends(settings)]
) -> FileResponse:
    """Return an image, or a range of it, by its SHA-256.

    Nobody logs in: who knows the hash was offered the image, or has it. What it is worth a
    device finds by the signature and the hash alone.
    """
    path = known.firmware / sha256
    if not path.is_file():
        raise ProblemError(404, f"there is no image {sha256}")
    headers = {"Cache-Control": FOREVER}
    return Image(path, media_type="application/octet-stream", headers=headers)


@router.get(
    "/v1/devices/{device:name}/update",
    operation_id="getDeviceUpdate",
    summary="Get how far a device's update is",
    responses=documented(401, 403, 404, 422, 503, 504),
)
async def get_device_update(
    device: DeviceName,
    who: Annotated[Principal, Security(caller, scopes=[DEVICES_READ])],
    store: Annotated[Database, Depends(database)],
) -> Updates:
    """Return what a device was offered last, and what it said of it."""

    def work(connection: Connection) -> Updates:
        devices.get(who.tenant, connection, device)
        found = rollouts.last_of(who.tenant, connection, device)
        if found is None:
            return Updates(update=None)
        return Updates(
            update=Update(
                version=found.version,
                state=found.state,
                percent=found.percent,
                reason=found.reason,
                running=found.running,
                reported_at=found.reported_at,
            )
        )

    return await store.call(work)
