"""Epochs of devices that speak HTTP."""

from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Request, Security
from fastapi.exceptions import RequestValidationError
from prometheus_client import Counter
from pydantic import TypeAdapter, ValidationError

from api.deps import caller, database, limits, settings
from api.ingesting import MOST, Ingested, Items, Sent, items_of, items_of_frame, keep
from api.limits import Limits
from api.names import DeviceName
from api.problems import ProblemError, documented
from api.scopes import EPOCHS_WRITE
from api.threads import in_thread
from noctis import trace
from noctis.identity import DeviceId, Principal
from noctis.settings import Settings
from noctis.storage import devices
from noctis.storage.database import Connection, Database

__all__ = ["FRAME", "router"]

T = TypeVar("T")

FRAME: Final = "application/vnd.noctis.frame"
_JSON: Final = "application/json"
_SENT: Final = TypeAdapter(Sent)
_epochs = Counter("noctis_api_epochs_total", "Epochs that came over HTTP.", ["status"])

router = APIRouter(
    prefix="/v1/devices/{device:name}",
    tags=["epochs"],
    responses=documented(401, 403, 404, 413, 415, 422, 429, 503, 504, "epochs", "media-type"),
)
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            _JSON: {"schema": {"$ref": "#/components/schemas/Sent"}},
            FRAME: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.post(
    "/epochs:ingest",
    operation_id="ingestEpochs",
    summary="Store epochs, each exactly once",
    openapi_extra=_BODY,
)
async def ingest_epochs(
    device: DeviceName,
    request: Request,
    *,
    who: Annotated[Principal, Security(caller, scopes=[EPOCHS_WRITE])],
    store: Annotated[Database, Depends(database)],
    chosen: Annotated[Settings, Depends(settings)],
    most: Annotated[Limits, Depends(limits)],
) -> Ingested:
    """Store up to 1000 epochs, or a frame as devices send them to the broker, in one step.

    It is committed before it is answered. The same again changes nothing: an epoch is known by
    its stream and number. So whoever got no answer sends the same once more.
    """
    items = await _understood(request)
    whose = DeviceId(who.tenant, device)
    most.epochs(who.tenant, len(items.frames.in_bed))

    def work(connection: Connection) -> Ingested:
        devices.get(who.tenant, connection, device)
        return keep(connection, whose, items, chosen.retention)

    done = await store.call(work)
    for status in ("stored", "duplicate", "disposed", "rejected"):
        _epochs.labels(status).inc(getattr(done, status))
    _trace(whose, items, done)
    return done


def _trace(device: DeviceId, items: Items, done: Ingested) -> None:
    if trace.is_followed(device):
        how = {it.index: it.status for it in done.results}
        frames = items.frames
        columns = (frames.stream.tolist(), frames.first.tolist(), frames.last.tolist())
        for place, stream, first, last in zip(items.places, *columns, strict=True):
            seqs = range(first, last + 1)
            trace.tell("epoch_committed", device, stream, seqs, over="http", status=how[place])


async def _understood(request: Request) -> Items:
    """Return what a body holds; raise ProblemError 415 for another kind of body."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if kind == FRAME:
        return items_of_frame(body)
    if kind == _JSON:
        return await in_thread(lambda: items_of(_parsed(body)))
    detail = f"send {_JSON} with {MOST} epochs at most, or {FRAME}"
    raise ProblemError(415, detail, kind="media-type")


def _parsed(body: bytes) -> Sent:
    try:
        return _SENT.validate_json(body)
    except ValidationError as error:
        wrong = [
            {**it, "loc": ("body", *it["loc"])}
            for it in error.errors(include_url=False, include_input=False)
        ]
        raise RequestValidationError(wrong) from error
