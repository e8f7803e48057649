"""Errors as ``application/problem+json`` (RFC 9457), the framework's own ones included."""

import json
import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from math import ceil
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match
from typing_extensions import override

from api.problem_kinds import KINDS, PLAIN, uri_of
from noctis.errors import NoctisError, StorageUnavailableError
from noctis.storage.errors import AlreadyExistsError, NotFoundError
from noctis.storage.quotas import QuotaError
from registry.errors import UnknownVersionError

__all__ = [
    "MEDIA_TYPE",
    "Problem",
    "ProblemError",
    "documented",
    "install",
    "invalid",
    "respond",
]

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 2
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_log = structlog.get_logger()


class InvalidField(BaseModel):
    """One part of a request that cannot be understood."""

    location: str = Field(description="where it is", examples=["query.page_size"])
    pointer: str = Field(
        description="the same as a JSON pointer: from the body's root, or from `query`, `path`",
        examples=["#/labels/3/start", "#/query/page_size"],
    )
    detail: str = Field(description="what is wrong with it")

    @classmethod
    def at(cls, where: Sequence[str | int], detail: str) -> "InvalidField":
        """Return the field at a place such as ``("body", "labels", 3, "start")``."""
        steps = where[1:] if where[:1] == ("body",) else where
        escaped = (str(step).replace("~", "~0").replace("/", "~1") for step in steps)
        return cls(
            location=".".join(map(str, where)),
            pointer="#" + "".join(f"/{step}" for step in escaped),
            detail=detail,
        )


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(PLAIN, description="the kind of problem, as a URI that never changes")
    title: str = Field(description="the kind of problem", examples=["Not Found"])
    status: int = Field(description="the HTTP status", examples=[404])
    detail: str | None = Field(None, description="this very case, and what to do about it")
    instance: str | None = Field(None, description="the path that was asked for")
    errors: list[InvalidField] | None = Field(None, description="the invalid parts, for 422")


class ProblemError(NoctisError):
    """A request that is answered with a problem.

    ``kind`` is a name of ``api.problem_kinds``, such as ``"page-token"``; without one, title
    and status say it all. ``extra`` are further members of the document.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str = "",
        headers: Mapping[str, str] | None = None,
        **extra: object,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.headers = dict(headers or {})
        self.extra = extra


def invalid(where: Sequence[str | int], detail: str) -> ProblemError:
    """Return the problem 422 of one part of a request, as FastAPI's own checks tell theirs.

    ``where``: such as ``("body", "labels", 3, "start")`` or ``("query", "since")``.
    """
    field = InvalidField.at(where, detail)
    text = f"cannot be understood: {field.location}: {detail}"
    return ProblemError(422, text, kind="invalid", errors=[field])


class ProblemResponse(JSONResponse):
    """A response whose body is a problem."""

    media_type = MEDIA_TYPE

    @override
    def render(self, content: object) -> bytes:
        """Return plain ASCII: a request may hold text that UTF-8 cannot."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def respond(request: Request, problem: ProblemError) -> ProblemResponse:
    """Return the response that tells ``problem``."""
    document = Problem(
        type=uri_of(problem.kind),
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.message or None,
        instance=request.url.path,
        **problem.extra,
    )
    return ProblemResponse(
        document.model_dump(exclude_none=True), problem.status, headers=problem.headers
    )


def documented(*what: int | str) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's description of the problems that a route answers with.

    ``what``: statuses, and names of ``KINDS`` that are the route's own; each status knows the
    kinds that come with it everywhere (``api.describing``). Where a token is asked for (401),
    there may be two (400), or too many requests (429).
    """
    statuses = {it for it in what if isinstance(it, int)}
    if HTTPStatus.UNAUTHORIZED in statuses:
        statuses |= {400, 429}
    own: dict[int, list[str]] = {status: [] for status in statuses}
    for name in (it for it in what if isinstance(it, str)):
        known = KINDS[name].statuses
        for status in [it for it in known if it in statuses] or known[:1]:
            own.setdefault(status, []).append(name)
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
            **({"x-kinds": names} if names else {}),
        }
        for status, names in sorted(own.items())
    }


def install(app: FastAPI) -> None:
    """Make every error of ``app`` a problem."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(NotFoundError, _on_not_found)
    app.add_exception_handler(AlreadyExistsError, _on_exists)
    app.add_exception_handler(QuotaError, _on_quota)
    app.add_exception_handler(UnknownVersionError, _on_not_found)
    app.add_exception_handler(StorageUnavailableError, _on_unavailable)
    app.add_exception_handler(TimeoutError, _on_deadline)
    app.add_exception_handler(Exception, _on_bug)


