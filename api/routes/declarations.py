"""A person, or a laboratory, says that there was a recording: from when to when."""

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Response
from pydantic import ConfigDict, Field, JsonValue

from api.bodies import Body, Line
from api.declaring import Declared, Moment, overlaps, span_of
from api.names import NAME
from api.problems import documented
from api.routes.recordings import NOTE, Recording, Store, Writer, etag_of, shown
from companion import declared
from companion.declared import OverlapError
from noctis.storage.database import Connection
from noctis.storage.recordings import Recording as Found

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/recordings",
    tags=["recordings"],
    responses=documented(401, 403, 404, 409, 422, 503, 504, "overlap"),
)
_EXAMPLE: Final[dict[str, JsonValue]] = {
    "device": "bedroom",
    "kind": "study",
    "started_at": "2026-03-01T22:00:00Z",
    "ended_at": "2026-03-02T06:30:00Z",
    "note": "first night with the mask",
}


class NewRecording(Body):
    """What is to be a recording of a device, whatever nights are found in it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    device: str = Field(pattern=NAME, examples=["bedroom"])
    kind: Declared = "night"
    started_at: Moment
    ended_at: Moment = Field(
        description="a whole number of epochs of 30 s later, 5 minutes to 48 hours; it may be "
        "up to a week ahead"
    )
    note: Annotated[str, Field(max_length=2000, pattern=NOTE)] | None = None
    tags: Annotated[list[Annotated[Line, Field(min_length=1)]], Field(max_length=16)] = Field(
        [], examples=[["mask"]]
    )


@router.post(
    "",
    operation_id="createRecording",
    summary="Declare a recording",
    status_code=201,
    responses={200: {"model": Recording, "description": "It was declared already"}},
)
async def create_recording(
    wanted: NewRecording, who: Writer, store: Store, response: Response
) -> Recording:
    """Make a recording of all that a device sends from one moment to another.

    It is read from what is stored already, and again whenever more comes. Nights that are found
    stay as they are. The same again is answered with 200 and what is there; another one of that
    kind that overlaps it is a 409.
    """
    now = datetime.now(UTC)
    span = span_of(wanted.kind, wanted.started_at, wanted.ended_at, now)

    def work(connection: Connection) -> tuple[Found, bool]:
        return declared.declare(
            who.tenant,
            connection,
            wanted.device,
            span,
            by=who.subject,
            now=now,
            note=wanted.note,
            tags=wanted.tags,
        )

    try:
        made, is_new = await store.call(work)
    except OverlapError as error:
        raise overlaps(error) from error
    if not is_new:
        response.status_code = 200
    response.headers["Location"] = f"/v1/recordings/{made.id}"
    response.headers["ETag"] = etag_of(made)
    return shown(made)
