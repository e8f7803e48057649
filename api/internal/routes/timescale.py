"""What the database holds, and what TimescaleDB does to it by itself."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Request, Security
from pydantic import BaseModel, Field

from api.bodies import Body
from api.deps import caller, platform
from api.internal.authors import author_of
from api.problems import ProblemError, documented
from api.scopes import INTERNAL_READ, INTERNAL_RUN
from noctis.errors import StorageError, StorageUnavailableError
from noctis.identity import Principal
from noctis.storage import audit, inventory, policies
from noctis.storage.database import Connection, Database
from noctis.storage.inventory import Inventory
from noctis.storage.timescale import Edition

__all__ = ["router"]

router = APIRouter(
    prefix="/internal/timescale", tags=["timescale"], responses=documented(401, 403, 503, 504)
)
Reader = Annotated[Principal, Security(caller, scopes=[INTERNAL_READ])]
Changing = Annotated[Principal, Security(caller, scopes=[INTERNAL_RUN])]
Everyones = Annotated[Database, Depends(platform)]
LONGEST_S: Final = 30.0
_MEANING: Final = {
    Edition.NONE: "TimescaleDB is absent: plain tables, and the companion's own jobs",
    Edition.APACHE: "TimescaleDB's Apache edition: chunks, but no compression and no policies",
    Edition.FULL: "TimescaleDB: chunks, compression, a continuous aggregate, policies",
}


class TableSize(BaseModel):
    """A table with its indexes."""

    name: str = Field(examples=["epochs"])
    rows: int = Field(description="as the planner last counted; without those of chunks")
    bytes: int


class Chunk(BaseModel):
    """A chunk of a hypertable."""

    table: str = Field(examples=["epochs"])
    name: str
    since: datetime
    until: datetime
    is_compressed: bool
    bytes: int


class Compression(BaseModel):
    """What compression has made of the chunks that it took."""

    before_bytes: int
    after_bytes: int


class Policies(BaseModel):
    """What TimescaleDB does by itself; null where it cannot, or it is off. In seconds."""

    chunk_interval_s: float | None = Field(description="time in a chunk that is to come")
    compress_after_s: float | None = Field(description="age at which a chunk is compressed")
    refresh_since_s: float | None = Field(description="oldest hours that are refreshed")
    refresh_until_s: float | None = Field(description="youngest hours that are refreshed")
    refresh_every_s: float | None


class Run(BaseModel):
    """A job of TimescaleDB's own, and how its last run ended."""

    name: str = Field(examples=["policy_compression"])
    table: str
    every_s: float
    last_run_at: datetime | None
    last_status: str | None = Field(examples=["Success"])
    failures: int | None
    next_run_at: datetime | None


class Job(BaseModel):
    """A job of the companion's, and how its last run ended."""

    name: str
    until: datetime | None = Field(description="all before this is done; null: no such mark")
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None = Field(description="why its last run failed; null: it ended well")


class Timescale(BaseModel):
    """What the database holds, and what is done to it without anybody asking."""

    edition: Literal["none", "apache", "timescale"]
    meaning: str = Field(examples=[_MEANING[Edition.NONE]])
    postgresql: str = Field(examples=["17.2"])
    timescaledb: str | None = Field(description="null: the extension is absent")
    tables: list[TableSize]
    chunks: list[Chunk] = Field(description="empty without the extension")
    compression: Compression
    policies: Policies
    runs: list[Run] = Field(description="TimescaleDB's own jobs; empty without them")
    jobs: list[Job] = Field(description="the companion's own, on every edition")
    waiting_hours: int = Field(description="notes of late hours that wait to be rolled up")


class PolicyChange(Body):
    """What is to be different; what is not named stays."""

    compress_after_s: float | None = Field(None, gt=0, le=4e9, examples=[1_209_600])
    chunk_interval_s: float | None = Field(None, gt=0, le=4e9, examples=[604_800])


@router.get("", operation_id="getTimescale", summary="Sizes, chunks, policies and jobs")
async def get_timescale(_who: Reader, store: Everyones) -> Timescale:
    """Return what there is; on plain PostgreSQL that is sizes and the companion's jobs."""
    found = await store.call(inventory.take, within_s=LONGEST_S)
    return _shown(found)


@router.patch(
    "/policies",
    operation_id="setTimescalePolicies",
    summary="Change what TimescaleDB does by itself",
    responses=documented(409, 422, "edition"),
)
async def set_policies(
    change: PolicyChange, who: Changing, store: Everyones, request: Request
) -> Policies:
    """Set the age of chunks to compress, or the time in chunks to come; it is audited.

    409 where this edition has no such thing, or it makes no sense.
    """
    author = author_of(who, request)
    told = change.model_dump(exclude_none=True)

    def work(connection: Connection) -> policies.Policies:
        if change.chunk_interval_s is not None:
            policies.set_chunk_interval(connection, timedelta(seconds=change.chunk_interval_s))
        if change.compress_after_s is not None:
            policies.set_compression(connection, timedelta(seconds=change.compress_after_s))
        if told:
            facts = {name: str(value) for name, value in told.items()}
            audit.record_as(connection, author, "policies_set", **facts)
        return policies.read(connection)

    try:
        return _policies(await store.call(work))
    except StorageUnavailableError:
        raise
    except StorageError as error:
        raise ProblemError(409, str(error), kind="edition") from error


def _shown(found: Inventory) -> Timescale:
    before, after = found.compressed
    return Timescale(
        edition=found.edition.value,
        meaning=_MEANING[found.edition],
        postgresql=found.postgresql,
        timescaledb=found.timescaledb,
        tables=[TableSize(**asdict(it)) for it in found.tables],
        chunks=[Chunk(**asdict(it)) for it in found.chunks],
        compression=Compression(before_bytes=before, after_bytes=after),
        policies=_policies(found.policies),
        runs=[_run(it) for it in found.runs],
        jobs=[Job(**asdict(it)) for it in found.jobs],
        waiting_hours=found.notes,
    )


def _run(it: inventory.PolicyRun) -> Run:
    told = asdict(it)
    return Run(every_s=told.pop("every").total_seconds(), **told)


def _policies(found: policies.Policies) -> Policies:
    window = found.refresh
    return Policies(
        chunk_interval_s=_seconds(found.chunk_interval),
        compress_after_s=_seconds(found.compress_after),
        refresh_since_s=_seconds(window.since if window else None),
        refresh_until_s=_seconds(window.until if window else None),
        refresh_every_s=_seconds(window.every if window else None),
    )


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()
