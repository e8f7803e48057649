"""Loads that operators put the platform under, to see what it bears."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request, Response, Security
from pydantic import BaseModel, Field, TypeAdapter, model_validator

from api.bodies import Body
from api.deps import caller, platform, settings
from api.internal.authors import author_of
from api.paging import MAX_PAGE_SIZE, PageSize, PageToken, next_token, position_of
from api.problems import ProblemError, documented
from api.scopes import INTERNAL_READ, INTERNAL_RUN
from noctis.identity import Principal
from noctis.settings import Settings
from noctis.storage import audit, stress
from noctis.storage.database import Connection, Database
from noctis.storage.operations import Operation

__all__ = ["router"]

router = APIRouter(
    prefix="/internal/stress", tags=["stress"], responses=documented(401, 403, 422, 503, 504)
)
MOST_OF_A_DEVICE: Final = 10
"""Epochs a second of one device: a real one makes one in half a minute."""

_BY_NUMBER: Final = TypeAdapter(tuple[Annotated[int, Field(gt=0, lt=1 << 31)]])

Reader = Annotated[Principal, Security(caller, scopes=[INTERNAL_READ])]
Operator = Annotated[Principal, Security(caller, scopes=[INTERNAL_RUN])]
Everyones = Annotated[Database, Depends(platform)]
Chosen = Annotated[Settings, Depends(settings)]
Key = Annotated[UUID, Path(examples=["3f0f3a0a-9a5e-4d6c-8e0c-2b8f6f1c7a10"])]


class Load(Body):
    """How much is to be sent: `rate` times `seconds` epochs, by devices that take turns."""

    devices: int = Field(20, ge=1, le=500, description="each with a session of its own")
    rate: float = Field(10, gt=0, le=500, description="epochs a second, of all together")
    seconds: int = Field(30, ge=1, le=300)

    @model_validator(mode="after")
    def _is_borne_by_its_devices(self) -> Self:
        if self.rate > MOST_OF_A_DEVICE * self.devices:
            message = f"a device sends {MOST_OF_A_DEVICE} epochs a second at most; take more"
            raise ValueError(message)
        return self


class Percentiles(BaseModel):
    """Milliseconds from the moment when an epoch was due; null where there was none."""

    p50_ms: float | None = Field(examples=[14.2])
    p90_ms: float | None = Field(examples=[21.9])
    p99_ms: float | None = Field(examples=[38.5])
    p999_ms: float | None = Field(examples=[61.7])
    max_ms: float | None = Field(examples=[64.1])


class Verdict(BaseModel):
    """Whether nothing was lost or doubled, all was answered, and the sender kept up."""

    held: bool = Field(examples=[True])
    reasons: list[str] = Field(description="why not", examples=[[]])


class Report(BaseModel):
    """What came of a load."""

    verdict: Verdict
    intended: int = Field(description="epochs that were due", examples=[300])
    intended_per_second: float = Field(examples=[10.0])
    sent: int = Field(description="epochs that the broker confirmed", examples=[300])
    sent_per_second: float = Field(examples=[10.0])
    sent_late: int = Field(description="sent more than 50 ms after they were due", examples=[0])
    not_sent: dict[str, int] = Field(description="by reason", examples=[{}])
    acknowledged: int = Field(description="epochs whose devices heard of it", examples=[300])
    refused: int = Field(description="acknowledged as anything but stored", examples=[0])
    staged: int = Field(description="epochs whose stage the app got", examples=[300])
    heard_again: int = Field(
        description="acknowledgements and stages that repeat", examples=[0]
    )
    stored: int = Field(description="epochs in the database", examples=[300])
    lost: int = Field(description="sent and not stored", examples=[0])
    doubled: int = Field(description="rows of epochs that were stored already", examples=[0])
    to_acknowledgement: Percentiles
    to_stage: Percentiles


class Stress(BaseModel):
    """A load, and how far it is."""

    id: UUID
    state: Literal["queued", "running", "cancelling", "cancelled", "failed", "done"]
    request: Load
    sent: int = Field(description="epochs so far", examples=[300])
    requested_by: str = Field(examples=["user:ann@home"])
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    report: Report | None = Field(description="once it is done")
    error: str | None = Field(description="why it failed; else null", examples=[None])


class StressPage(BaseModel):
    """Loads, the newest first."""

    loads: list[Stress]
    next_page_token: str | None = Field(description="null on the last page")


@router.post(
    "",
    operation_id="startStress",
    summary="Put the platform under load",
    status_code=202,
    responses=documented("exists", "not-allowed"),
)
async def start_stress(
    *,
    wanted: Load,
    who: Operator,
    store: Everyones,
    chosen: Chosen,
    request: Request,
    response: Response,
) -> Stress:
    """Let virtual devices send epochs through the real line, at a rate that nothing slows down.

    They belong to a tenant that is made up for it and erased afterwards; no drift, no monitor
    and no training sees it. A runner does it, so what else waits for that runner waits. One
    load at a time; only where `NOCTIS_STRESS=allowed`. Every order is audited.
    """
    if chosen.stress != "allowed":
        detail = "loads are not allowed here: NOCTIS_STRESS is not set to allowed"
        raise ProblemError(403, detail, kind="not-allowed")
    author = author_of(who, request)

    def work(connection: Connection) -> Operation:
        made = stress.order(connection, wanted.model_dump(), by=who.subject)
        audit.record_as(
            connection,
            author,
            "stress_ordered",
            str(made.id),
            devices=wanted.devices,
            rate=str(wanted.rate),
            seconds=wanted.seconds,
        )
        return made

    made = await store.call(work)
    response.headers["Location"] = f"/internal/stress/{made.id}"
    return _told(made)


@router.get("", operation_id="listStress", summary="List loads", responses=documented(400))
async def list_stress(
    _who: Reader, store: Everyones, page_size: PageSize = 100, page_token: PageToken = None
) -> StressPage:
    """Return the loads, the newest first; the last hundred are kept."""
    before = position_of(page_token, _BY_NUMBER)[0] if page_token else None
    size = min(page_size, MAX_PAGE_SIZE)
    found = await store.call(lambda it: stress.list_all(it, before=before, limit=size + 1))
    page = found[:size]
    token = next_token([page[-1].number]) if len(found) > size else None
    return StressPage(loads=[_told(it) for it in page], next_page_token=token)


@router.get(
    "/{load:uuid}", operation_id="getStress", summary="Get a load", responses=documented(404)
)
async def get_stress(load: Key, _who: Reader, store: Everyones) -> Stress:
    """Return how far a load is, and its report once it is done."""
    return _told(await store.call(lambda it: stress.get(it, load)))


@router.post(
    "/{load:uuid}:cancel",
    operation_id="cancelStress",
    summary="Cancel a load",
    responses=documented(404),
)
async def cancel_stress(load: Key, who: Operator, store: Everyones, request: Request) -> Stress:
    """Let a load end within a second or so; there is no report, and its tenant is erased."""
    author = author_of(who, request)

    def work(connection: Connection) -> Operation:
        made = stress.cancel(connection, load)
        audit.record_as(connection, author, "stress_cancelled", str(load))
        return made

    return _told(await store.call(work))


def _told(it: Operation) -> Stress:
    told: dict[str, Any] = {
        "id": it.id,
        "state": it.state,
        "request": it.request,
        "sent": it.done,
        "requested_by": it.requested_by,
        "created_at": it.created_at,
        "started_at": it.started_at,
        "finished_at": it.finished_at,
        "report": it.result,
        "error": it.error,
    }
    return Stress.model_validate(told)
