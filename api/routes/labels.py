"""Reference stages of a device, from a polysomnography or a diary."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Security
from pydantic import AwareDatetime, Field, TypeAdapter

from api.bodies import Body
from api.deps import caller, database
from api.moments import FIRST, LAST
from api.moments import Moment as Instant
from api.names import NAME, DeviceName
from api.paging import MAX_PAGE_SIZE, PageSize, PageToken, next_token, position_of
from api.problems import documented, invalid
from api.scopes import LABELS_WRITE
from api.windows import Moment
from noctis.epoch import EPOCH_SECONDS
from noctis.identity import Principal
from noctis.stages import AASM_NAMES, Stage
from noctis.storage import labels
from noctis.storage.database import Database

__all__ = ["Source", "router"]

router = APIRouter(
    prefix="/v1/devices", tags=["labels"], responses=documented(401, 403, 404, 422, 503, 504)
)

MOST: Final = 10_000
_START: Final = "2026-03-01T22:14:30Z"
_BY_PLACE: Final = TypeAdapter(tuple[AwareDatetime, Annotated[str, Field(pattern=NAME)]])
_LENGTH: Final = timedelta(seconds=EPOCH_SECONDS)

Place = Annotated[Instant, Field(ge=FIRST, le=LAST, examples=[_START])]
Source = Annotated[str, Field(pattern=NAME, description="whose they are", examples=["psg"])]
Chosen = Annotated[
    str | None, Query(pattern=NAME, description="of this source alone", examples=["psg"])
]
Keeper = Annotated[Principal, Security(caller, scopes=[LABELS_WRITE])]


class Label(Body):
    """What a source says of the 30 s from `start` on."""

    start: Place
    stage: Literal["wake", "light", "deep", "rem", "W", "N1", "N2", "N3", "R"] = Field(
        description="one of our four stages, or one of the AASM's five", examples=["N2"]
    )


class LabelSet(Body):
    """Labels of one source."""

    source: Source
    labels: list[Label] = Field(min_length=1, max_length=MOST)


class Kept(Body):
    """What came of it."""

    device: str = Field(examples=["bedroom"])
    source: Source
    labels: int = Field(description="that are stored now", examples=[960])
    replaced: int = Field(description="of the source, of the same time, that gave way")


class Known(Body):
    """A stored label."""

    start: datetime = Field(examples=[_START])
    source: str = Field(examples=["psg"])
    stage: Literal["wake", "light", "deep", "rem"]


class LabelPage(Body):
    """Labels by their start."""

    labels: list[Known]
    next_page_token: str | None = Field(description="null on the last page")


@router.put("/{device:name}/labels", operation_id="setLabels", summary="Keep reference stages")
async def set_labels(
    device: DeviceName,
    sent: LabelSet,
    who: Keeper,
    store: Annotated[Database, Depends(database)],
) -> Kept:
    """Store a source's labels; what it had said of the same time gives way to them.

    All of them or none. The same request again changes nothing.
    """
    _check_apart([each.start for each in sent.labels])
    found = [labels.Label(each.start, _stage(each.stage)) for each in sent.labels]
    replaced = await store.call(
        lambda it: labels.put(who.tenant, it, device, found, source=sent.source, by=who.subject)
    )
    return Kept(device=device, source=sent.source, labels=len(found), replaced=replaced)


@router.get(
    "/{device:name}/labels",
    operation_id="listLabels",
    summary="List reference stages",
    responses=documented(400),
)
async def list_labels(
    *,
    device: DeviceName,
    who: Keeper,
    store: Annotated[Database, Depends(database)],
    source: Chosen = None,
    since: Moment = None,
    until: Moment = None,
    page_size: PageSize = 100,
    page_token: PageToken = None,
) -> LabelPage:
    """Return the labels with since <= start < until, by their start."""
    query = (device, source, since, until)
    after = position_of(page_token, _BY_PLACE, *query) if page_token else None
    size = min(page_size, MAX_PAGE_SIZE)
    found = await store.call(
        lambda it: labels.page(
            who.tenant, it, device, source, (since, until), after=after, limit=size + 1
        )
    )
    page = [Known(start=it.start, source=of, stage=it.stage.label) for it, of in found[:size]]
    token = None
    if len(found) > size:
        token = next_token([page[-1].start.isoformat(), page[-1].source], *query)
    return LabelPage(labels=page, next_page_token=token)


@router.delete(
    "/{device:name}/labels",
    operation_id="deleteLabels",
    summary="Delete reference stages",
    status_code=204,
)
async def delete_labels(
    *,
    device: DeviceName,
    who: Keeper,
    store: Annotated[Database, Depends(database)],
    source: Chosen = None,
    since: Moment = None,
    until: Moment = None,
) -> None:
    """Delete the labels with since <= start < until, of one source or of all."""
    await store.call(
        lambda it: labels.remove(who.tenant, it, device, source, since=since, until=until)
    )


def _stage(name: str) -> Stage:
    return AASM_NAMES[name] if name in AASM_NAMES else Stage.from_label(name)


def _check_apart(starts: Sequence[datetime]) -> None:
    """Raise ProblemError 422 that points at a label which overlaps another one."""
    order = sorted(range(len(starts)), key=lambda place: starts[place])
    for before, place in pairwise(order):
        if starts[place] - starts[before] < _LENGTH:
            detail = f"is less than {EPOCH_SECONDS} s after that of labels[{before}]"
            raise invalid(("body", "labels", place, "start"), detail)
