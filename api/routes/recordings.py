"""Nights: the list, the figures, the hypnogram, and what a person makes of one."""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response, Security
from pydantic import AwareDatetime, BaseModel, Field, StrictBool, TypeAdapter

from api import etags
from api.bodies import Body, Line
from api.declaring import Declared, Kind, Moment, redeclare
from api.deps import caller, database
from api.moments import FIRST, LAST, Day
from api.names import NAME
from api.paging import MAX_PAGE_SIZE, PageSize, PageToken, next_token, position_of
from api.problems import documented, invalid
from api.scopes import RECORDINGS_READ, RECORDINGS_WRITE
from companion import declared
from noctis.identity import Principal
from noctis.storage import recording_changes, recordings
from noctis.storage.database import Connection, Database
from noctis.storage.recording_facts import night_of

__all__ = ["NOTE", "Reader", "Recording", "Store", "Writer", "etag_of", "router", "shown"]

router = APIRouter(
    prefix="/v1/recordings",
    tags=["recordings"],
    responses=documented(401, 403, 422, 503, 504),
)
Reader = Annotated[Principal, Security(caller, scopes=[RECORDINGS_READ])]
Writer = Annotated[Principal, Security(caller, scopes=[RECORDINGS_WRITE])]
Store = Annotated[Database, Depends(database)]
Evening = Annotated[Day | None, Query(ge=FIRST.date(), le=LAST.date(), examples=["2026-03-01"])]
NOTE: Final = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"  # lines and tabs, nothing else odd
_PLACE: Final = TypeAdapter(tuple[AwareDatetime, UUID])


class Recording(BaseModel):
    """A night, or a nap, as it was last found; or what a person declared to be a recording."""

    id: UUID
    device: str = Field(examples=["bedroom"])
    kind: Kind = Field(
        description="`found` in what the device saw, or what a person declared it to be"
    )
    declared_by: str | None = Field(
        description="null where it was found", examples=["user:ann@home"]
    )
    state: Literal["open", "closed", "withdrawn"] = Field(
        description="`open`: it may go on; `withdrawn`: it is no night any more"
    )
    revision: int = Field(description="rises by one whenever what it shows changes")
    evening: date = Field(description="where the device stands, days going from noon to noon")
    time_zone: str = Field(examples=["Europe/Berlin"])
    started_at: datetime = Field(description="of the first epoch in bed, or as declared")
    ended_at: datetime = Field(description="end of the last epoch in bed, or as declared")
    figures: dict[str, float | None] = Field(
        description="minutes, percent and `awakenings` after the AASM manual; null: undefined",
        examples=[{"tib_min": 480.0, "tst_min": 438.5, "efficiency_percent": 91.4}],
    )
    epochs: int = Field(description="that are stored")
    missing: int = Field(description="epochs that are not")
    unstaged: int = Field(description="epochs in bed without a stage")
    moved: int = Field(
        description="epochs whose time another clock than their own tells", examples=[0]
    )
    model: str | None = Field(description="of its last stage", examples=["stager@1"])
    staged_by: str = Field(
        description="`live`, or `night`: anew with all of it in sight, once it had closed",
        examples=["night"],
    )
    replaced_by: UUID | None = Field(description="the recording that took in a withdrawn one")
    revised_at: datetime
    note: str | None = Field(description="a person's own words")
    tags: list[str]
    excluded: bool = Field(description="by a person: not a night to be counted")


class RecordingPage(BaseModel):
    """Nights, the newest first."""

    recordings: list[Recording]
    next_page_token: str | None = Field(description="null on the last page")


class RecordingChange(Body):
    """What is to be different; what is left out stays."""

    note: Annotated[str, Field(max_length=2000, pattern=NOTE)] | None = Field(
        None, description="null: none"
    )
    tags: Annotated[list[Annotated[Line, Field(min_length=1)]], Field(max_length=16)] = Field(
        [], examples=[["travel", "late coffee"]]
    )
    excluded: StrictBool = False
    kind: Declared = Field("night", description="of a declared recording alone")
    started_at: Moment | None = Field(None, description="of a declared recording alone")
    ended_at: Moment | None = Field(None, description="of a declared recording alone")


