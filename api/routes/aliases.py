"""Moving an alias: to a version, or back; and how far the change has come."""

import os
import socket
from collections.abc import Callable
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Response, Security
from prometheus_client import REGISTRY, CollectorRegistry, multiprocess
from pydantic import BaseModel, Field

from api.catalogue import Catalogue, Pointer
from api.deps import caller, catalogue, serving
from api.etags import IfMatch, check
from api.problems import ProblemError, documented, invalid
from api.routes.models import AliasName, AliasState, ModelName, alias_of
from api.scopes import MODELS_WRITE
from api.threads import in_thread
from inference.serving import Serving
from noctis.errors import ModelError
from noctis.identity import Principal
from registry.errors import AliasMovedError, NothingToUndoError, UnknownVersionError
from registry.store import CHAMPION, Alias, Switch

__all__ = ["Text", "Writer", "moved", "router"]

router = APIRouter(
    prefix="/v1/models", tags=["models"], responses=documented(401, 403, 422, 504)
)

Text = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*$")]
Writer = Annotated[Principal, Security(caller, scopes=[MODELS_WRITE])]
Known = Annotated[Catalogue, Depends(catalogue)]


class Move(BaseModel):
    """Where an alias is to point."""

    version: str = Field(pattern="^[a-z0-9][a-z0-9.-]{0,63}$", examples=["20261122-9da3d8e8"])
    reason: Text = Field("", description="for the history", examples=["to be watched"])


class Rollback(BaseModel):
    """Why an alias goes back, and who answers for it."""

    approver: Text = Field(min_length=1, examples=["Ada Lovelace"])
    reason: Text = Field("", examples=["too much REM"])


class Reloaded(BaseModel):
    """Which models the facade's processes serve."""

    model: str = Field(
        description="what this process serves, after a look", examples=["stager@1"]
    )
    process: str = Field(description="which process that is", examples=["api-1/7"])
    refusal: str | None = Field(description="why it does not serve the champion; else null")
    processes: dict[str, int] = Field(
        description="how many processes of this facade serve each model",
        examples=[{"stager@1": 2}],
    )


@router.put(
    "/{model:name}/aliases/{alias:name}",
    operation_id="setAlias",
    summary="Let an alias point at a version",
    responses=documented(404, 409, 412, 428),
)
async def set_alias(
    *,
    model: ModelName,
    alias: AliasName,
    move: Move,
    who: Writer,
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

    return await moved(known, model, alias, work, if_match=if_match, response=response)


@router.post(
    "/{model:name}/aliases/{alias:name}:rollback",
    operation_id="rollbackAlias",
    summary="Let an alias point where it pointed before",
    responses=documented(404, 409, 412, 428),
)
async def rollback_alias(
    *,
    model: ModelName,
    alias: AliasName,
    order: Rollback,
    who: Writer,
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

    return await moved(known, model, alias, work, if_match=if_match, response=response)


@router.post(
    "/{model:name}:reload",
    operation_id="reloadModel",
    summary="Look for a new champion now",
    responses=documented(404, 503),
)
async def reload_model(
    model: ModelName,
    _who: Writer,
    known: Known,
    held: Annotated[Serving, Depends(serving)],
) -> Reloaded:
    """Let the process that answers look at once; all others look by themselves every second.

    What a model serves is told of `stager`, which the facade asks. A champion that does not
    load is refused, and the former one serves on.
    """
    await in_thread(lambda: known.registry(model))
    try:
        serves = await in_thread(held.look)
    except ModelError as error:
        detail = f"no model serves: {known.without_paths(error.message)}"
        raise ProblemError(503, detail, kind="model") from error
    refusal = held.refusal
    return Reloaded(
        model=serves.full_name,
        process=f"{socket.gethostname()}/{os.getpid()}",
        refusal=None if refusal is None else known.without_paths(str(refusal)),
        processes=await in_thread(_processes),
    )


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

    now = await in_thread(all_of_it)
    structlog.get_logger().info("alias_moved", model=model, alias=alias, version=now.version)
    response.headers["ETag"] = now.etag
    return alias_of(now)


def _processes() -> dict[str, int]:
    """Count this facade's processes by the model they serve, from what they measure."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return {
        sample.labels["model"]: int(sample.value)
        for family in registry.collect()
        if family.name == "noctis_inference_model"
        for sample in family.samples
        if sample.value
    }
