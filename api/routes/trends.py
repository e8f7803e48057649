"""Nights over weeks."""

from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.moments import FIRST, LAST, Day
from api.names import DeviceName
from api.problems import documented
from api.routes.recordings import Reader, Store
from noctis.storage import trends

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/devices/{device:name}",
    tags=["recordings"],
    responses=documented(401, 403, 404, 422, 503, 504),
)


class FigureSpread(BaseModel):
    """A figure over nights: its middle, and the quartiles around it."""

    nights: int = Field(description="that have the figure", examples=[6])
    median: float = Field(examples=[431.5])
    mean: float = Field(examples=[428.25])
    low: float = Field(description="a quarter of the nights lies below", examples=[402.0])
    high: float = Field(description="a quarter of the nights lies above", examples=[455.5])


class TrendWeek(BaseModel):
    """A week of evenings, Monday to Sunday, where the device stands."""

    monday: date = Field(examples=["2026-03-02"])
    evenings: int = Field(description="of the week in the window", examples=[7])
    nights: int = Field(description="evenings with a night that has closed", examples=[6])
    missing: int = Field(description="evenings without one", examples=[1])
    regularity: float | None = Field(
        description="Sleep Regularity Index, -100 to 100; null: too little is known",
        examples=[81.5],
    )
    figures: dict[str, FigureSpread | None] = Field(
        description="of each evening's longest night, names and units as in a recording; "
        "`bedtime_min` and `rise_min`: minutes by the clock on the wall since the evening's "
        "noon; null: no night has it"
    )


class TrendReport(BaseModel):
    """A device's weeks, the oldest first."""

    device: str = Field(examples=["bedroom"])
    time_zone: str = Field(examples=["Europe/Berlin"])
    since: date = Field(description="the first evening", examples=["2026-03-02"])
    until: date = Field(description="the evening behind the last", examples=["2026-03-30"])
    nights: int = Field(examples=[26])
    missing: int = Field(description="evenings without a night", examples=[2])
    regularity: float | None = Field(
        description="Sleep Regularity Index of all weeks; null: too little is known",
        examples=[78.25],
    )
    weeks: list[TrendWeek]


@router.get("/trends", operation_id="getTrends", summary="Get nights over weeks")
async def get_trends(
    device: DeviceName,
    who: Reader,
    store: Store,
    weeks: Annotated[int, Query(ge=1, le=trends.MOST_WEEKS, description="how many")] = 8,
    until: Annotated[
        Day | None,
        Query(
            ge=FIRST.date(),
            le=LAST.date(),
            description="the evening behind the last; left out: up to last night",
            examples=["2026-03-30"],
        ),
    ] = None,
) -> TrendReport:
    """Return the middle and the spread of each figure, week by week, and how regular sleep was.

    Nights under way, naps, and nights that a person excluded do not count.
    """
    found = await store.read(
        lambda it: trends.of(
            who.tenant, it, device, weeks=weeks, until=until, now=datetime.now(UTC)
        )
    )
    return TrendReport.model_validate({**asdict(found), "device": device})
