"""Who did what, how often, and whether the chain of entries is whole."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Security
from pydantic import BaseModel, Field, TypeAdapter

from api.deps import caller, platform
from api.moments import FIRST, LAST
from api.moments import Moment as Instant
from api.paging import MAX_PAGE_SIZE, PageSize, PageToken, next_token, position_of
from api.problems import documented
from api.scopes import INTERNAL_READ
from noctis.audit_chain import START
from noctis.identity import Principal
from noctis.storage import audit_proof
from noctis.storage.audit_reading import Entry as Stored
from noctis.storage.audit_reading import Filter, Period, counts, page
from noctis.storage.database import Database

__all__ = ["router"]

router = APIRouter(
    prefix="/internal/audit",
    tags=["audit"],
    responses=documented(401, 403, 422, 503, 504),
)
Reader = Annotated[Principal, Security(caller, scopes=[INTERNAL_READ])]
Everyones = Annotated[Database, Depends(platform)]
Text = Annotated[str, Query(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Moment = Annotated[Instant | None, Query(ge=FIRST, le=LAST, examples=["2026-03-01T22:14:30Z"])]
LONGEST_S: Final = 120.0
_BY_NUMBER: Final = TypeAdapter(tuple[int])


class Entry(BaseModel):
    """Something that was done. What an erasure took is null."""

    number: int = Field(examples=[17])
    at: datetime
    tenant: str | None = Field(description="null: the platform, or a tenant that was erased")
    tenant_key: int | None = Field(description="what is left of a tenant that was erased")
    action: str = Field(examples=["user_added"])
    outcome: str = Field(examples=["done"])
    actor: str | None = Field(examples=["user:ann@home"])
    target: str | None = Field(examples=["bob"])
    address: str | None = Field(examples=["192.0.2.7"])
    facts: dict[str, Any] | None = Field(examples=[{"role": "member"}])
    hash: str = Field(description="of this entry and, through them, of all before it")


class EntryPage(BaseModel):
    """Entries, the newest first."""

    entries: list[Entry]
    next_page_token: str | None = Field(description="null on the last page")


class Finding(BaseModel):
    """Something that an honest chain has not."""

    number: int = Field(description="of the entry that shows it; 0: of none")
    what: str


class Verdict(BaseModel):
    """Whether the chain is as it was written."""

    whole: bool
    entries: int
    head: str | None = Field(description="keep it where nobody can change it; null: no entry")
    anchored: bool = Field(description="whether it was held against a head that was kept")
    findings: list[Finding]


class Count(BaseModel):
    """How often something was done in a period."""

    since: datetime
    action: str
    outcome: str
    entries: int


class Report(BaseModel):
    """What was done, by periods (UTC)."""

    period: Period
    counts: list[Count]


async def wanted(
    tenant: Text = "",
    actor: Text = "",
    action: Text = "",
    since: Moment = None,
    until: Moment = None,
) -> Filter:
    """Return which entries a request asks for."""
    return Filter(tenant, actor, action, since, until)


Asked = Annotated[Filter, Depends(wanted)]


@router.get("", operation_id="listAudit", summary="Who did what", responses=documented(400))
async def list_audit(
    _who: Reader,
    store: Everyones,
    asked: Asked,
    page_size: PageSize = 100,
    page_token: PageToken = None,
) -> EntryPage:
    """Return entries of a tenant, an actor, an action, a span of time; the newest first."""
    [before] = position_of(page_token, _BY_NUMBER, asked) if page_token else [None]
    size = min(page_size, MAX_PAGE_SIZE)
    found = await store.call(lambda it: page(it, asked, before=before, limit=size + 1))
    told = found[:size]
    token = next_token([told[-1].number], asked) if len(found) > size else None
    return EntryPage(entries=[_shown(it) for it in told], next_page_token=token)


@router.get("/verify", operation_id="verifyAudit", summary="Whether the chain is whole")
async def verify_audit(
    _who: Reader,
    store: Everyones,
    head: Annotated[
        str | None,
        Query(pattern="^[0-9a-f]{64}$", description="a head that was kept elsewhere"),
    ] = None,
) -> Verdict:
    """Reckon every hash again, from the first entry to the last.

    Only a `head` that was kept elsewhere shows that none is missing at the end. It takes some
    seconds for each 100,000 entries; beyond two minutes, 504: use `noctis audit verify`.
    """
    anchor = bytes.fromhex(head) if head else None
    found = await store.call(lambda it: audit_proof.verify(it, anchor), within_s=LONGEST_S)
    return Verdict(
        whole=not found.findings,
        entries=found.number,
        head=None if found.head == START else found.head.hex(),
        anchored=anchor is not None,
        findings=[Finding(**asdict(it)) for it in found.findings],
    )


@router.get("/report", operation_id="reportAudit", summary="How often what was done")
async def report_audit(
    _who: Reader, store: Everyones, asked: Asked, period: Period = "month"
) -> Report:
    """Count what was done in each day, week or month."""
    found = await store.call(lambda it: counts(it, asked, period))
    return Report(period=period, counts=[Count(**asdict(it)) for it in found])


def _shown(it: Stored) -> Entry:
    return Entry(**{**asdict(it), "hash": it.hash.hex()})
