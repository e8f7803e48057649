"""How processes bear what fails, and faults that are made to happen in them."""

from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response, Security
from pydantic import BaseModel, Field

from api.bodies import Body
from api.deps import caller, platform
from api.internal.authors import author_of
from api.internal.parts import Part, gathered
from api.problems import ProblemError, documented, invalid
from api.scopes import INTERNAL_READ, INTERNAL_RUN
from noctis import breaker
from noctis.errors import ConfigurationError
from noctis.faults import POINTS
from noctis.identity import Principal
from noctis.storage import steering
from noctis.storage.database import Database
from noctis.storage.steering import LONGEST_S, FaultsForbiddenError

__all__ = ["router"]

router = APIRouter(
    prefix="/internal/resilience", tags=["resilience"], responses=documented(401, 403, 503, 504)
)
Reader = Annotated[Principal, Security(caller, scopes=[INTERNAL_READ])]
Breaking = Annotated[Principal, Security(caller, scopes=[INTERNAL_RUN])]
Everyones = Annotated[Database, Depends(platform)]
_RULES: Final = "database.commit=latency:0.5@0.1"


class Breaker(BaseModel):
    """A circuit breaker of a process."""

    name: str = Field(examples=["database"])
    state: str = Field(description="closed, half_open or open", examples=["closed"])
    since: datetime = Field(description="when it last opened, or closed for good")


class Fault(BaseModel):
    """A rule in use in a process."""

    order: UUID | None = Field(description="null: the process was started with it")
    rule: str = Field(examples=[_RULES])
    point: str = Field(examples=["database.commit"])
    seconds_left: float | None = Field(description="null: as long as the process runs")
    passages: int = Field(description="how often the point was passed since")
    happened: int = Field(description="how often it happened")


class Process(BaseModel):
    """A process, by what it last said of itself."""

    id: UUID
    service: str = Field(examples=["ingestor"])
    host: str
    pid: int
    version: str
    started_at: datetime
    silent_s: float = Field(description="since it said so; more than 15: gone, or cut off")
    is_here: bool
    clock_skew_s: float = Field(description="how far its clock is ahead of the database's")
    allows_faults: bool = Field(description="whether it runs with NOCTIS_FAULTS=allowed")
    refusal: str | None = Field(description="why it did not do what was ordered; else null")
    breakers: list[Breaker]
    faults: list[Fault]


class Order(BaseModel):
    """Faults that were ordered, until they end or are withdrawn."""

    id: UUID
    rules: str = Field(examples=[_RULES])
    services: list[str] = Field(examples=[["ingestor"]])
    processes: list[UUID] = Field(description="those that ran when it was given")
    ordered_by: str
    ordered_at: datetime
    until: datetime


class Point(BaseModel):
    """Where a fault can be made to happen."""

    name: str = Field(examples=["database.commit"])
    where: str = Field(examples=["before COMMIT is sent"])


class Resilience(BaseModel):
    """Everything at a moment; a part that cannot be told says why."""

    at: datetime
    processes: Part[list[Process]]
    orders: Part[list[Order]]
    here: list[Breaker] = Field(description="of the process that answers, whoever is away")
    points: list[Point]


class NewOrder(Body):
    """What is to fail, where and for how long."""

    rules: str = Field(
        min_length=1,
        max_length=1000,
        description="point=kind[:seconds][@probability][@#passages], parted by `;`",
        examples=[_RULES],
    )
    services: list[str] = Field(min_length=1, max_length=20, examples=[["ingestor"]])
    seconds: float = Field(gt=0, le=LONGEST_S, description="when it ends", examples=[60])


@router.get("", operation_id="getResilience", summary="Breakers and faults of all processes")
async def get_resilience(_who: Reader, store: Everyones) -> Resilience:
    """Return what each process said of itself within a day, and the orders that are open."""
    told = await gathered(
        {"processes": partial(_processes, store), "orders": partial(_orders, store)}
    )
    here = [
        Breaker(name=it.name, state=it.state.name.lower(), since=_moment(it.since))
        for it in breaker.known()
    ]
    points = [Point(name=name, where=where) for name, where in POINTS.items()]
    parts = {name: part.model_dump() for name, part in told.items()}
    return Resilience.model_validate(
        {"at": datetime.now(UTC), "here": here, "points": points, **parts}
    )


@router.post(
    "/faults",
    operation_id="orderFaults",
    summary="Make something fail",
    status_code=201,
    responses=documented(404, 422),
)
async def order_faults(
    wanted: NewOrder, who: Breaking, store: Everyones, request: Request, response: Response
) -> Order:
    """Order faults of all running processes of some services; they begin within two seconds.

    403 unless every one of these processes runs with `NOCTIS_FAULTS=allowed`. They end by
    themselves, in their time, and with the process. Each order is audited.
    """
    author = author_of(who, request)
    try:
        given = await store.call(
            lambda it: steering.order(
                it, wanted.rules, wanted.services, wanted.seconds, author=author
            )
        )
    except ConfigurationError as error:
        raise invalid(("body", "rules"), error.message) from error
    except FaultsForbiddenError as error:
        raise ProblemError(403, str(error), kind="faults-forbidden") from error
    response.headers["Location"] = f"/internal/resilience/faults/{given.id}"
    return Order(**asdict(given))


@router.delete(
    "/faults/{order}",
    operation_id="withdrawFaults",
    summary="Let an order end now",
    status_code=204,
    responses=documented(404, 422),
)
async def withdraw_faults(
    order: UUID, who: Breaking, store: Everyones, request: Request
) -> None:
    """Withdraw an order; processes hear of it within two seconds. 404 where it has ended."""
    author = author_of(who, request)
    await store.call(lambda it: steering.withdraw(it, order, author=author))


@router.delete(
    "/faults",
    operation_id="withdrawAllFaults",
    summary="Let all orders end now",
    status_code=204,
)
async def withdraw_all_faults(who: Breaking, store: Everyones, request: Request) -> None:
    """Withdraw every order that is open, if there is one."""
    author = author_of(who, request)
    await store.call(lambda it: steering.withdraw(it, author=author))


async def _processes(store: Database) -> list[Process]:
    found = await store.call(steering.list_processes)
    return [_shown(it) for it in found]


def _shown(it: steering.Seen) -> Process:
    told: dict[str, Any] = asdict(it)
    told["breakers"] = [{**each, "since": _moment(each["since"])} for each in it.breakers]
    return Process.model_validate({**told, "is_here": it.is_here})


async def _orders(store: Database) -> list[Order]:
    return [Order(**asdict(it)) for it in await store.call(steering.list_orders)]


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
