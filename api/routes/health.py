"""Is the facade alive, is it ready, and how does it fare? No login."""

import os
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    generate_latest,
    multiprocess,
)
from pydantic import BaseModel, Field

from api.checks import Check, Readiness
from api.deps import readiness
from api.problems import ProblemError, documented

__all__ = ["router"]

router = APIRouter(tags=["health"])
RETRY_AFTER_S = 5


class Alive(BaseModel):
    """The process answers."""

    status: str = Field("alive", examples=["alive"])


class Ready(BaseModel):
    """Everything that the facade rests on answers, if not all of it as it should."""

    status: Literal["ready", "degraded"] = Field("ready", examples=["ready"])
    checks: dict[str, Check]


@router.get("/healthz", operation_id="getHealth", summary="Tell whether the process lives")
async def get_health() -> Alive:
    """Answer whatever the state of database and broker: it asks neither."""
    return Alive()


@router.get(
    "/readyz",
    operation_id="getReadiness",
    summary="Tell whether it can serve",
    response_model_exclude_none=True,
    responses=documented(503, "not-ready"),
)
async def get_readiness(state: Annotated[Readiness, Depends(readiness)]) -> Ready:
    """Ask database, broker and model, each with a deadline; 503 names what does not answer."""
    checks = await state.checks()
    reasons = [f"{name}: {check.reason}" for name, check in checks.items() if not check.ok]
    if state.draining:
        reasons.insert(0, "the process is about to end")
    if reasons:
        raise ProblemError(
            503,
            "; ".join(reasons),
            kind="not-ready",
            headers={"Retry-After": str(RETRY_AFTER_S)},
            checks={
                name: check.model_dump(exclude_none=True) for name, check in checks.items()
            },
        )
    as_it_should = all(check.reason is None for check in checks.values())
    return Ready(status="ready" if as_it_should else "degraded", checks=checks)


@router.get(
    "/metrics",
    operation_id="getMetrics",
    summary="Read measurements for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def get_metrics() -> Response:
    """Tell counts and times in Prometheus's text format, of all worker processes together."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