@router.get(
    "",
    operation_id="listRecordings",
    summary="List nights",
    response_model=RecordingPage,
    responses={**documented(404), 304: {"description": "They are as they were"}},
)
async def list_recordings(
    who: Reader,
    store: Store,
    device: Annotated[str | None, Query(pattern=NAME, description="of this one alone")] = None,
    since: Evening = None,
    until: Evening = None,
    *,
    response: Response,
    excluded: Annotated[bool, Query(description="those too that a person excluded")] = False,
    kind: Annotated[Kind | None, Query(description="of this kind alone")] = None,
    page_size: PageSize = 100,
    page_token: PageToken = None,
    known: etags.IfNoneMatch = None,
) -> Any:  # noqa: ANN401 - a RecordingPage, or a bare 304
    """Return the nights with since <= evening < until, the newest first."""
    if since is not None and until is not None and since >= until:
        raise invalid(("query", "since"), "is not before until")
    query = (device, since, until, excluded, kind)
    after = position_of(page_token, _PLACE, *query) if page_token else None
    size = min(page_size, MAX_PAGE_SIZE)
    found = await store.read(
        lambda it: recordings.list_of(
            who.tenant,
            it,
            device,
            since=since,
            until=until,
            excluded=excluded,
            kind=kind,
            after=after,
            limit=size + 1,
            hypnograms=False,
        )
    )
    page, token = found[:size], None
    if len(found) > size:
        token = next_token([page[-1].night.started_at.isoformat(), str(page[-1].id)], *query)
    etag = etags.of_all((*(f"{each.id} {etag_of(each)}" for each in page), token or ""))
    if etags.is_known(known, etag):
        return Response(status_code=304, headers={"ETag": etag})
    response.headers["ETag"] = etag
    return RecordingPage(recordings=[shown(each) for each in page], next_page_token=token)


@router.get(
    "/{recording:name}",
    operation_id="getRecording",
    summary="Get a night",
    response_model=Recording,
    responses={**documented(404), 304: {"description": "It is as it was"}},
)
async def get_recording(
    recording: UUID,
    who: Reader,
    store: Store,
    response: Response,
    known: etags.IfNoneMatch = None,
) -> Any:  # noqa: ANN401 - a Recording, or a bare 304
    """Return a night with its figures. One that is withdrawn is there, and in no list."""
    found = await store.read(lambda it: recordings.get(who.tenant, it, recording))
    if etags.is_known(known, etag_of(found)):
        return Response(status_code=304, headers={"ETag": etag_of(found)})
    response.headers["ETag"] = etag_of(found)
    return shown(found)


@router.patch(
    "/{recording:name}",
    operation_id="updateRecording",
    summary="Annotate a night",
    responses=documented(404, 409, 412, "found", "overlap"),
)
async def update_recording(
    recording: UUID,
    change: RecordingChange,
    who: Writer,
    store: Store,
    response: Response,
    *,
    if_match: etags.IfMatch = None,
) -> Recording:
    """Keep a note and tags, or exclude what was no night; the figures stay what they are.

    A recording that a person declared may be of another kind, and begin and end elsewhere; one
    that was found may not (409). With `If-Match` nothing is changed that has changed since it
    was read.
    """
    named = change.model_fields_set
    is_redeclared = bool(named & {"kind", "started_at", "ended_at"})

    def work(connection: Connection) -> recordings.Recording:
        if is_redeclared:
            declared.hold(who.tenant, connection, recording)
        known = recordings.get(who.tenant, connection, recording, to_change=True)
        if if_match is not None:
            etags.check(if_match, etag_of(known))
        if is_redeclared:
            redeclare(who.tenant, connection, known, change)
        return recording_changes.change(
            who.tenant,
            connection,
            recording,
            note=change.note if "note" in named else known.note,
            tags=change.tags if "tags" in named else known.tags,
            excluded=change.excluded if "excluded" in named else known.excluded,
            kind=change.kind if "kind" in named else None,
        )

    found = await store.call(work)
    response.headers["ETag"] = etag_of(found)
    return shown(found)


@router.delete(
    "/{recording:name}",
    operation_id="deleteRecording",
    summary="Delete a night",
    status_code=204,
    responses=documented(404, 412),
)
async def delete_recording(
    recording: UUID, who: Writer, store: Store, if_match: etags.IfMatch = None
) -> None:
    """Take a night out of every list for good, with its note and tags; nothing shows it again.

    One that was declared may be declared anew. The epochs stay, as the measurements that they
    are, until the tenant's retention takes them, or an erasure
    (`POST /v1/devices/{device}:erase`).
    """

    def work(connection: Connection) -> None:
        if if_match is not None:
            known = recordings.get(who.tenant, connection, recording, to_change=True)
            etags.check(if_match, etag_of(known))
        recording_changes.delete(who.tenant, connection, recording)

    await store.call(work)


def etag_of(found: recordings.Recording) -> str:
    """Return what changes whenever anything of a recording does."""
    return f'"{found.revision}.{found.edits}"'


def shown(found: recordings.Recording) -> Recording:
    """Return a recording as it is told."""
    return Recording(
        **night_of(found),
        kind=found.kind,
        declared_by=found.declared_by,
        replaced_by=found.replaced_by,
        note=found.note,
        tags=list(found.tags),
        excluded=found.excluded,
    )
