"""Another version over what is stored: replays, and versions held against reference stages."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response, Security
from pydantic import Field

from api.bodies import Body
from api.catalogue import Catalogue
from api.deps import caller, catalogue, database
from api.moments import FIRST, LAST
from api.moments import Moment as Instant
from api.names import NAME as DEVICE
from api.operations import NAME, Operation, order, version_of
from api.problems import documented, invalid
from api.routes.labels import Source
from api.scopes import EVALUATION_RUN, REPLAY_RUN
from noctis.identity import Principal
from noctis.storage.database import Database

__all__ = ["router"]

router = APIRouter(
    prefix="/v1", responses=documented(401, 403, 404, 422, 429, 503, 504, "busy")
)

_START: Final = "2026-03-01T22:00:00Z"

Place = Annotated[Instant, Field(ge=FIRST, le=LAST, examples=[_START])]
Model = Annotated[str, Field(pattern=NAME, examples=["stager"])]
Version = Annotated[
    str,
    Field(
        pattern=NAME, description="a version, an alias, or `shipped`", examples=["challenger"]
    ),
]
Device = Annotated[
    str | None, Field(pattern=DEVICE, description="null: all devices", examples=["bedroom"])
]
Known = Annotated[Catalogue, Depends(catalogue)]
Store = Annotated[Database, Depends(database)]


class ReplayOrder(Body):
    """Stored epochs that a version is to stage, unseen by anybody."""

    model: Model = "stager"
    version: Version
    device: Device = None
    since: Place
    until: Place


class EvaluationOrder(Body):
    """A version's stored stages that are to be held against reference stages."""

    model: Model = "stager"
    version: Version = "champion"
    source: Source
    device: Device = None
    since: Place | None = None
    until: Place | None = None


@router.post(
    "/replays",
    operation_id="startReplay",
    summary="Replay stored epochs",
    status_code=202,
    tags=["replay"],
)
async def start_replay(
    *,
    wanted: ReplayOrder,
    who: Annotated[Principal, Security(caller, scopes=[REPLAY_RUN])],
    store: Store,
    known: Known,
    response: Response,
) -> Operation:
    """Run the tenant's epochs with since <= start < until through a version.

    What it says is stored under that version, shown to nobody, and compared with what was
    served. The operation tells how far it is, and can be cancelled and resumed.
    """
    if wanted.since >= wanted.until:
        raise invalid(("body", "since"), "is not before until")
    version = await version_of(known, wanted.model, wanted.version)
    request = wanted.model_dump(mode="json") | {"version": version}
    return await order(who, store, "replay", request, device=wanted.device, response=response)


@router.post(
    "/evaluations",
    operation_id="startEvaluation",
    summary="Hold a version against reference stages",
    status_code=202,
    tags=["evaluation"],
)
async def start_evaluation(
    *,
    wanted: EvaluationOrder,
    who: Annotated[Principal, Security(caller, scopes=[EVALUATION_RUN])],
    store: Store,
    known: Known,
    response: Response,
) -> Operation:
    """Compare what a version said of the tenant's epochs with the labels of a source.

    The result has kappa with its interval, accuracy, macro-F1, each stage's F1, calibration
    and confusion, of all devices together and of each. Only stages that are stored count: of
    a version that never served, replay it first.
    """
    if wanted.since and wanted.until and wanted.since >= wanted.until:
        raise invalid(("body", "since"), "is not before until")
    version = await version_of(known, wanted.model, wanted.version)
    request = wanted.model_dump(mode="json") | {"version": version}
    return await order(
        who, store, "evaluation", request, device=wanted.device, response=response
    )
