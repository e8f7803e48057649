"""Stages on request, and why the model tells them."""

from datetime import datetime
from typing import Annotated, Final, Literal, Self

import numpy as np
from fastapi import APIRouter, Depends, Security
from numpy.typing import NDArray
from pydantic import BaseModel, Field, StrictInt

from api.bodies import Body
from api.deps import caller, database, desk
from api.desk import Desk
from api.features import NewEpoch
from api.moments import FIRST, LAST
from api.moments import Moment as Instant
from api.names import NAME
from api.predicting import MOST, Asked, at, posted, stored
from api.problems import InvalidField, ProblemError, documented, invalid
from api.scopes import PREDICT
from api.threads import in_thread
from inference.explanation import Explanation
from inference.stage import Judged
from noctis.features import NAMES
from noctis.identity import Principal
from noctis.stages import LABELS
from noctis.storage.database import Database

__all__ = ["router"]

router = APIRouter(
    prefix="/v1",
    tags=["predict"],
    responses=documented(401, 403, 404, 413, 422, 429, 503, 504, "busy", "no-model"),
)
Asking = Annotated[Principal, Security(caller, scopes=[PREDICT])]
Store = Annotated[Database, Depends(database)]
Models = Annotated[Desk, Depends(desk)]
Moment = Annotated[Instant, Field(ge=FIRST, le=LAST, examples=["2026-03-01T22:14:30Z"])]
Name = Annotated[str, Field(pattern=NAME, examples=["bedroom"])]
Session = Annotated[
    list[NewEpoch | None],
    Field(
        min_length=1,
        max_length=MOST,
        description="one each 30 s, oldest first, since the sleeper came to bed; null: missing",
    ),
]
_CHANCES: Final = {"wake": 0.04, "light": 0.81, "deep": 0.11, "rem": 0.04}


class Question(Body):
    """A `device`'s epochs with `since` ≤ start < `until`, or `epochs` that are sent."""

    device: Name | None = None
    since: Moment | None = None
    until: Moment | None = None
    epochs: Session | None = None
    last: Annotated[StrictInt, Field(ge=1)] | None = Field(
        None, description="only so many, the last ones; the others are looked back at"
    )


class Why(Body):
    """The epoch of a `device` `at` a moment, or the last of `epochs` that are sent."""

    device: Name | None = None
    at: Moment | None = None
    epochs: Session | None = None


class Stage(BaseModel):
    """What the model judges an epoch to be."""

    index: int = Field(description="of the epoch, as they were sent or by their start")
    start: datetime | None = Field(description="of a stored epoch")
    stream: str | None = Field(description="of a stored epoch", examples=["00f1e2d3c4b5a697"])
    seq: int | None = Field(description="of a stored epoch", examples=[731])
    stage: Literal["wake", "light", "deep", "rem"] | None = Field(
        description="null where nobody was in bed or too little was valid", examples=["light"]
    )
    probability: dict[str, float] | None = Field(examples=[_CHANCES])

    @classmethod
    def of(cls, asked: Asked, judged: Judged) -> Self:
        """Return a judgement as callers see it."""
        return cls(
            index=asked.index,
            start=asked.start,
            stream=None if asked.stream is None else f"{asked.stream:016x}",
            seq=asked.seq,
            stage=None if judged.stage is None else judged.stage.label,
            probability=None if judged.probabilities is None else _named(judged.probabilities),
        )


class Stages(BaseModel):
    """Stages by one model."""

    model: str = Field(description="`name@version`", examples=["stager@1"])
    stages: list[Stage]


class Reasons(BaseModel):
    """What each measured feature adds to the log-odds of each stage, from `base` on.

    Shapley values over random orders; `standard_errors` are those of the orders drawn.
    """

    model: str = Field(description="`name@version`", examples=["stager@1"])
    probability: dict[str, float] = Field(examples=[_CHANCES])
    base: dict[str, float] = Field(description="log-odds where nothing is measured")
    log_odds: dict[str, float]
    contributions: dict[str, dict[str, float]] = Field(description="by feature, then stage")
    standard_errors: dict[str, dict[str, float]]


@router.post(
    "/predict",
    operation_id="predictStages",
    summary="Stage epochs",
    responses=documented(422, "too-much"),
)
async def predict(question: Question, who: Asking, store: Store, models: Models) -> Stages:
    """Stage up to 12 hours, stored or sent, by the model in use; nothing is stored.

    The numbers are those that the live worker tells of the same epochs by the same model.
    """
    asked = await _asked(question, who, store)
    if question.last is not None:
        asked = asked[-question.last :]
    model, judged = await models.judge([it.session for it in asked])
    pairs = zip(asked, judged, strict=True)
    return Stages(model=model.full_name, stages=[Stage.of(*each) for each in pairs])


@router.post(
    "/predict:explain",
    operation_id="explainStage",
    summary="Explain a stage",
    responses=documented(422, "no-stage"),
)
async def explain(why: Why, who: Asking, store: Store, models: Models) -> Reasons:
    """Tell what each feature adds to what the model says of one epoch."""
    device, moment, sent = why.device, why.at, why.epochs
    if sent is not None and device is None and moment is None:
        asked = await in_thread(lambda: posted(sent, last=1) if sent[-1] else [])
    elif sent is None and device is not None and moment is not None:
        asked = await store.call(lambda it: at(who, it, device, moment))
    else:
        raise invalid(("body",), "name device and at, or epochs")
    session = asked[0].session if asked else None
    if session is None or not len(session):
        detail = "that epoch has no stage: none is stored, an empty bed, or too little measured"
        wrong = [InvalidField.at(("body", "at" if sent is None else "epochs"), detail)]
        raise ProblemError(422, detail, kind="no-stage", errors=wrong)
    model, found = await models.explain(session)
    return _reasons(model.full_name, found)


async def _asked(question: Question, who: Principal, store: Database) -> list[Asked]:
    device, since, until = question.device, question.since, question.until
    sent = question.epochs
    if sent is not None and (device, since, until) == (None, None, None):
        return await in_thread(lambda: posted(sent, question.last))
    if sent is None and device is not None and since is not None and until is not None:
        if since >= until:
            raise invalid(("body", "since"), "is not before until")
        return await store.call(lambda it: stored(who, it, device, since, until))
    raise invalid(("body",), "name device, since and until, or epochs")


def _named(values: tuple[float, ...]) -> dict[str, float]:
    """Return probabilities by stage, each the shortest number that means the same 32 bits."""
    short = (float(str(np.float32(value))) for value in values)
    return dict(zip(LABELS, short, strict=True))


def _reasons(model: str, found: Explanation) -> Reasons:
    def by_stage(values: NDArray[np.float64]) -> dict[str, float]:
        return dict(zip(LABELS, np.round(values, 6).tolist(), strict=True))

    def by_feature(values: NDArray[np.float64]) -> dict[str, dict[str, float]]:
        return {name: by_stage(row) for name, row in zip(NAMES, values, strict=True)}

    return Reasons(
        model=model,
        probability=by_stage(found.probabilities),
        base=by_stage(found.base),
        log_odds=by_stage(found.log_odds),
        contributions=by_feature(found.contributions),
        standard_errors=by_feature(found.errors),
    )
