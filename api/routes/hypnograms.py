"""Hypnograms of nights, for programs and for spreadsheets."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, Field

from api import etags
from api.accepts import best
from api.problems import documented
from api.routes.recordings import Reader, Store, etag_of
from noctis.epoch import EPOCH_SECONDS
from noctis.hypnogram import LABELS
from noctis.storage import recordings

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/recordings/{recording:name}",
    tags=["recordings"],
    responses=documented(401, 403, 404, 422, 503, 504),
)
_JSON: Final = "application/json"
_CSV: Final = "text/csv"


class Hypnogram(BaseModel):
    """One code for each 30 s of a night."""

    id: UUID
    revision: int
    started_at: datetime
    epoch_seconds: int = EPOCH_SECONDS
    labels: list[str] = Field(description="what the codes mean", examples=[list(LABELS)])
    codes: list[int] = Field(examples=[[0, 0, 1, 1, 2]])


@router.get(
    "/hypnogram",
    operation_id="getHypnogram",
    summary="Get a night's hypnogram",
    response_model=Hypnogram,
    responses={
        **documented(406),
        200: {"content": {_CSV: {"schema": {"type": "string"}}}},
        304: {"description": "It is as it was"},
    },
)
async def get_hypnogram(
    recording: UUID,
    who: Reader,
    store: Store,
    response: Response,
    *,
    accept: Annotated[str | None, Header(max_length=1024)] = None,
    known: etags.IfNoneMatch = None,
) -> Any:  # noqa: ANN401 - a Hypnogram, or CSV
    """Return a code for each 30 s as JSON, or a line for each as CSV, as `Accept` says."""
    kind = best(accept, (_JSON, _CSV))
    found = await store.read(lambda it: recordings.get(who.tenant, it, recording))
    headers = {"ETag": etag_of(found), "Vary": "Accept"}
    if etags.is_known(known, etag_of(found)):
        return Response(status_code=304, headers=headers)
    if kind == _CSV:
        return Response("".join(_lines(found)), media_type=_CSV, headers=headers)
    response.headers.update(headers)
    return Hypnogram(
        id=found.id,
        revision=found.revision,
        started_at=found.night.started_at,
        labels=list(LABELS),
        codes=found.night.codes.tolist(),
    )


def _lines(found: recordings.Recording) -> Iterator[str]:
    yield "start,stage\r\n"
    for place, code in enumerate(found.night.codes.tolist()):
        start = found.night.started_at + timedelta(seconds=EPOCH_SECONDS * place)
        yield f"{start:%Y-%m-%dT%H:%M:%SZ},{LABELS[code]}\r\n"
