"""Moving an alias: to a version, or back; and how far the change has come."""

from collections.abc import Callable
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Response, Security
from pydantic import BaseModel, Field

from api.auditing import noted
from api.catalogue import Catalogue, Pointer
from api.deps import caller, catalogue, database, serving
from api.etags import IfMatch, check
from api.problems import ProblemError, documented, invalid
from api.routes.models import AliasName, AliasState, ModelName, alias_of
from api.scopes import MODELS_WRITE
from api.threads import in_thread, loading
from inference.serving import Serving
from noctis.errors import ModelError
from noctis.identity import Principal
from noctis.storage.database import Database
from registry.errors import AliasMovedError, NothingToUndoError, UnknownVersionError
from registry.presence import Holder, holders
from registry.store import CHAMPION, Alias, Switch

__all__ = ["Store", "Text", "Writer", "moved", "router"]

router = APIRouter(
    prefix="/v1/models", tags=["models"], responses=documented(401, 403, 422, 504)
)

Text = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*$")]
Writer = Annotated[Principal, Security(caller, scopes=[MODELS_WRITE])]
Known = Annotated[Catalogue, Depends(catalogue)]
Store = Annotated[Database, Depends(database)]


class Move(BaseModel):
    """Where an alias is to point."""

    version: str = Field(pattern="^[a-z0-9][a-z0-9.-]{0,63}$", examples=["20261122-51fbb6d0"])
    reason: Text = Field("", description="for the history", examples=["to be watched"])


class Rollback(BaseModel):
    """Why an alias goes back, and who answers for it."""

    approver: Text = Field(min_length=1, examples=["Ada Lovelace"])
    reason: Text = Field("", examples=["too much REM"])


class Process(BaseModel):
    """A process that serves a model of this name."""

    process: str = Field(description="service, host and number", examples=["inference vm/7"])
    model: str | None = Field(description="null: none loads", examples=["stager@1"])
    is_champion: bool = Field(description="whether that is what the champion points at now")
    refusal: str | None = Field(description="why it does not serve the champion; else null")


class Reloaded(BaseModel):
    """What the champion of a model is, and how far it has come."""

    champion: str = Field(description="what is to be served", examples=["stager@1"])
    looked: bool = Field(description="whether the process that answers serves it, and looked")
    processes: list[Process] = Field(
        description="that were there in the last 15 s, of all services that share the registry"
    )


@router.put(
    "/{model:name}/aliases/{alias:name}",
    operation_id="setAlias",
    summary="Let an alias point at a version",
    responses=documented(404, 409, 412, 428, "gate", "model"),
)
async def set_alias(
    *,
    model: ModelName,
    alias: AliasName,
    move: Move,
    who: Writer,
    store: Store,
    known: Known,
    response: Response,
    if_match: IfMatch = None,
) -> AliasState:
    """Move `challenger` or `shadow`, whose version nobody sees; its files are verified first.

    `champion` moves by `:promote`, past the gate, and by `:rollback`.
    """
    if alias == CHAMPION:
        detail = "the champion moves by :promote, past the gate, and by :rollback"
        raise ProblemError(409, detail, kind="gate")

    def work(current: Pointer) -> Switch:
        try:
            return known.registry(model).promote(
                alias,
                move.version,
                approver=who.subject,
                reason=move.reason,
                expected=current.version,
            )
        except UnknownVersionError as error:
            raise invalid(("body", "version"), error.message) from error

    now = await moved(known, model, alias, work, if_match=if_match, response=response)
    await noted(who, store, "model_alias_set", f"{model}@{alias}", version=now.version)
    return now


@router.post(
    "/{model:name}/aliases/{alias:name}:rollback",
    operation_id="rollbackAlias",
    summary="Let an alias point where it pointed before",
    responses=documented(404, 409, 412, 428, "alias", "model"),
)
async def rollback_alias(
    *,
    model: ModelName,
    alias: AliasName,
    order: Rollback,
    who: Writer,
    store: Store,
    known: Known,
    response: Response,
    if_match: IfMatch = None,
) -> AliasState:
    """Take the alias's last switch back; again: the one before it, and so on."""

    def work(current: Pointer) -> Switch:
        return known.registry(model).rollback(
            alias,
            approver=order.approver,
            reason="; ".join(filter(None, (order.reason, f"asked by {who.subject}"))),
            expected=current.version,
        )

    now = await moved(known, model, alias, work, if_match=if_match, response=response)
    await noted(who, store, "model_rolled_back", f"{model}@{alias}", version=now.version)
    return now


@router.post(
    "/{model:name}:reload",
    operation_id="reloadModel",
    summary="Look for a new champion now",
    responses=documented(404, 503, "model"),
)
async def reload_model(
    model: ModelName,
    who: Writer,
    store: Store,
    known: Known,
    held: Annotated[Serving, Depends(serving)],
) -> Reloaded:
    """Let the process that answers look at once, and tell which processes serve what.

    All others look by themselves every second or two: ask again until each `is_champion`. A
    champion that does not load is refused, and the former one serves on. The facade itself
    serves `stager` alone; nights are staged by the companion.
    """
    registry = await in_thread(lambda: known.registry(model))
    is_ours = model == held.name
    if is_ours:
        try:
            await loading(held.look)
        except ModelError as error:
            detail = f"no model serves: {known.without_paths(error.message)}"
            raise ProblemError(503, detail, kind="model") from error
    await noted(who, store, "model_reload_asked", model)

    def work() -> Reloaded:
        champion = f"{model}@{known.resolve(model, CHAMPION)}"
        found = holders(registry.folder)
        told = [_process(it, champion, known) for it in found]
        return Reloaded(champion=champion, looked=is_ours, processes=told)

    return await in_thread(work)


async def moved(
    known: Catalogue,
    model: str,
    alias: Alias,
    work: Callable[[Pointer], Switch],
    *,
    if_match: str | None,
    response: Response,
) -> AliasState:
    """Do a switch of an alias whose state ``if_match`` names; return where it points then.

    Raises ProblemError 412 and 428 as ``etags.check`` does, 412 when another was faster, and
    409 where the registry refuses.
    """

    def all_of_it() -> Pointer:
        current = known.pointer(model, alias)
        check(if_match, current.etag)
        try:
            work(current)
        except AliasMovedError as error:
            raise ProblemError(412, error.message, kind="changed") from error
        except NothingToUndoError as error:
            raise ProblemError(409, error.message, kind="alias") from error
        except UnknownVersionError:
            raise
        except ModelError as error:
            detail = known.without_paths(error.message)
            raise ProblemError(409, detail, kind="model") from error
        return known.pointer(model, alias)

    now = await loading(all_of_it)
    structlog.get_logger().info("alias_moved", model=model, alias=alias, version=now.version)
    response.headers["ETag"] = now.etag
    return alias_of(now)


def _process(it: Holder, champion: str, known: Catalogue) -> Process:
    refusal = None if it.refusal is None else known.without_paths(it.refusal)
    is_champion = it.model == champion
    return Process(process=it.process, model=it.model, is_champion=is_champion, refusal=refusal)
