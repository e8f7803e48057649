"""How each tenant, the platform and the models stand."""

from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Security
from pydantic import BaseModel, Field

from api.catalogue import Catalogue
from api.deps import caller, catalogue, platform, settings
from api.internal.parts import Part, gathered
from api.internal.services import Service, look
from api.problems import ProblemError, documented
from api.scopes import INTERNAL_READ
from api.threads import in_thread
from noctis.errors import ConfigurationError
from noctis.identity import Principal
from noctis.settings import Settings
from noctis.storage import gaps, standing
from noctis.storage.database import Database
from registry.presence import holders

__all__ = ["router"]

router = APIRouter(
    prefix="/internal/monitoring",
    tags=["monitoring"],
    responses=documented(401, 403, 422, 503, 504),
)

Reader = Annotated[Principal, Security(caller, scopes=[INTERNAL_READ])]
Everyones = Annotated[Database, Depends(platform)]
Known = Annotated[Catalogue, Depends(catalogue)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Chosen = Annotated[Settings, Depends(settings)]


class Tenant(BaseModel):
    """How a tenant's devices stand; the counts of epochs are by the devices' own last words."""

    name: str = Field(examples=["home"])
    online: int = Field(description="devices that said so within 11 minutes")
    sleeping: int = Field(description="devices that said so, to save their battery")
    silent: int = Field(description="devices that said nothing for 11 minutes")
    lost: int = Field(description="devices whose last will the broker told")
    new: int = Field(description="devices that never said anything")
    backlog: int = Field(description="epochs that wait in devices to be stored")
    overwritten: int = Field(description="epochs lost since boot: a device's flash was full")
    damaged: int = Field(description="epochs lost since boot: they could not be read back")
    missing: int = Field(description="gaps: epochs between stored ones of 5 to 20 minutes ago")


class SilentDevice(BaseModel):
    """A device that says nothing, with its last words."""

    tenant: str = Field(examples=["home"])
    device: str = Field(examples=["bedroom"])
    state: str | None = Field(description="as it, or its last will, said", examples=["lost"])
    reported_at: datetime
    backlog: int = Field(description="epochs that waited in it then", examples=[12])


class Gap(BaseModel):
    """A device that misses epochs of the window."""

    tenant: str = Field(examples=["home"])
    device: str = Field(examples=["bedroom"])
    missing: int = Field(examples=[3])
    stored: int = Field(description="of the same window", examples=[117])


class Waiting(BaseModel):
    """What waits in the database, and its size."""

    database_bytes: int
    stale_days: int = Field(description="days of devices whose nights are to be found again")
    erasures: int = Field(description="ordered and not done")
    operations: int = Field(description="ordered and not finished")
    oldest_operation_s: float = Field(description="how long the oldest of them waits; 0: none")


class Serving(BaseModel):
    """A process that serves a model, by what it said within the last 15 s."""

    process: str = Field(description="service, host and number", examples=["inference vm/7"])
    model: str | None = Field(description="null: none loads", examples=["stager@1"])
    refusal: str | None = Field(description="why it does not serve the champion; else null")


class Monitoring(BaseModel):
    """Everything at a moment; a part that cannot be told says why."""

    at: datetime
    tenants: Part[list[Tenant]]
    waiting: Part[Waiting]
    services: Part[list[Service]]
    models: Part[list[Serving]]


@router.get("", operation_id="getMonitoring", summary="How the platform fares")
async def get_monitoring(
    _who: Reader, store: Everyones, known: Known, chosen: Chosen
) -> Monitoring:
    """Ask every part at once, each with a deadline; one that fails does not fail the rest."""
    told = await gathered(
        {
            "tenants": partial(_tenants, store),
            "waiting": partial(_waiting, store),
            "services": partial(look, chosen),
            "models": partial(_models, known),
        }
    )
    return Monitoring.model_validate({"at": datetime.now(UTC), **_plain(told)})


@router.get("/tenants", operation_id="listTenantStandings", summary="How each tenant stands")
async def list_tenants(_who: Reader, store: Everyones) -> list[Tenant]:
    """Return each tenant's devices by state, what waits in them, losses and gaps."""
    return await _tenants(store)


@router.get("/silent", operation_id="listSilentDevices", summary="Which devices say nothing")
async def list_silent(_who: Reader, store: Everyones, limit: Limit = 100) -> list[SilentDevice]:
    """Return devices that the broker lost, or that were silent for 11 minutes, by how long."""
    found = await store.call(lambda it: standing.silent(it, limit=limit))
    return [SilentDevice(**asdict(it)) for it in found]


@router.get("/gaps", operation_id="listGaps", summary="Which devices miss epochs")
async def list_gaps(
    _who: Reader,
    store: Everyones,
    hours: Annotated[float, Query(gt=0.1, le=24, description="of the window")] = 1,
    limit: Limit = 100,
) -> list[Gap]:
    """Return devices with epochs that are missing between stored ones, the most first.

    The window ends five minutes ago: younger epochs may be on their way. A gap that the device
    itself told of, by a new run, is none.
    """
    since_s = round(hours * 3600)
    found = await store.call(lambda it: gaps.list_all(it, since_s, limit=limit))
    return [Gap(**asdict(it)) for it in found]


@router.get("/waiting", operation_id="getWaiting", summary="What waits in the database")
async def get_waiting(_who: Reader, store: Everyones) -> Waiting:
    """Return what is ordered or marked and not done yet."""
    return await _waiting(store)


@router.get(
    "/services",
    operation_id="listServices",
    summary="How each service fares",
    responses=documented("not-ready"),
)
async def list_services(_who: Reader, chosen: Chosen) -> list[Service]:
    """Return what each service tells of itself: its session, breakers, what it holds."""
    try:
        return await look(chosen)
    except ConfigurationError as error:
        raise ProblemError(503, str(error), kind="not-ready") from error


@router.get("/models", operation_id="listServing", summary="Which process serves which model")
async def list_models(_who: Reader, known: Known) -> list[Serving]:
    """Return what each process serves, and why where it is not the champion."""
    return await _models(known)


async def _tenants(store: Database) -> list[Tenant]:
    return [Tenant(**asdict(it)) for it in await store.call(standing.of_tenants)]


async def _waiting(store: Database) -> Waiting:
    return Waiting(**asdict(await store.call(standing.of_platform)))


async def _models(known: Catalogue) -> list[Serving]:
    def read() -> list[Serving]:
        return [
            Serving(**asdict(each))
            for name in known.names()
            for each in holders(known.root / name)
        ]

    return await in_thread(read)


def _plain(parts: dict[str, Part[Any]]) -> dict[str, Any]:
    return {name: part.model_dump() for name, part in parts.items()}
