"""What surrounds every request: its measure, its size limit, and headers of its answer."""

import re
import time
from typing import Final

from prometheus_client import Counter, Histogram
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.checks import Readiness

__all__ = ["BodyLimit", "Measure"]

MAX_BODY_BYTES: Final = 64 * 1024
_LARGER: Final = {
    re.compile(r"/v1/devices/[^/]+/epochs:ingest|/v1/predict(:explain)?"): 1024 * 1024,
    re.compile(r"/v1/models/[^/]+/versions"): 128 * 1024 * 1024,
    re.compile(r"/v1/models/[^/]+/versions/[^/]+:promote"): 4 * 1024 * 1024,
    re.compile(r"/v1/devices/[^/]+/labels"): 1024 * 1024,
}
"""Whose paths take so many bytes."""
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
)
_LAST: Final = (b"connection", b"close")
"""Of the answers of a process that is about to end: the next request goes elsewhere."""

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

    def __init__(self, app: ASGIApp, readiness: Readiness) -> None:
        self._app = app
        self._readiness = readiness

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
                always = (*_HEADERS, *scope.get("state", {}).get("rate_limit", ()))
                if self._readiness.draining:
                    always = (*always, _LAST)
                missing = [header for header in always if header[0] not in named]
                message["headers"] = [*message["headers"], *missing]
            await send(message)

        started = time.perf_counter()
        try:
            await self._app(scope, receive, send_measured)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = getattr(scope.get("route"), "path_format", "unknown")
            _requests.labels(method, route, str(status)).inc()
            _seconds.labels(method, route).observe(time.perf_counter() - started)


class BodyLimit:
    """Refuses bodies of more than MAX_BODY_BYTES, announced or not; a few routes take more."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with a body that is cut off where it grows too long."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received, limit = 0, _limit(scope["path"])

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, f"a body may have {limit} bytes at most")
            return message

        await self._app(scope, receive_limited, send)


def _limit(path: str) -> int:
    return next((it for paths, it in _LARGER.items() if paths.fullmatch(path)), MAX_BODY_BYTES)
