"""Operations of the tenant: what was ordered and takes long."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Security
from pydantic import BaseModel, Field, TypeAdapter

from api.deps import caller, database
from api.operations import Operation, kinds_of, told
from api.paging import MAX_PAGE_SIZE, PageSize, PageToken, next_token, position_of
from api.problems import ProblemError, documented
from api.scopes import OPERATIONS_READ
from noctis.identity import Principal
from noctis.storage import operations
from noctis.storage.database import Connection, Database
from noctis.storage.errors import NotFoundError
from noctis.storage.operations import Kind

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/operations", tags=["operations"], responses=documented(401, 403, 422, 503, 504)
)

_BY_NUMBER: Final = TypeAdapter(tuple[Annotated[int, Field(gt=0, lt=1 << 31)]])

Key = Annotated[UUID, Path(examples=["3f0f3a0a-9a5e-4d6c-8e0c-2b8f6f1c7a10"])]
Caller = Annotated[Principal, Security(caller, scopes=[OPERATIONS_READ])]
Store = Annotated[Database, Depends(database)]


class OperationPage(BaseModel):
    """Operations, the newest first."""

    operations: list[Operation]
    next_page_token: str | None = Field(description="null on the last page")


@router.get(
    "", operation_id="listOperations", summary="List operations", responses=documented(400)
)
async def list_operations(
    *,
    who: Caller,
    store: Store,
    kind: Annotated[Kind | None, Query(description="of this kind alone")] = None,
    page_size: PageSize = 100,
    page_token: PageToken = None,
) -> OperationPage:
    """Return the tenant's operations, of those kinds that the token's scopes are for."""
    kinds = [it for it in kinds_of(who) if kind in {None, it}]
    before = position_of(page_token, _BY_NUMBER, kind)[0] if page_token else None
    size = min(page_size, MAX_PAGE_SIZE)
    found = await store.call(
        lambda it: operations.list_of(who.tenant, it, kinds, before=before, limit=size + 1)
    )
    page = found[:size]
    token = next_token([page[-1].number], kind) if len(found) > size else None
    return OperationPage(operations=[told(it) for it in page], next_page_token=token)


@router.get(
    "/{operation:name}",
    operation_id="getOperation",
    summary="Get an operation",
    responses=documented(404),
)
async def get_operation(operation: Key, who: Caller, store: Store) -> Operation:
    """Return how far an operation is, and what came of it."""
    return told(await store.call(lambda it: _visible(it, who, operation)))


@router.post(
    "/{operation:name}:cancel",
    operation_id="cancelOperation",
    summary="Cancel an operation",
    responses=documented(404),
)
async def cancel_operation(operation: Key, who: Caller, store: Store) -> Operation:
    """Let an operation end after what is in hand; what a replay stored stays.

    One that is finished stays as it is.
    """

    def work(connection: Connection) -> operations.Operation:
        _visible(connection, who, operation)
        return operations.cancel(who.tenant, connection, operation)

    return told(await store.call(work))


@router.post(
    "/{operation:name}:resume",
    operation_id="resumeOperation",
    summary="Resume an operation",
    responses=documented(404, 409, "done"),
)
async def resume_operation(operation: Key, who: Caller, store: Store) -> Operation:
    """Go on with an operation that was cancelled or failed; nothing is done twice."""

    def work(connection: Connection) -> operations.Operation:
        state = _visible(connection, who, operation).state
        if state == "done":
            raise ProblemError(409, "it is done; order another one", kind="done")
        return operations.resume(who.tenant, connection, operation)

    return told(await store.call(work))


def _visible(connection: Connection, who: Principal, key: UUID) -> operations.Operation:
    """Return an operation that a caller may see; one that he may not is not there."""
    kinds = kinds_of(who)
    found = operations.get(who.tenant, connection, key)
    if found.kind not in kinds:
        message = f"tenant {who.tenant!r} has no operation {key}"
        raise NotFoundError(message)
    return found
