"""Experiments of the platform: a version beside the champion, watched or for some devices."""

from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Path, Response, Security
from pydantic import BaseModel, Field, TypeAdapter

from api.auditing import record
from api.bodies import Body
from api.catalogue import Catalogue
from api.deps import caller, catalogue, database, platform
from api.operations import NAME, Operation, order, version_of
from api.paging import MAX_PAGE_SIZE, PageSize, PageToken, next_token, position_of
from api.problems import ProblemError, documented, invalid
from api.routes.labels import Source
from api.scopes import EXPERIMENTS_READ, EXPERIMENTS_WRITE
from api.threads import loading
from inference import versions
from noctis.errors import ModelError
from noctis.identity import Principal
from noctis.storage import experiments, predictions
from noctis.storage.database import Connection, Database
from noctis.storage.experiments import Kind

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/experiments",
    tags=["experiments"],
    responses=documented(401, 403, 422, 503, 504),
)

_SHARES: Final[dict[Kind, float]] = {"shadow": 0.0, "canary": 0.1, "ab": 0.5}
_BY_ID: Final = TypeAdapter(tuple[Annotated[int, Field(gt=0, lt=1 << 31)]])

Name = Annotated[str, Path(pattern=NAME, examples=["eyes"])]
Reader = Annotated[Principal, Security(caller, scopes=[EXPERIMENTS_READ])]
Writer = Annotated[Principal, Security(caller, scopes=[EXPERIMENTS_WRITE])]
Everyones = Annotated[Database, Depends(platform)]
Own = Annotated[Database, Depends(database)]


class Start(Body):
    """A version that is to run beside the champion."""

    name: str = Field(pattern=NAME, description="a new one", examples=["eyes"])
    kind: Kind = Field(
        description="`shadow`: unseen; `canary`, `ab`: it serves a share of the devices"
    )
    model: str = Field("stager", pattern=NAME, examples=["stager"])
    version: str = Field(
        pattern=NAME, description="a version, an alias, or `shipped`", examples=["shadow"]
    )
    share: float | None = Field(
        None, gt=0, lt=1, description="of the devices; canary: 0.1, ab: 0.5 unless it is named"
    )
    devices: Literal["all", "own"] = Field(
        "all", description="of all tenants, or of the caller's own alone"
    )


class ReportOrder(Body):
    """What an experiment is to be held against, besides what was served."""

    source: Source | None = Field(None, description="reference labels of this source")
    against: str | None = Field(
        None,
        pattern="^[a-z0-9][a-z0-9.-]{0,63}@[a-z0-9][a-z0-9.-]{0,63}$",
        description="with `source`: beside this `name@version`; null: what was served",
        examples=[None],
    )


class Experiment(BaseModel):
    """A version beside the champion."""

    name: str = Field(examples=["eyes"])
    kind: Kind
    model: str = Field(description="`name@version`", examples=["stager@2"])
    share: float
    tenant: str | None = Field(description="null: devices of all tenants")
    started_at: datetime
    stopped_at: datetime | None = Field(description="null while it runs")
    refusal: str | None = Field(description="why a worker does not run it; else null")


class ExperimentPage(BaseModel):
    """Experiments, the newest first."""

    experiments: list[Experiment]
    next_page_token: str | None = Field(description="null on the last page")


@router.get(
    "", operation_id="listExperiments", summary="List experiments", responses=documented(400)
)
async def list_experiments(
    _who: Reader, store: Everyones, page_size: PageSize = 100, page_token: PageToken = None
) -> ExperimentPage:
    """Return the experiments, those that were stopped too."""
    before = position_of(page_token, _BY_ID)[0] if page_token else None
    size = min(page_size, MAX_PAGE_SIZE)
    found = await store.call(lambda it: experiments.list_all(it, before=before, limit=size + 1))
    page = found[:size]
    token = next_token([page[-1].id]) if len(found) > size else None
    return ExperimentPage(experiments=[_told(it) for it in page], next_page_token=token)


@router.post(
    "",
    operation_id="startExperiment",
    summary="Start an experiment",
    status_code=201,
    responses=documented(409, "exists", "model"),
)
async def start_experiment(
    *,
    wanted: Start,
    who: Writer,
    store: Everyones,
    known: Annotated[Catalogue, Depends(catalogue)],
    response: Response,
) -> Experiment:
    """Let a version run beside the champion; workers follow within seconds."""
    version = await version_of(known, wanted.model, wanted.version)
    await _check_loads(known, wanted.model, version)
    share = _SHARES[wanted.kind] if wanted.share is None else wanted.share

    def work(connection: Connection) -> experiments.Experiment:
        begun = experiments.start(
            who.tenant if wanted.devices == "own" else None,
            connection,
            wanted.name,
            wanted.kind,
            model_id=predictions.model_id(connection, wanted.model, version),
            share=share,
        )
        record(who, connection, "experiment_started", wanted.name, model=begun.model)
        return begun

    made = await store.call(work)
    response.headers["Location"] = f"/v1/experiments/{made.name}"
    return _told(made)


@router.get(
    "/{experiment:name}",
    operation_id="getExperiment",
    summary="Get an experiment",
    responses=documented(404),
)
async def get_experiment(experiment: Name, _who: Reader, store: Everyones) -> Experiment:
    """Return an experiment."""
    return _told(await store.call(lambda it: experiments.get(it, experiment)))


@router.post(
    "/{experiment:name}:stop",
    operation_id="stopExperiment",
    summary="Stop an experiment",
    responses=documented(404),
)
async def stop_experiment(experiment: Name, who: Writer, store: Everyones) -> Experiment:
    """Let the champion serve all devices again; a second stop changes nothing."""

    def work(connection: Connection) -> experiments.Experiment:
        record(who, connection, "experiment_stopped", experiment)
        return experiments.stop(connection, experiment)

    return _told(await store.call(work))


@router.post(
    "/{experiment:name}:report",
    operation_id="reportExperiment",
    summary="Ask what an experiment has shown",
    status_code=202,
    responses=documented(404, 429, "busy"),
)
async def report_experiment(
    *,
    experiment: Name,
    wanted: ReportOrder,
    who: Reader,
    store: Everyones,
    own: Own,
    response: Response,
) -> Operation:
    """Compare, over the experiment's time, what its version said with what was served.

    Of a shadow: agreement on the same epochs. Else both arms. With `source` the promotion
    gate's verdict by these labels, too.
    """
    found = await store.call(lambda it: experiments.get(it, experiment))
    if wanted.source and not wanted.against and found.kind != "shadow":
        detail = f"what {found.model} served stands beside itself: name another version"
        raise invalid(("body", "against"), detail)
    request = {"experiment": found.name, **wanted.model_dump(mode="json")}
    return await order(who, own, "experiment", request, response=response)


async def _check_loads(known: Catalogue, model: str, version: str) -> None:
    try:
        await loading(lambda: versions.load(known.folder(model, version)))
    except ModelError as error:
        raise ProblemError(409, known.without_paths(error.message), kind="model") from error


def _told(it: experiments.Experiment) -> Experiment:
    return Experiment(
        name=it.name,
        kind=it.kind,
        model=it.model,
        share=it.share,
        tenant=it.tenant,
        started_at=it.started_at,
        stopped_at=it.stopped_at,
        refusal=it.refusal,
    )
