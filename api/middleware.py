"""What surrounds every request: its measure, its size limit, and headers of its answer."""

import time
from typing import Final

from prometheus_client import Counter, Histogram
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BodyLimit", "Measure"]

MAX_BODY_BYTES: Final = 64 * 1024
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
)

_requests = Counter(
    "noctis_api_requests_total", "Requests answered.", ["method", "route", "status"]
)
_seconds = Histogram(
    "noctis_api_request_seconds",
    "Time from a request to the end of its answer.",
    ["method", "route"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class Measure:
    """Counts requests by method, route and status, and adds the headers that all answers bear.

    The route is its template, so neither a device's name nor a stranger's path is a label.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, measured."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def send_measured(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                named = {name for name, _ in message["headers"]}
                missing = [header for header in _HEADERS if header[0] not in named]
                message["headers"] = [*message["headers"], *missing]
            await send(message)

        started = time.perf_counter()
        try:
            await self._app(scope, receive, send_measured)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = getattr(scope.get("route"), "path", "unknown")
            _requests.labels(method, route, str(status)).inc()
            _seconds.labels(method, route).observe(time.perf_counter() - started)


class BodyLimit:
    """Refuses bodies of more than MAX_BODY_BYTES, announced or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with a body that is cut off where it grows too long."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise HTTPException(413, f"a body may have {MAX_BODY_BYTES} bytes at most")
            return message

        await self._app(scope, receive_limited, send)
