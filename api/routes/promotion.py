"""A new champion: past the gate, with somebody who answers for it."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import Field, ValidationError

from api.auditing import noted
from api.bodies import Body
from api.catalogue import Catalogue, Pointer
from api.deps import catalogue
from api.etags import IfMatch
from api.problems import ProblemError, documented, invalid
from api.routes.aliases import Store, Text, Writer, moved
from api.routes.models import AliasState, ModelName, VersionName
from evaluation import promotion
from evaluation.comparison import Report
from inference import versions
from noctis.errors import ModelError
from registry.store import CHAMPION, Switch

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/models", tags=["models"], responses=documented(401, 403, 422, 504)
)


class Promotion(Body):
    """Why a version is to serve, and who answers for it."""

    approver: Text = Field(min_length=1, examples=["Ada Lovelace"])
    report: dict[str, Any] | None = Field(
        None,
        description="what `noctis model compare VERSION --data NIGHTS --out FILE` wrote: both "
        "models on nights that neither has learnt from",
        examples=[None],
    )
    reason: Text = Field("", description="for the history", examples=["more deep sleep"])
    override: Text = Field(
        "", description="promote whatever the gate says, for this reason", examples=[""]
    )


@router.post(
    "/{model:name}/versions/{version:name}:promote",
    operation_id="promoteVersion",
    summary="Let a version serve",
    responses=documented(404, 409, 412, 413, 428, "gate", "model"),
)
async def promote_version(
    *,
    model: ModelName,
    version: VersionName,
    wanted: Promotion,
    who: Writer,
    store: Store,
    known: Annotated[Catalogue, Depends(catalogue)],
    response: Response,
    if_match: IfMatch = None,
) -> AliasState:
    """Let `champion` point at a version that holds its own against the one that serves.

    The gate decides again from the counts of the report, which must be on these two versions
    as they are here; 409 names its reasons. `If-Match` is the ETag of the alias `champion`.
    Every process loads the new champion within seconds.
    """
    if not wanted.approver.strip():
        raise invalid(("body", "approver"), "a champion needs somebody who answers for it")
    report = _report(wanted.report)

    def work(current: Pointer) -> Switch:
        registry = known.registry(model)
        folder = registry.version_folder(version)
        versions.load(folder)
        if report is not None:
            serving = known.folder(model, known.resolve(model, CHAMPION))
            _check(report, (folder, serving))
        words = promotion.words(report, wanted.override, wanted.reason)
        if report is not None:
            promotion.keep(report, registry.folder / "reports" / f"{report.sha256}.json")
        return registry.promote(
            CHAMPION,
            version,
            approver=wanted.approver.strip(),
            reason=f"{words}; asked by {who.subject}",
            expected=current.version,
        )

    now = await moved(known, model, CHAMPION, work, if_match=if_match, response=response)
    facts = {"version": version, "approver": wanted.approver, "override": wanted.override}
    await noted(who, store, "model_promoted", f"{model}@{CHAMPION}", **facts)
    return now


def _report(sent: dict[str, Any] | None) -> Report | None:
    try:
        return None if sent is None else Report.model_validate(sent)
    except ValidationError as error:
        [first, *_] = error.errors()
        raise invalid(("body", "report", *first["loc"]), first["msg"]) from error


def _check(report: Report, folders: tuple[Path, Path]) -> None:
    """Hold a report against the gate; counts of any shape and size may have been sent."""
    try:
        promotion.check(report, folders, "the report")
    except ModelError:
        raise
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        detail = "its counts are none of a comparison"
        raise ProblemError(409, detail, kind="gate") from error
