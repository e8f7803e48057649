"""Whether the tenant's devices still send what the model was trained on."""

from datetime import date, datetime
from typing import Annotated, Any, Final

import anyio
from fastapi import APIRouter, Depends, Query, Security
from pydantic import BaseModel, Field, TypeAdapter

from api.catalogue import Catalogue
from api.deps import caller, catalogue, database
from api.moments import FIRST, LAST, Day
from api.names import NAME
from api.paging import MAX_PAGE_SIZE, PageSize, PageToken, next_token, position_of
from api.problems import ProblemError, documented, invalid
from api.scopes import DRIFT_READ
from api.threads import in_thread
from drift import current, reference
from drift.current import Window
from drift.reference import Reference
from drift.report import Verdict
from noctis.errors import ConfigurationError, ModelError
from noctis.histograms import NightSummary
from noctis.identity import Principal
from noctis.storage import drift_acknowledgements, drift_reports
from noctis.storage.database import Connection, Database
from noctis.storage.drift_acknowledgements import Acknowledgement
from noctis.storage.drift_reports import Kept
from registry.errors import UnknownVersionError

__all__ = ["router"]

router = APIRouter(
    prefix="/v1", tags=["drift"], responses=documented(401, 403, 404, 422, 503, 504)
)

AT_ONCE: Final = 8
BRING_UP_S: Final = 20.0
_BY_NAME: Final = TypeAdapter(tuple[str])

Reader = Annotated[Principal, Security(caller, scopes=[DRIFT_READ])]
Device = Annotated[
    str | None, Query(pattern=NAME, description="of this device alone", examples=["bedroom"])
]
Evening = Annotated[Day | None, Query(ge=FIRST.date(), le=LAST.date(), examples=["2026-11-01"])]


class Drift(BaseModel):
    """What the last nights show, held against the training of a version."""

    device: str | None = Field(description="null: all the tenant's devices together")
    model: str = Field(description="`name@version`", examples=["stager@1"])
    since: date = Field(description="first evening of the window")
    until: date = Field(description="evening after the window")
    verdict: Verdict = Field(description="`unknown`: fewer than three nights")
    nights: int
    sleepers: int = Field(description="devices with a night in the window")
    channels: list[dict[str, Any]] = Field(
        description="each feature's PSI, KS, Wasserstein, missing share, limits and verdict",
        examples=[
            [
                {
                    "name": "hr_mean",
                    "unit": "bpm",
                    "verdict": "drift",
                    "why": ["values"],
                    "psi": 0.83,
                    "ks": 0.36,
                    "wasserstein": 5.1,
                    "wasserstein_scaled": 0.7,
                    "missing": 0.02,
                    "missing_change": 0.01,
                    "limits": {"psi": 0.61, "ks": 0.3},
                }
            ]
        ],
    )
    changes: list[dict[str, Any]] | None = Field(
        description="streams with another mean since some evening; null: too few nights"
    )
    stages: dict[str, float] = Field(description="shares of what the version told")
    trained_stages: dict[str, float] = Field(description="the same in training")
    confidence: float | None = Field(description="mean of the likeliest stage's probability")
    acknowledged: list[dict[str, Any]] = Field(
        description="what a person has looked at and is told no more, with who and why"
    )


class KeptDrift(BaseModel):
    """A report that the companion keeps."""

    device: str | None = Field(description="null: all the tenant's devices together")
    model: str = Field(description="`name@version`", examples=["stager@1"])
    until: date = Field(description="evening after the window")
    verdict: str = Field(description="`stable`, `drift` or `unknown`", examples=["stable"])
    made_at: datetime
    report: dict[str, Any] = Field(
        description="what `GET /v1/model/drift` told at that time",
        examples=[{"verdict": "stable", "nights": 14, "channels": [], "changes": None}],
    )


class DriftPage(BaseModel):
    """The tenant's report first, then those of its devices by name."""

    reports: list[KeptDrift]
    next_page_token: str | None = Field(description="null on the last page")


@router.get(
    "/drift",
    operation_id="listDrift",
    summary="List the newest reports on drift",
    responses=documented(400),
)
async def list_drift(
    who: Reader,
    store: Annotated[Database, Depends(database)],
    device: Device = None,
    page_size: PageSize = 100,
    page_token: PageToken = None,
) -> DriftPage:
    """Return the newest report on the tenant and on each of its devices.

    The companion makes them as nights close; where there is none yet the list is empty.
    """
    after = position_of(page_token, _BY_NAME, device)[0] if page_token else None
    size = min(page_size, MAX_PAGE_SIZE)

    def work(connection: Connection) -> list[Kept]:
        return drift_reports.newest(who.tenant, connection, device)

    found = sorted(await store.call(work), key=lambda it: it.device or "")
    rest = [it for it in found if after is None or (it.device or "") > after]
    page = [
        KeptDrift(
            device=it.device,
            model=it.model,
            until=it.day,
            verdict=it.verdict,
            made_at=it.made_at,
            report=it.body,
        )
        for it in rest[:size]
    ]
    token = next_token([page[-1].device or ""], device) if len(rest) > size else None
    return DriftPage(reports=page, next_page_token=token)


@router.get(
    "/model/drift",
    operation_id="getDrift",
    summary="Look for drift now",
    responses=documented(409, "model"),
)
async def get_drift(
    *,
    who: Reader,
    store: Annotated[Database, Depends(database)],
    known: Annotated[Catalogue, Depends(catalogue)],
    device: Device = None,
    since: Evening = None,
    until: Evening = None,
    version: Annotated[
        str | None,
        Query(
            pattern="^[a-z0-9][a-z0-9.-]{0,63}$",
            description="a version of `stager`, an alias, or `shipped`; default: what serves",
        ),
    ] = None,
) -> Drift:
    """Hold the tenant's nights, or one device's, against what a version was trained on.

    Over the 14 days up to the last night, or from the evening `since` up to that before
    `until`. Where many nights were not looked at yet this may take too long (504); what was
    done is kept, so ask again.
    """
    against = await _reference(known, version)

    def bounds(connection: Connection) -> Window:
        return current.window(who.tenant, connection, device, since, until)

    try:
        span = await store.call(bounds)
    except ConfigurationError as error:
        raise invalid(("query", "since"), error.message) from error
    nights, acknowledged = await _nights(who, store, device, span, model=against.model)
    try:
        made = await in_thread(lambda: current.report(against, nights, span, acknowledged))
    except ModelError as error:
        raise ProblemError(409, str(error), kind="model") from error
    return Drift(device=device, **made.as_json())


async def _reference(known: Catalogue, version: str | None) -> Reference:
    """Return what a version was trained on; ProblemError 422 where there is no such version."""
    try:
        return await in_thread(lambda: reference.load(known.root, version))
    except UnknownVersionError as error:
        raise invalid(("query", "version"), f"there is no version {version!r}") from error
    except ModelError as error:
        raise ProblemError(409, known.without_paths(str(error)), kind="model") from error


async def _nights(
    who: Principal, store: Database, device: str | None, span: Window, *, model: str
) -> tuple[list[NightSummary], list[Acknowledgement]]:
    """Return the nights of a span, all looked at, and what was acknowledged of drift.

    Raise TimeoutError where too many were not looked at yet.
    """
    with anyio.fail_after(BRING_UP_S):
        while await store.call(
            lambda it: current.bring_up(who.tenant, it, device, span, limit=AT_ONCE)
        ):
            pass
    nights = await store.call(
        lambda it: current.nights(who.tenant, it, device, span, model=model)
    )
    return nights, await store.call(
        lambda it: drift_acknowledgements.of(who.tenant, it, device)
    )
