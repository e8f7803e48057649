"""The tenant's devices, and what is stored of each: epochs and sleep stages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Security
from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter

from api.deps import caller, database
from api.paging import MAX_PAGE_SIZE, PageSize, PageToken, next_token, position_of
from api.problems import ProblemError, documented
from api.scopes import DEVICES_READ, EPOCHS_READ, PREDICTIONS_READ
from noctis.features import FEATURES
from noctis.identity import Principal
from noctis.stages import LABELS
from noctis.storage import devices, epochs, predictions
from noctis.storage.database import Connection, Database

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/devices",
    tags=["devices"],
    responses=documented(401, 403, 422, 503, 504),
)
DAY: Final = timedelta(days=1)
AHEAD: Final = timedelta(days=2)  # no stored epoch starts later than that after now
FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_STREAM: Final = "00f1e2d3c4b5a697"
_START: Final = "2026-03-01T22:14:30Z"
_VALUES: Final = {"hr_mean": 58.5, "rr_mean": 14.2, "act_count": 0.0, "quality": 1.0}


DeviceName = Annotated[str, Path(pattern="^[a-z0-9-]{1,32}$", examples=["bedroom"])]
Moment = Annotated[AwareDatetime | None, Query(ge=FIRST, le=LAST, examples=[_START])]

_BY_NAME: Final = TypeAdapter(tuple[str])
_IN_TIME: Final = TypeAdapter(
    tuple[
        AwareDatetime,
        AwareDatetime,
        AwareDatetime,
        Annotated[str, Field(pattern="^[0-9a-f]{16}$")],
        Annotated[int, Field(ge=0, lt=1 << 32)],
    ]
)


class Device(BaseModel):
    """A device of the tenant."""

    name: str = Field(examples=["bedroom"])
    time_zone: str = Field(description="IANA name", examples=["Europe/Berlin"])
    created_at: datetime
    revoked_at: datetime | None = Field(description="null while it may send")


class DevicePage(BaseModel):
    """Devices by name."""

    devices: list[Device]
    next_page_token: str | None = Field(description="null on the last page")


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


@dataclass(frozen=True, slots=True)
class Window:
    """The span of time that a request asks for, and where in it the page begins."""

    since: datetime
    until: datetime
    after: epochs.Cursor | None
    query: tuple[object, ...]
    size: int

    def next_token(self, page: Sequence[epochs.Epoch]) -> str | None:
        """Return the token of the page behind ``page``, None when that was the last one."""
        if len(page) < self.size:
            return None
        start, stream, seq = page[-1].cursor
        moments = [moment.isoformat() for moment in (self.since, self.until, start)]
        return next_token([*moments, f"{stream:016x}", seq], *self.query)


def window(
    device: DeviceName,
    since: Moment = None,
    until: Moment = None,
    *,
    page_size: PageSize = 100,
    page_token: PageToken = None,
) -> Window:
    """Return what a request's parameters say; without ``since``, the 24 hours before the end.

    The first page settles the span, so that it does not move while somebody turns pages.
    """
    query = (device, since, until)
    size = min(page_size, MAX_PAGE_SIZE)
    if page_token:
        first, last, start, stream, seq = position_of(page_token, _IN_TIME, *query)
        return Window(first, last, (start, int(stream, 16), seq), query, size)
    last = until or datetime.now(UTC) + AHEAD
    first = since or (until or datetime.now(UTC)) - DAY
    if first >= last:
        raise ProblemError(422, "since is not before until", kind="invalid")
    return Window(first, last, None, query, size)


@router.get("", operation_id="listDevices", summary="List the tenant's devices")
async def list_devices(
    who: Annotated[Principal, Security(caller, scopes=[DEVICES_READ])],
    store: Annotated[Database, Depends(database)],
    page_size: PageSize = 100,
    page_token: PageToken = None,
) -> DevicePage:
    """Return the devices by name, those that were revoked too."""
    [after] = position_of(page_token, _BY_NAME) if page_token else [""]
    known = await store.call(lambda connection: devices.list_of(who.tenant, connection))
    rest = [device for device in known if device.name > after]
    size = min(page_size, MAX_PAGE_SIZE)
    page = rest[:size]
    token = next_token([page[-1].name]) if len(rest) > size else None
    return DevicePage(devices=[_device(each) for each in page], next_page_token=token)


@router.get(
    "/{device}",
    operation_id="getDevice",
    summary="Get a device",
    responses=documented(404),
)
async def get_device(
    device: DeviceName,
    who: Annotated[Principal, Security(caller, scopes=[DEVICES_READ])],
    store: Annotated[Database, Depends(database)],
) -> Device:
    """Return one of the tenant's devices; another tenant's is not found."""
    return _device(await store.call(lambda it: devices.get(who.tenant, it, device)))


@router.get(
    "/{device}/epochs",
    operation_id="listEpochs",
    summary="List a device's epochs",
    responses=documented(400, 404),
)
async def list_epochs(
    device: DeviceName,
    who: Annotated[Principal, Security(caller, scopes=[EPOCHS_READ])],
    span: Annotated[Window, Depends(window)],
    store: Annotated[Database, Depends(database)],
) -> EpochPage:
    """Return the epochs with since <= start < until, by their start, in physical units."""
    page = await store.call(lambda it: _epochs(it, who, device, span))
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
    "/{device}/predictions",
    operation_id="listPredictions",
    summary="List the sleep stages of a device's epochs",
    responses=documented(400, 404),
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
        page = _epochs(connection, who, device, span)
        if not page:
            return [], []
        wanted = {(each.stream, each.seq) for each in page}
        end = page[-1].epoch_start + timedelta(microseconds=1)
        made = predictions.read(who.tenant, connection, device, page[0].epoch_start, end)
        return page, [_prediction(each) for each in made if (each.stream, each.seq) in wanted]

    page, made = await store.call(work)
    return PredictionPage(predictions=made, next_page_token=span.next_token(page))


def _epochs(
    connection: Connection, who: Principal, device: str, span: Window
) -> list[epochs.Epoch]:
    return epochs.read(
        who.tenant,
        connection,
        device,
        span.since,
        span.until,
        limit=span.size,
        after=span.after,
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


def _device(known: devices.Device) -> Device:
    return Device(
        name=known.name,
        time_zone=known.time_zone,
        created_at=known.created_at,
        revoked_at=known.revoked_at,
    )
