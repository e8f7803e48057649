"""What is stored of a device: its epochs and their sleep stages."""

from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Security
from pydantic import BaseModel, Field

from api.deps import caller, database
from api.names import DeviceName
from api.problems import documented
from api.scopes import EPOCHS_READ, PREDICTIONS_READ
from api.windows import Window, window
from noctis.features import FEATURES
from noctis.identity import Principal
from noctis.stages import LABELS
from noctis.storage import epochs, predictions
from noctis.storage.database import Connection, Database

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/devices/{device:name}",
    tags=["epochs"],
    responses=documented(401, 403, 404, 422, 503, 504),
)
_STREAM: Final = "00f1e2d3c4b5a697"
_START: Final = "2026-03-01T22:14:30Z"
_VALUES: Final = {"hr_mean": 58.5, "rr_mean": 14.2, "act_count": 0.0, "quality": 1.0}


class Epoch(BaseModel):
    """30 seconds of a sleeper."""

    start: datetime = Field(examples=[_START])
    placement: str = Field(
        description="how the start is known: `device`, `corrected`, `anchored`, `estimated`",
        examples=["device"],
    )
    stream: str = Field(description="64 bits of the device's spool, in hex", examples=[_STREAM])
    seq: int = Field(description="with `stream` the epoch's identity", examples=[731])
    in_bed: bool
    features: dict[str, float | None] = Field(
        description="; ".join(f"`{f.name}` ({f.unit}): {f.title}" for f in FEATURES)
        + "; null where it is missing",
        examples=[_VALUES],
    )


class EpochPage(BaseModel):
    """Epochs by their start."""

    epochs: list[Epoch]
    next_page_token: str | None = Field(description="null on the last page")


class Prediction(BaseModel):
    """What a model judged an epoch to be."""

    start: datetime = Field(examples=[_START])
    stream: str = Field(examples=[_STREAM])
    seq: int = Field(examples=[731])
    stage: Literal["wake", "light", "deep", "rem"] | None = Field(
        description="null where nobody was in bed or too little was valid", examples=["light"]
    )
    probability: dict[str, float] | None = Field(
        examples=[{"wake": 0.04, "light": 0.81, "deep": 0.11, "rem": 0.04}]
    )
    model: str = Field(description="`name@version`", examples=["stager@1"])


class PredictionPage(BaseModel):
    """Predictions by the start of their epochs."""

    predictions: list[Prediction]
    next_page_token: str | None = Field(description="null on the last page")


@router.get(
    "/epochs",
    operation_id="listEpochs",
    summary="List a device's epochs",
    responses=documented(400),
)
async def list_epochs(
    device: DeviceName,
    who: Annotated[Principal, Security(caller, scopes=[EPOCHS_READ])],
    span: Annotated[Window, Depends(window)],
    store: Annotated[Database, Depends(database)],
) -> EpochPage:
    """Return the epochs with since <= start < until, by their start, in physical units."""
    page = await store.read(lambda it: _epochs(it, who, device, span))
    return EpochPage(
        epochs=[
            Epoch(
                start=each.epoch_start,
                placement=each.placement,
                stream=f"{each.stream:016x}",
                seq=each.seq,
                in_bed=each.in_bed,
                features=each.values,
            )
            for each in page
        ],
        next_page_token=span.next_token(page),
    )


@router.get(
    "/predictions",
    operation_id="listPredictions",
    summary="List the sleep stages of a device's epochs",
    responses=documented(400),
)
async def list_predictions(
    device: DeviceName,
    who: Annotated[Principal, Security(caller, scopes=[PREDICTIONS_READ])],
    span: Annotated[Window, Depends(window)],
    store: Annotated[Database, Depends(database)],
) -> PredictionPage:
    """Return what the newest model judged each epoch with since <= start < until to be.

    A page speaks of ``page_size`` epochs; those that are not judged yet are left out.
    """

    def work(connection: Connection) -> tuple[list[epochs.Epoch], list[Prediction]]:
        page = _epochs(connection, who, device, span, measured=False)
        made = predictions.of(who.tenant, connection, device, page) if page else []
        return page, [_prediction(each) for each in made]

    page, made = await store.read(work)
    return PredictionPage(predictions=made, next_page_token=span.next_token(page))


def _epochs(
    connection: Connection,
    who: Principal,
    device: str,
    span: Window,
    *,
    measured: bool = True,
) -> list[epochs.Epoch]:
    return epochs.read(
        who.tenant,
        connection,
        device,
        span.since,
        span.until,
        limit=span.size,
        after=span.after,
        measured=measured,
    )


def _prediction(made: predictions.Staged) -> Prediction:
    four = made.probabilities
    return Prediction(
        start=made.epoch_start,
        stream=f"{made.stream:016x}",
        seq=made.seq,
        stage=None if made.stage is None else made.stage.label,
        probability=None if four is None else dict(zip(LABELS, four, strict=True)),
        model=made.model,
    )
