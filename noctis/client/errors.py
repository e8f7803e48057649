"""What a facade refuses, by its problem documents (RFC 9457), and that nobody answers."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import httpx

from noctis.errors import NoctisError

__all__ = [
    "AWAY",
    "ClientError",
    "ForbiddenError",
    "InvalidError",
    "InvalidField",
    "NotFoundError",
    "ProblemError",
    "RateLimitedError",
    "SignInError",
    "UnavailableError",
    "error_of",
    "problem_in",
    "retry_after",
    "unreachable",
]

AWAY: Final = (
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
"""The statuses of a facade that does not work for now."""


class ClientError(NoctisError):
    """Anything that asking a facade can end with."""


class SignInError(ClientError):
    """The facade does not know the caller, or not any more."""


class UnavailableError(ClientError):
    """Nobody answers in time, or the facade says that it cannot for now."""


class ProblemError(ClientError):
    """A problem that the facade told: its HTTP ``status``, and its ``kind`` as a URI."""

    def __init__(self, message: str, response: httpx.Response) -> None:
        super().__init__(message)
        self.status = response.status_code
        self.kind = str(problem_in(response).get("type", "about:blank"))


class ForbiddenError(ProblemError):
    """The caller may not do that."""


class NotFoundError(ProblemError):
    """No such thing in the caller's tenant."""


@dataclass(frozen=True, slots=True)
class InvalidField:
    """A part of a request, as a JSON pointer such as ``#/query/since``, and what is wrong."""

    pointer: str
    detail: str


class InvalidError(ProblemError):
    """A request that makes no sense; ``fields`` name the parts of it that do not."""

    def __init__(self, message: str, response: httpx.Response) -> None:
        super().__init__(message, response)
        self.fields = tuple(
            InvalidField(str(it.get("pointer", "")), str(it.get("detail", "")))
            for it in problem_in(response).get("errors") or ()
        )


class RateLimitedError(ProblemError):
    """Asked too often; try again after ``retry_after_s`` seconds."""

    def __init__(self, message: str, response: httpx.Response) -> None:
        super().__init__(message, response)
        self.retry_after_s = retry_after(response) or 0.0


_KINDS: Final[dict[int, type[ProblemError]]] = {
    HTTPStatus.FORBIDDEN: ForbiddenError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.UNPROCESSABLE_ENTITY: InvalidError,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimitedError,
}


def error_of(response: httpx.Response) -> ClientError:
    """Return the error that a response with its body read stands for, in its own words."""
    told, status = problem_in(response), response.status_code
    words = told.get("error_description") or told.get("detail") or told.get("title")
    message = str(words or f"{response.url.host} answers {status}")
    if status in AWAY:
        return UnavailableError(message, hint="try again later")
    if status == HTTPStatus.UNAUTHORIZED:
        return SignInError(message)
    kind = _KINDS.get(status, ProblemError)
    if kind is InvalidError:
        for wrong in told.get("errors") or ():
            message += f"; {wrong.get('pointer', '?')}: {wrong.get('detail', '?')}"
    return kind(message, response)


def problem_in(response: httpx.Response) -> dict[str, Any]:
    """Return the object that a response holds; an empty one where it holds none."""
    try:
        told = response.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that a response asks to wait for, where it does."""
    told = response.headers.get("Retry-After", "")
    return float(told) if told.isdecimal() else None


def unreachable(error: httpx.TransportError, url: str) -> UnavailableError:
    """Return what a broken exchange means."""
    if isinstance(error, httpx.TimeoutException):
        return UnavailableError(f"{url} does not answer in time", hint="try again later")
    message = f"nobody answers at {url}: {str(error) or type(error).__name__}"
    return UnavailableError(message, hint="look at the URL, and whether the facade runs")
