"""The live stages of the tenant's devices, as a stream of server-sent events."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import anyio
import structlog
from fastapi import APIRouter, Depends, Header, Query, Request, Security
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import StreamingResponse
from starlette.types import Message, Send
from typing_extensions import override

from api.checks import Readiness
from api.deps import caller, check_token, database, live, readiness, settings
from api.live import Listener, Live, TooManyError, dropped
from api.names import NAME
from api.problems import ProblemError, documented
from api.scopes import PREDICTIONS_READ
from api.tokens import TokenError
from noctis.identity import Principal
from noctis.settings import Settings
from noctis.stages import LABELS
from noctis.storage import devices, predictions
from noctis.storage.database import Connection, Database

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["epochs"])

TICK_S: Final = 0.5
HEARTBEAT_S: Final = 15.0
FURTHEST: Final = timedelta(hours=12)
OVERLAP: Final = timedelta(seconds=60)
AHEAD: Final = timedelta(days=2)
MOST_RESUMED: Final = 5000
RETRY_MS: Final = 3000
_EXAMPLE: Final = (
    'event: stage\nid: 1772403270-00f1e2d3c4b5a697-731\ndata: {"device":"bedroom",'
    '"t":"2026-03-01T22:14:30Z","seq":731,"stage":"light"}\n\n'
)
_log = structlog.get_logger(__name__)

LastEvent = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        pattern="^[0-9]{1,10}-[0-9a-f]{16}-[0-9]{1,10}$",
        description="the `id` of the last event that came, to go on behind it",
        examples=["1772403270-00f1e2d3c4b5a697-731"],
    ),
]


Reader = Annotated[Principal, Security(caller, scopes=[PREDICTIONS_READ])]
Device = Annotated[
    str | None, Query(pattern=NAME, description="of this device alone", examples=["bedroom"])
]


_EVENT: Final = {
    "type": "object",
    "description": "one event; of `stage`, data is the live stage in JSON",
    "properties": {name: {"type": "string"} for name in ("event", "id", "data")},
}


class Stream(StreamingResponse):
    """A stream that ends when its reader takes nothing for so many seconds."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], *, within_s: float) -> None:
        super().__init__(events, headers={"X-Accel-Buffering": "no"})
        self._within_s = within_s

    @override
    async def stream_response(self, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            with anyio.fail_after(self._within_s):
                await send(message)

        try:
            await super().stream_response(send_in_time)
        except TimeoutError:
            dropped.inc()
            _log.warning("stream_dropped", reason="the reader took nothing")


@dataclass(frozen=True, slots=True)
class _Opened:
    """A stream that is begun: what was stored before, and what comes from now on."""

    listener: Listener
    past: list[dict[str, Any]]


async def _opened(
    who: Reader,
    store: Annotated[Database, Depends(database)],
    hub: Annotated[Live, Depends(live)],
    device: Device = None,
    last_event_id: LastEvent = None,
) -> AsyncIterator[_Opened]:
    """Yield a begun stream; it listens before it looks at what is stored, so nothing is lost.

    Raises ProblemError 429 and 503, and NotFoundError for a device that is not the tenant's.
    """
    if device is not None:
        await store.call(lambda it: devices.get(who.tenant, it, device))
    if not await hub.wait_ready():
        headers = {"Retry-After": "2"}
        raise ProblemError(503, "the broker cannot be reached", kind="broker", headers=headers)
    is_resumed = last_event_id is not None
    with ExitStack() as stack:
        try:
            listener = stack.enter_context(
                hub.listening(who.tenant, device, is_resumed=is_resumed)
            )
        except TooManyError as error:
            headers = {"Retry-After": "30"}
            raise ProblemError(429, str(error), kind="streams", headers=headers) from error
        past = await store.call(lambda it: _stored(it, who, device, last_event_id))
        yield _Opened(listener, past)


@router.get(
    "/stages:stream",
    operation_id="streamStages",
    summary="Stream live stages",
    status_code=200,
    response_class=Stream,
    responses={
        200: {
            "description": "Events `stage`, each with an id; `end` with a reason when the "
            "stream is over: come back with `Last-Event-ID`",
            "content": {"text/event-stream": {"schema": _EVENT, "example": _EXAMPLE}},
        },
        **documented(401, 403, 404, 422, 429, 503, 504, "broker", "streams"),
    },
)
async def stream_stages(
    request: Request,
    _who: Reader,
    state: Annotated[Readiness, Depends(readiness)],
    chosen: Annotated[Settings, Depends(settings)],
    opened: Annotated[_Opened, Depends(_opened)],
) -> Stream:
    """Tell each live stage of the tenant's devices as it is published.

    With `Last-Event-ID` what was stored since is told first (12 hours at most); an epoch may
    come twice, never not at all. The stream ends with the token: come back with a new one.
    """
    token = request.headers["Authorization"].partition(" ")[2].strip()

    def reason() -> str:
        """Return why the stream has to end now; an empty text while it may go on."""
        if state.draining:
            return "the process is about to end"
        try:
            check_token(request, token)
        except TokenError as error:
            return error.message
        return ""

    events = _events(opened, reason, request.is_disconnected)
    return Stream(events, within_s=chosen.api_stream_seconds)


async def _events(
    opened: _Opened, reason: Callable[[], str], is_gone: Callable[[], Awaitable[bool]]
) -> AsyncIterator[bytes]:
    listener = opened.listener
    yield format_sse_event(comment="live stages", retry=RETRY_MS)
    told = set()
    for document in opened.past:
        told.add((document["stream"], document["seq"]))
        yield _stage(document)
    quiet_s = 0.0
    while not await is_gone():
        fresh = await listener.take(within_s=TICK_S)
        for event in fresh:
            if event.key not in told:
                yield _stage(event.document)
        why = "the reader is too slow" if listener.is_slow else reason()
        if why:
            yield format_sse_event(event="end", data_str=json.dumps({"reason": why}))
            return
        quiet_s = 0.0 if fresh else quiet_s + TICK_S
        if quiet_s >= HEARTBEAT_S:
            quiet_s = 0.0
            yield KEEPALIVE_COMMENT


def _stage(document: dict[str, Any]) -> bytes:
    """Return the event of a stage; without a clock it has no id, so nothing resumes there."""
    name = None
    if document["t"] is not None:
        at = int(datetime.fromisoformat(document["t"]).timestamp())
        name = f"{at}-{document['stream']}-{document['seq']}"
    text = json.dumps(document, separators=(",", ":"))
    return format_sse_event(event="stage", id=name, data_str=text)


def _stored(
    connection: Connection, who: Principal, device: str | None, last: str | None
) -> list[dict[str, Any]]:
    """Return the stages that were stored since the event ``last``, by their epochs' start."""
    if last is None:
        return []
    at, stream, seq = last.split("-")
    now = datetime.now(UTC)
    since = max(datetime.fromtimestamp(int(at), UTC) - OVERLAP, now - FURTHEST)
    names = [device] if device else [it.name for it in devices.list_of(who.tenant, connection)]
    found = [
        (made.epoch_start, _document(name, made))
        for name in names
        for made in predictions.read(who.tenant, connection, name, since, now + AHEAD)
        if (f"{made.stream:016x}", made.seq) != (stream, int(seq))
    ]
    found.sort(key=lambda it: it[0])
    return [document for _, document in found[-MOST_RESUMED:]]


def _document(device: str, made: predictions.Staged) -> dict[str, Any]:
    four = made.probabilities
    return {
        "schema_version": 1,
        "t": made.epoch_start.isoformat().replace("+00:00", "Z"),
        "stream": f"{made.stream:016x}",
        "seq": made.seq,
        "stage": None if made.stage is None else made.stage.label,
        "probability": None if four is None else dict(zip(LABELS, four, strict=True)),
        "model": made.model,
        "device": device,
    }
