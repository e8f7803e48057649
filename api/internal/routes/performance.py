"""How fast each stage of the line is, and how much goes through it, over some seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from operator import add
from typing import Annotated, Final

import anyio
from fastapi import APIRouter, Depends, Query, Security
from pydantic import BaseModel, Field

from api.deps import caller, settings
from api.internal.histograms import Histogram, between, grown
from api.internal.parts import Part
from api.internal.scraping import Scrape, addresses, scrape
from api.problems import ProblemError, documented
from api.scopes import INTERNAL_READ
from noctis.errors import ConfigurationError
from noctis.identity import Principal
from noctis.settings import Settings

__all__ = ["router"]

router = APIRouter(
    prefix="/internal/performance", tags=["performance"], responses=documented(401, 403, 422)
)

Reader = Annotated[Principal, Security(caller, scopes=[INTERNAL_READ])]
Chosen = Annotated[Settings, Depends(settings)]
Looks = list[tuple[str, Scrape, Scrape]]
"""A service, and what it told at the beginning and at the end."""


@dataclass(frozen=True, slots=True)
class _Stage:
    """A stage of the line, and the histogram that measures it; ``of``: whose it is."""

    name: str
    of: str
    metric: str
    measures: str
    by: tuple[str, ...] = ()


_STAGES: Final = (
    _Stage(
        "device to commit",
        "ingestor",
        "noctis_ingest_age_seconds",
        "from the end of a live epoch, by its device's clock, to its commit",
    ),
    _Stage(
        "arrival to commit",
        "ingestor",
        "noctis_ingest_lag_seconds",
        "from the arrival of a batch's oldest message to its commit",
    ),
    _Stage(
        "arrival to acknowledgement",
        "ingestor",
        "noctis_ingest_acknowledged_seconds",
        "from the arrival of a batch's oldest message to its devices' acknowledgements sent",
    ),
    _Stage("commit", "ingestor", "noctis_ingest_commit_seconds", "a batch's transaction"),
    _Stage(
        "arrival to stage",
        "inference",
        "noctis_live_prediction_seconds",
        "from the receipt of an epoch to its stage being handed to the broker",
    ),
    _Stage(
        "device to stage",
        "inference",
        "noctis_live_age_seconds",
        "from the end of an epoch, by its device's clock, to its stage at the apps' broker",
    ),
    _Stage(
        "settle",
        "inference",
        "noctis_settler_hint_seconds",
        "from an epoch's live way to its stored prediction",
    ),
    _Stage("nights", "companion", "noctis_nights_seconds", "finding a device's nights again"),
    _Stage(
        "facade",
        "api",
        "noctis_api_request_seconds",
        "from a request to the end of its answer",
        ("method", "route"),
    ),
)
_FLOWS: Final = {
    "epochs stored": "noctis_ingest_rows_total",
    "epochs that came again": "noctis_ingest_duplicates_total",
    "transactions": "noctis_ingest_batches_total",
    "live stages": "noctis_live_published_total",
    "predictions stored": "noctis_settler_settled_total",
    "requests": "noctis_api_requests_total",
}


class Stage(BaseModel):
    """A stage of the line within the window; times in seconds, estimated from buckets."""

    stage: str = Field(examples=["arrival to commit"])
    measures: str = Field(
        examples=["from the arrival of a batch's oldest message to its commit"]
    )
    route: str | None = Field(description="of the facade; else null", examples=[None])
    services: list[str] = Field(
        description="whose measurements these are; empty: nobody's", examples=[["ingestor"]]
    )
    count: int = Field(description="how many were measured", examples=[412])
    per_second: float = Field(examples=[82.4])
    mean_s: float | None = Field(description="null where nothing was", examples=[0.0061])
    p50_s: float | None = Field(
        description="null where nothing was measured, or it is above `highest_s`",
        examples=[0.0055],
    )
    p95_s: float | None = Field(examples=[0.014])
    p99_s: float | None = Field(examples=[0.019])
    highest_s: float | None = Field(
        description="the highest bound of the histogram", examples=[120.0]
    )


class Flow(BaseModel):
    """How much went through."""

    what: str = Field(examples=["epochs stored"])
    count: int = Field(examples=[824])
    per_second: float = Field(examples=[164.8])


class Unreached(BaseModel):
    """A service that told nothing, so what it does is missing here."""

    service: str = Field(examples=["companion"])
    reason: str = Field(examples=["cannot be reached"])


class Performance(BaseModel):
    """The line within a window of time."""

    since: datetime
    until: datetime
    seconds: float = Field(description="of the window", examples=[5.02])
    stages: list[Stage]
    flows: list[Flow]
    unreached: list[Unreached]


@router.get(
    "",
    operation_id="getPerformance",
    summary="Latency and throughput by stage of the line",
    responses=documented("not-ready"),
)
async def get_performance(
    _who: Reader,
    chosen: Chosen,
    seconds: Annotated[float, Query(ge=1, le=30, description="of the window")] = 5,
) -> Performance:
    """Look at every service's histograms twice, and tell what came between.

    Percentiles are estimated as Prometheus does: evenly within a bucket. A service that cannot
    be reached is named in `unreached`; one that began anew meanwhile counts from its beginning.
    """
    try:
        known = addresses(chosen)
    except ConfigurationError as error:
        raise ProblemError(503, str(error), kind="not-ready") from error
    since, before = datetime.now(UTC), await scrape(known)
    started = anyio.current_time()
    await anyio.sleep(seconds)
    after = await scrape(known)
    window = max(anyio.current_time() - started, seconds)
    looks = _both(before, after)
    return Performance(
        since=since,
        until=datetime.now(UTC),
        seconds=round(window, 3),
        stages=[made for stage in _STAGES for made in _stages(stage, looks, window)],
        flows=[_flow(what, metric, looks, window) for what, metric in _FLOWS.items()],
        unreached=[
            Unreached(service=name, reason=it.reason or before[name].reason or "")
            for name, it in after.items()
            if it.value is None or before[name].value is None
        ],
    )


def _both(before: Mapping[str, Part[Scrape]], after: Mapping[str, Part[Scrape]]) -> Looks:
    pairs = [(name, before[name].value, it.value) for name, it in after.items()]
    return [(name, first, last) for name, first, last in pairs if first and last]


def _stages(stage: _Stage, looks: Looks, window: float) -> list[Stage]:
    """Return a stage over all processes that measure it, for each route where it has them."""
    found: dict[tuple[str, ...], list[Histogram]] = {}
    told = [it for it in looks if f"{stage.metric}_bucket" in it[2].samples]
    if stage.by:
        told = [it for it in told if it[0].partition("-")[0] == stage.of]
    for _, first, last in told:
        for key, made in between(stage.metric, first, last, stage.by).items():
            found.setdefault(key, []).append(made)
    services = [name for name, _, _ in told]
    if not stage.by:
        made = reduce(add, found.get((), []) or [Histogram((), (), 0.0)])
        return [_stage(stage, None, services, made, window)]
    routes = {" ".join(key): reduce(add, made) for key, made in sorted(found.items())}
    busy = {route: made for route, made in routes.items() if made.count}
    if not busy:
        return [_stage(stage, None, services, Histogram((), (), 0.0), window)]
    return [_stage(stage, route, services, made, window) for route, made in busy.items()]


def _stage(
    stage: _Stage, route: str | None, services: list[str], made: Histogram, window: float
) -> Stage:
    p50, p95, p99 = (made.percentile(share) for share in (0.5, 0.95, 0.99))
    return Stage(
        stage=stage.name,
        measures=stage.measures,
        route=route,
        services=services,
        count=round(made.count),
        per_second=round(made.count / window, 3),
        mean_s=_rounded(made.total / made.count) if made.count else None,
        p50_s=_rounded(p50),
        p95_s=_rounded(p95),
        p99_s=_rounded(p99),
        highest_s=made.bounds[-2] if len(made.bounds) > 1 else None,
    )


def _flow(what: str, metric: str, looks: Looks, window: float) -> Flow:
    count = sum(grown(metric, first, last) for _, first, last in looks)
    return Flow(what=what, count=round(count), per_second=round(count / window, 3))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