def _on_problem(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, ProblemError)  # noqa: S101 - registered for this class alone
    return respond(request, error)


def _on_http(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    if isinstance(error.__cause__, UnicodeDecodeError):  # of a body, which FastAPI calls a 400
        return respond(request, invalid(("body",), "it is no UTF-8"))
    phrase = HTTPStatus(error.status_code).phrase
    detail = "" if error.detail == phrase else error.detail
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods(request))
    return respond(request, ProblemError(error.status_code, detail, headers=headers))


def _methods(request: Request) -> list[str]:
    """Return the methods of a path; each of them may be a route of its own."""
    asked = {method: dict(request.scope) | {"method": method} for method in _METHODS}
    routes = request.app.router.routes
    return [
        method
        for method, scope in asked.items()
        if any(route.matches(scope)[0] is Match.FULL for route in routes)
    ]


def _on_invalid(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    errors = [
        InvalidField.at(_place(entry, error.body), entry["msg"]) for entry in error.errors()
    ]
    where = ", ".join(field.location for field in errors)
    problem = ProblemError(422, f"cannot be understood: {where}", kind="invalid", errors=errors)
    return respond(request, problem)


def _place(entry: Mapping[str, Any], body: object) -> tuple[str | int, ...]:
    """Return where an error is; of a body that is no JSON, the body, not one of its letters.

    Where a member may be of several kinds, the kind's name is no step of the way.
    """
    place: tuple[str | int, ...] = entry["loc"]
    if place[:1] != ("body",):
        return place
    steps: list[str | int] = ["body"]
    for step in () if entry["type"] == "json_invalid" else place[1:]:
        is_kind = isinstance(body, Mapping) and step == body.get("kind") and step not in body
        if not is_kind:
            steps.append(step)
            body = body.get(step) if isinstance(body, Mapping) else None
    return tuple(steps)


def _on_not_found(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, NoctisError)  # noqa: S101 - registered for two of them alone
    return respond(request, ProblemError(404, error.message))


def _on_exists(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, AlreadyExistsError)  # noqa: S101 - registered for this class
    return respond(request, ProblemError(409, error.message, kind="exists"))


def _on_quota(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, QuotaError)  # noqa: S101 - registered for this class alone
    return respond(request, ProblemError(403, str(error), kind="quota"))


def _on_unavailable(request: Request, error: Exception) -> ProblemResponse:
    _log.warning("database_unavailable", path=request.url.path, error=str(error))
    detail = "the database cannot be reached; try again"
    headers = {"Retry-After": str(_retry_after_s(error))}
    problem = ProblemError(503, detail, kind="database-unavailable", headers=headers)
    return respond(request, problem)


def _retry_after_s(error: Exception) -> int:
    known = error.retry_after_s if isinstance(error, StorageUnavailableError) else 0.0
    return ceil(known) or RETRY_AFTER_S


def _on_deadline(request: Request, _error: Exception) -> ProblemResponse:
    detail = "the answer took too long; try again or ask for less"
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return respond(request, ProblemError(504, detail, kind="deadline", headers=headers))


def _on_bug(request: Request, error: Exception) -> ProblemResponse:
    # Formatted here and plainly: a formatter that shows local variables would log passwords.
    trace = "".join(traceback.format_exception(error))
    _log.error("request_failed", path=request.url.path, exception=trace)
    return respond(request, ProblemError(500, "this is our fault; it has been logged"))
