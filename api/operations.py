"""Operations as callers see them, and how one is ordered."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, cast
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field

from api.catalogue import Catalogue
from api.problems import ProblemError, invalid
from api.scopes import EVALUATION_RUN, EXPERIMENTS_READ, REPLAY_RUN
from api.threads import in_thread
from inference.night import NIGHT_NAME
from noctis.identity import Principal
from noctis.storage import operations
from noctis.storage.database import Connection, Database
from noctis.storage.operations import Kind
from registry.errors import UnknownVersionError

__all__ = ["NAME", "SCOPES", "Operation", "Progress", "kinds_of", "order", "told", "version_of"]

MOST_OPEN: Final = 20
NAME: Final = "^[a-z0-9][a-z0-9.-]{0,63}$"
SCOPES: Final[Mapping[Kind, str]] = {
    "replay": REPLAY_RUN,
    "evaluation": EVALUATION_RUN,
    "experiment": EXPERIMENTS_READ,
}
"""Who may see and order what."""

_UNITS: Final[Mapping[Kind, str]] = {"replay": "epochs", "evaluation": "devices"}


class Progress(BaseModel):
    """How far it is."""

    done: int = Field(examples=[4096])
    total: int | None = Field(description="null while it is not known", examples=[20160])
    unit: str = Field(description="what is counted", examples=["epochs"])


class Operation(BaseModel):
    """Something that takes long; it goes on whatever becomes of the one who ordered it."""

    id: UUID
    kind: Kind
    state: Literal["queued", "running", "cancelling", "cancelled", "failed", "done"]
    progress: Progress
    request: dict[str, Any] = Field(
        description="what was asked for",
        examples=[{"model": "stager", "version": "2", "device": "bedroom"}],
    )
    requested_by: str = Field(examples=["ann@home"])
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    result: dict[str, Any] | None = Field(
        description="what came of it, once it is done",
        examples=[{"replay": 3, "epochs": 20160, "stored": 20160}],
    )
    error: str | None = Field(description="why it failed; else null")


def told(it: operations.Operation) -> Operation:
    """Return an operation as it is told."""
    kind = cast("Kind", it.kind)  # a load is no tenant's
    return Operation(
        id=it.id,
        kind=kind,
        state=it.state,
        progress=Progress(done=it.done, total=it.total, unit=_UNITS.get(kind, "parts")),
        request=it.request,
        requested_by=it.requested_by,
        created_at=it.created_at,
        started_at=it.started_at,
        finished_at=it.finished_at,
        result=it.result,
        error=it.error,
    )


def kinds_of(who: Principal) -> list[Kind]:
    """Return the kinds of operations that a caller may see.

    Raises ProblemError 403 where that is none.
    """
    kinds = [kind for kind, scope in SCOPES.items() if scope in who.scopes]
    if not kinds:
        detail = f"the token lacks all of {', '.join(SCOPES.values())}"
        raise ProblemError(403, detail, kind="scope")
    return kinds


async def order(
    who: Principal,
    store: Database,
    kind: Kind,
    request: Mapping[str, object],
    *,
    response: Response,
    device: str | None = None,
) -> Operation:
    """Write an operation down; a runner takes it within a second or so.

    Raises ProblemError 429 where too many of the tenant's wait already, NotFoundError when the
    tenant has no such device.
    """

    def work(connection: Connection) -> operations.Operation | None:
        if operations.open_count(who.tenant, connection) >= MOST_OPEN:
            return None
        return operations.add(
            who.tenant, connection, kind, request, device=device, by=who.subject
        )

    made = await store.call(work)
    if made is None:
        detail = f"{MOST_OPEN} operations of yours wait already; cancel one or come back"
        raise ProblemError(429, detail, kind="busy", headers={"Retry-After": "60"})
    response.headers["Location"] = f"/v1/operations/{made.id}"
    return told(made)


async def version_of(known: Catalogue, model: str, wanted: str) -> str:
    """Return the version that a body's ``version`` means; ProblemError 422 where none does."""
    names = await in_thread(known.names)
    if model not in names:
        raise invalid(("body", "model"), f"there is no model {model!r}")
    if model == NIGHT_NAME:
        detail = "stages whole nights, that are revised as they close: replay a live stager"
        raise invalid(("body", "model"), detail)
    try:
        return await in_thread(lambda: known.resolve(model, wanted))
    except UnknownVersionError as error:
        raise invalid(("body", "version"), error.message) from error
